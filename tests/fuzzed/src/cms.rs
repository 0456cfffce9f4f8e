//! Signatures, as other signers write them.

use std::collections::BTreeMap;

use honoken_pkpass::reader::inspect_files;

use crate::package::{APPLE, assert_sound};

/// What the kept signatures were made over.
const MANIFEST: &[u8] = b"{}";

/// Verifies a signature.
///
/// # Panics
/// When a signature is verified of which no signer is known.
pub fn cms(bytes: &[u8]) {
    let files = [("manifest.json", MANIFEST), ("signature", bytes)];
    let files: BTreeMap<String, Vec<u8>> =
        files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect();
    let inspection = inspect_files(&files, &APPLE);
    assert_sound(&inspection);
    let report = inspection.signature.as_ref().expect("a signature that is there is reported");
    let has_unreadable_dates =
        inspection.all_findings().iter().any(|finding| finding.code == "certificate_not_valid");
    assert!(
        !report.verified || report.signer.is_some() || has_unreadable_dates,
        "a verified signature has a signer, which is shown unless its dates cannot be: {report:?}"
    );
    assert!(!inspection.valid, "there is no pass.json");
}
