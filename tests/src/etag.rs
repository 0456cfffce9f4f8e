//! The tag of a pass as an outsider computes it from the state that the service shows.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The tag of a state, by the rule of the contract.
///
/// # Panics
///
/// When the state lacks what the rule needs.
#[track_caller]
pub fn of_state(state: &Value) -> String {
    let mut document = json!({
        "assets": state["assets"],
        "content": state["content"],
        "pass": {
            "passTypeIdentifier": state["passTypeIdentifier"],
            "poster": state["poster"],
            "serialNumber": state["serialNumber"],
            "ticketStyle": state["ticketStyle"],
            "updatedAtSec": unix_seconds(&state["updatedAt"]),
            "voided": state["voided"],
        },
    });
    for optional in ["localizations", "personalization"] {
        if let Some(member) = state.get(optional) {
            document[optional] = member.clone();
        }
    }
    let text = serde_json_canonicalizer::to_string(&document).expect("a state has a canonical form");
    sha256(text.as_bytes())
}

/// Checks that the tag of a state belongs to it.
///
/// # Panics
///
/// When it does not.
#[track_caller]
pub fn assert_belongs(state: &Value) {
    assert_eq!(state["etag"], of_state(state), "the tag does not belong to the state {state}");
}

/// Reads an RFC 3339 date with whole seconds.
///
/// # Panics
///
/// When it is none.
#[track_caller]
pub fn unix_seconds(date: &Value) -> i64 {
    let text = date.as_str().unwrap_or_else(|| panic!("not a date: {date}"));
    let date = OffsetDateTime::parse(text, &Rfc3339).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(date.nanosecond(), 0, "{text:?} is not a whole second");
    date.unix_timestamp()
}

/// SHA-256 in lowercase hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
