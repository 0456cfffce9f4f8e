//! `description`, which a pass cannot do without, and its stand-in.

use serde_json::{Map, Value};

use crate::finding::Findings;
use crate::pass_json::given_text;

pub(super) fn check(findings: &mut Findings, content: &Map<String, Value>) {
    // One of another type is reported with the other types.
    let given = content.get("description").is_some_and(|value| value.as_str() != Some(""));
    if given {
        return;
    }
    let stand_in = match (given_text(content, "eventName"), given_text(content, "organizationName")) {
        (Some(_), _) => "eventName",
        (None, Some(_)) => "organizationName",
        (None, None) => "the name of the organisation",
    };
    let detail =
        format!("description is missing, using {stand_in}: VoiceOver reads it aloud to say what the pass is");
    findings.warning("description_missing", "/description", detail);
}
