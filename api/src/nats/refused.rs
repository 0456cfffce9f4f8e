//! The document about a refused command, which is published on `honoken.command.refused`.

use bytes::Bytes;
use honoken_domain::json;
use serde::Serialize;
use serde_json::Value;

use crate::error::ApiError;
use crate::limits;

/// A command and the reason why it was refused. It holds no header of the message, so no API key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Refused<'a> {
    request_id: &'a str,
    /// Left out when it is longer than the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    /// The payload: JSON if it parses, else text; null when the document would be larger than NATS takes.
    message: Option<Value>,
    message_bytes: usize,
    problem: Value,
}

/// The document, of at most `limit` bytes where possible.
pub(super) fn document(
    request_id: &str,
    message_id: Option<&str>,
    payload: &[u8],
    refusal: &ApiError,
    limit: usize,
) -> Bytes {
    let message = || json::parse(payload).unwrap_or_else(|_| String::from_utf8_lossy(payload).into());
    let mut refused = Refused {
        request_id,
        message_id: message_id.filter(|id| id.len() <= limits::MESSAGE_ID),
        message: (payload.len() < limit).then(message),
        message_bytes: payload.len(),
        problem: problem(refusal, limit / 2),
    };
    let document = as_json(&refused);
    if document.len() <= limit {
        return document;
    }
    refused.message = None;
    as_json(&refused)
}

/// The problem, without its `errors` if it would be larger than `limit`: they may quote much of a message.
pub(super) fn problem(refusal: &ApiError, limit: usize) -> Value {
    let mut problem = refusal.as_json();
    if problem.to_string().len() > limit
        && let Some(members) = problem.as_object_mut()
    {
        members.remove("errors");
    }
    problem
}

fn as_json(refused: &Refused<'_>) -> Bytes {
    serde_json::to_vec(refused).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(payload: &[u8], limit: usize) -> Value {
        let document = document("r-1", Some("m-1"), payload, &ApiError::NO_PASS, limit);
        serde_json::from_slice(&document).unwrap()
    }

    #[test]
    fn a_refused_command_is_told_with_its_problem() {
        let told = told(br#"{"serialNumber": "A-1"}"#, 10_000);
        assert_eq!(told["message"], json!({ "serialNumber": "A-1" }));
        assert_eq!((&told["requestId"], &told["messageId"]), (&json!("r-1"), &json!("m-1")));
        assert_eq!(told["problem"], ApiError::NO_PASS.as_json());
    }

    #[test]
    fn what_is_no_json_is_told_as_text_and_what_is_too_large_by_its_size() {
        assert_eq!(told(b"{broken \xff", 10_000)["message"], "{broken \u{fffd}");
        let control = vec![1; 2_000];
        let large = told(&control, 4_000);
        assert_eq!((&large["message"], &large["messageBytes"]), (&Value::Null, &json!(2_000)));
        assert_eq!(told(&control, 1_000)["message"], Value::Null);
        let quoting = ApiError::fault("unknown_field", "/x".repeat(2_000), "not known");
        assert!(problem(&quoting, 10_000)["errors"].is_array());
        let told = document("r-1", None, b"{}", &quoting, 4_000);
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!((&told["problem"]["errors"], &told["problem"]["status"]), (&Value::Null, &json!(422)));
    }
}
