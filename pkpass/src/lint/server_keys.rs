//! Keys that belong to the server: content that carries them decides on matters that are not its own.

use serde_json::{Map, Value, json};

use crate::finding::Findings;
use crate::pass_json::SERVER_KEYS;
use crate::pointer::at;

pub(super) fn check(findings: &mut Findings, content: &Map<String, Value>) {
    for (key, instead) in SERVER_KEYS {
        let Some(value) = content.get(key) else { continue };
        // A generator that writes the only version there is, or that the pass is not void, says what is so anyway.
        if (key == "formatVersion" && *value == json!(1)) || (key == "voided" && *value == json!(false)) {
            continue;
        }
        findings.error(
            "server_key",
            &at("", key),
            format!("{key} is written by the server: {instead}; remove it"),
        );
    }
}
