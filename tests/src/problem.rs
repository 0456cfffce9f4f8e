//! What every refusal looks like: `application/problem+json`.

use honoken_simulator::{Answer, HttpError};
use serde_json::Value;

/// Checks that the answer is a problem with this status, and gives its body.
///
/// # Panics
///
/// When it is anything else.
#[track_caller]
pub fn assert_problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status.as_u16(), status, "unexpected status; the body reads: {}", answer.excerpt());
    assert_is_problem(answer)
}

/// Checks that the answer is a complete problem with the status it says, and gives its body.
///
/// # Panics
///
/// When it is anything else.
#[track_caller]
pub fn assert_is_problem(answer: &Answer) -> Value {
    answer.assert_header("content-type", "application/problem+json");
    assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "no x-request-id");
    let body = answer.json();
    for key in ["type", "title", "code", "detail"] {
        assert!(body[key].as_str().is_some_and(|text| !text.is_empty()), "{key} is not a text: {body}");
    }
    assert_eq!(body["status"], answer.status.as_u16(), "{body}");
    for error in body["errors"].as_array().into_iter().flatten() {
        for key in ["code", "detail"] {
            assert!(error[key].as_str().is_some_and(|text| !text.is_empty()), "{key} is not a text: {body}");
        }
        let pointer = error["pointer"].as_str().expect("a pointer is a text");
        assert!(pointer.is_empty() || pointer.starts_with('/'), "not a JSON pointer: {body}");
    }
    body
}

/// Checks that a body far beyond its limit is refused with 413. A client that still sends when it is refused may find
/// the connection closed before it has read the answer.
///
/// # Panics
///
/// When the body is not refused.
#[track_caller]
pub fn assert_too_large(answer: Result<Answer, HttpError>) {
    match answer {
        Ok(answer) => drop(assert_problem(&answer, 413)),
        Err(HttpError::Unanswered { .. } | HttpError::Body { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
}

/// Checks that the answer refuses a readable body (422) and points at the value.
///
/// # Panics
///
/// When it does not.
#[track_caller]
pub fn assert_points_at(answer: &Answer, pointer: &str) {
    let body = assert_problem(answer, 422);
    let errors = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let pointers: Vec<&str> = errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
    assert!(pointers.contains(&pointer), "{pointer:?} is not among {pointers:?}: {body}");
}
