//! What an integrator sends: an order's content, a patch of it, a `pass.json` to lint.

use honoken_domain::content::Content;
use honoken_domain::json;
use honoken_domain::pass::{ContentPatch, PatchOperation};
use honoken_pkpass::reader::{Trust, inspect_file};
use honoken_pkpass::{
    Finding, Localizations, MAX_FINDINGS, PassKind, PassSource, TicketStyle, lint, pass_json,
};
use serde_json::{Map, Value};

/// Reads a content, checks it, patches it and writes a `pass.json` of it.
///
/// # Panics
/// When a content that was read is written otherwise, has too many findings, or makes a `pass.json` that is none.
pub fn content(bytes: &[u8]) {
    assert!(!inspect_file(bytes, &Trust::anyone()).to_string().is_empty(), "every file has a report");
    if let Ok(operations) = serde_json::from_slice::<Vec<PatchOperation>>(bytes) {
        patched(&ContentPatch::Operations(operations));
    }
    let Ok(value) = json::parse(bytes) else { return };
    let written = value.to_string();
    assert_eq!(
        json::parse(written.as_bytes()).ok().as_ref(),
        Some(&value),
        "written, it is read again: {written}"
    );
    patched(&ContentPatch::Merge(value.clone()));
    if let Value::Object(content) = value {
        for kind in TicketStyle::ALL.map(PassKind::plain).into_iter().chain([POSTER]) {
            shown(kind, &content);
        }
    }
}

const POSTER: PassKind = PassKind { style: TicketStyle::Event, poster: true };

/// What a patch is applied to.
const BEFORE: &str =
    r#"{"a": 1, "list": [1, [2], {"three": 3}], "deep": {"er": {"est": null}}, "": "", "~/": 0.5}"#;

fn patched(patch: &ContentPatch) {
    let before = json::parse(BEFORE.as_bytes()).ok().and_then(|value| Content::from_value(value).ok());
    let before = before.expect("it is an object");
    if let Ok(after) = patch.apply(&before) {
        let written = Value::Object(after.as_map().clone()).to_string();
        assert!(json::parse(written.as_bytes()).is_ok(), "a patched content can be stored: {written}");
    }
}

fn shown(kind: PassKind, content: &Map<String, Value>) {
    let findings = lint(kind, content);
    assert!(findings.len() <= MAX_FINDINGS, "findings are bounded");
    let source = PassSource {
        pass_type_identifier: "pass.com.example.museum",
        serial_number: "A-1",
        team_identifier: "TEAM123456",
        organization_name: "The Museum",
        web_service_url: "https://passes.example.com",
        authentication_token: "0123456789abcdef",
        kind,
        voided: false,
        content,
        localizations: const { &Localizations::new() },
        leaves_out_nfc: false,
        personalization: None,
    };
    let pass: Value = serde_json::from_slice(&pass_json(&source, &[])).expect("pass.json is JSON");
    assert_eq!(pass["serialNumber"], "A-1", "the content cannot change who the pass is");
    assert_eq!(pass["authenticationToken"], "0123456789abcdef", "nor its token");
    let style = pass.get(kind.style.pass_json_key());
    let is_refused = findings.iter().any(Finding::is_error);
    assert!(style.is_some_and(|style| is_refused || style.is_object()), "the pass has its style: {pass}");
}
