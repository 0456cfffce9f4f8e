//! Archives: a pass, a bundle of passes, or what was sent instead.

use std::sync::LazyLock;

use honoken_pkpass::MAX_FINDINGS;
use honoken_pkpass::reader::{Inspected, Inspection, MAX_BUNDLE_PASSES, Trust, inspect_file};

pub(crate) static APPLE: LazyLock<Trust> = LazyLock::new(Trust::apple);

/// Inspects a file.
///
/// # Panics
/// When the report grows without bound, or a file is valid that no phone takes.
pub fn zip(bytes: &[u8]) {
    match inspect_file(bytes, &APPLE) {
        Inspected::Pass(inspection) => {
            assert_sound(&inspection);
            let is_package = bytes.starts_with(b"PK");
            let is_signed = inspection.signature.as_ref().is_some_and(|signature| signature.verified);
            assert!(!inspection.valid || !is_package || is_signed, "a valid pass is signed");
        }
        Inspected::Bundle(bundle) => {
            assert!(bundle.passes.len() <= MAX_BUNDLE_PASSES, "passes of a bundle are bounded");
            bundle.passes.iter().for_each(|pass| assert_sound(&pass.inspection));
            assert!(!bundle.to_string().is_empty(), "every bundle has a report");
        }
    }
}

/// A report is bounded, can be shown in both forms, and calls nothing valid that has an error.
pub(crate) fn assert_sound(inspection: &Inspection) {
    let findings = inspection.all_findings();
    assert!(findings.len() <= 5 * MAX_FINDINGS, "{} findings", findings.len());
    assert_eq!(inspection.valid, !findings.iter().any(honoken_pkpass::Finding::is_error), "{inspection}");
    assert!(serde_json::to_string(inspection).is_ok_and(|json| json.contains("\"valid\"")), "it is JSON");
}
