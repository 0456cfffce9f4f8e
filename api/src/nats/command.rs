//! The content of a command message.

use std::sync::atomic::AtomicBool;

use async_nats::HeaderMap;
use honoken_domain::ids::{Digest, PassId, PassTypeIdentifier, SerialNumber};
use honoken_service::ids;
use serde_json::Value;

use super::stream_message::StreamMessage;
use crate::error::ApiError;
use crate::extractors::json_body::{self, Fields};
use crate::extractors::request_id::RequestId;
use crate::limits;
use crate::state::App;

/// The header with the API key.
const API_KEY: &str = "Honoken-Api-Key";

/// The header with the id of the request.
pub(super) const REQUEST_ID: &str = "Honoken-Request-Id";

/// The header by which JetStream recognises a message that is sent again.
pub(super) const MESSAGE_ID: &str = "Nats-Msg-Id";

/// The parts of a message that can be read whatever its payload is.
#[derive(Debug)]
pub(super) struct Received {
    /// The sender's request id if it is acceptable, else a fresh one.
    pub(super) request_id: RequestId,
    /// Identifies the command: the same whenever the message is handed out.
    pub(super) key: Digest,
    /// The sender's message id, if there is one.
    pub(super) message_id: Option<String>,
    /// Set when the sender acts for a test organisation; the answer tells.
    pub(super) is_for_test: AtomicBool,
}

/// The payload of a command: a pass and its new content.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) id: PassId,
    pub(super) content: Value,
    pub(super) urgent: bool,
}

impl Received {
    pub(super) fn of(message: &StreamMessage, app: &App) -> Self {
        let headers = &message.headers;
        let request_id = only(headers, REQUEST_ID).and_then(RequestId::sent);
        let message_id = only(headers, MESSAGE_ID).map(str::to_owned);
        let key = if let Some(id) = &message_id {
            Digest::of(format!("message id {id}").as_bytes())
        } else {
            // A stream that is created anew counts from 1 again, so the number alone does not identify a message.
            Digest::of(format!("message {} of {}", message.sequence, message.published).as_bytes())
        };
        let request_id = request_id.unwrap_or_else(|| RequestId(ids::request_id(&*app.ids)));
        Self { request_id, key, message_id, is_for_test: AtomicBool::new(false) }
    }
}

/// The API key of the message.
///
/// # Errors
/// 401 when there is none, or more than one.
pub(super) fn api_key(message: &StreamMessage) -> Result<&str, ApiError> {
    only(&message.headers, API_KEY).ok_or(ApiError::UnauthorizedSender)
}

impl Order {
    /// # Errors
    /// 413 when the payload is too large, 400 when it is not JSON, 422 with pointers when it is not a valid command.
    pub(super) fn read(payload: &[u8]) -> Result<Self, ApiError> {
        if payload.len() > limits::JSON_BYTES {
            return Err(ApiError::TooLarge { limit: limits::JSON_BYTES });
        }
        let mut fields = Fields::of(json_body::parse(payload)?)?;
        let pass_type = fields.required("passTypeIdentifier");
        let pass_type_identifier = fields.parse("passTypeIdentifier", pass_type, PassTypeIdentifier::parse);
        let serial_number = fields.required("serialNumber");
        let serial_number = fields.parse("serialNumber", serial_number, SerialNumber::parse);
        let content = fields.required("content");
        let urgent = fields.optional_bool("urgent").unwrap_or_default();
        fields.finish()?;
        match (pass_type_identifier, serial_number, content) {
            (Some(pass_type_identifier), Some(serial_number), Some(content)) => {
                Ok(Self { id: PassId { pass_type_identifier, serial_number }, content, urgent })
            }
            // Each missing field was recorded as a fault, and `finish` has refused the command.
            _ => Err(ApiError::Internal("a faulty command was accepted".into())),
        }
    }
}

/// The value of a header that occurs once. Names are compared without regard to case, since clients in other languages may change it.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let named = headers.iter().filter(|(key, _)| AsRef::<str>::as_ref(*key).eq_ignore_ascii_case(name));
    let mut values = named.flat_map(|(_, values)| values);
    let value = values.next()?;
    values.next().is_none().then(|| value.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(message: &Value) -> Vec<(String, String)> {
        match Order::read(message.to_string().as_bytes()) {
            Err(ApiError::Unacceptable { errors }) => {
                errors.into_iter().map(|fault| (fault.code, fault.pointer)).collect()
            }
            Ok(_) => Vec::new(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_names_a_pass_and_its_new_content() {
        let message = json!({ "passTypeIdentifier": "pass.a.b", "serialNumber": "A/1", "content": {} });
        let order = Order::read(message.to_string().as_bytes()).unwrap();
        assert_eq!((order.id.to_string(), order.urgent), ("pass.a.b/A/1".to_owned(), false));
        let mut urgent = message;
        urgent["urgent"] = true.into();
        assert!(Order::read(urgent.to_string().as_bytes()).unwrap().urgent);
    }

    #[test]
    fn every_fault_of_a_command_is_named_by_its_pointer() {
        let named = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(code, pointer)| ((*code).to_owned(), (*pointer).to_owned())).collect()
        };
        assert_eq!(faults(&json!([])), named(&[("wrong_type", "")]));
        let missing = ["passTypeIdentifier", "serialNumber", "content"].map(|name| format!("/{name}"));
        let missing: Vec<_> = missing.iter().map(|pointer| ("required", pointer.as_str())).collect();
        assert_eq!(faults(&json!({})), named(&missing));
        let wrong = json!({
            "passTypeIdentifier": 1, "serialNumber": "", "content": {}, "urgent": "yes", "serial": "A",
        });
        let expected = [
            ("wrong_type", "/passTypeIdentifier"),
            ("invalid", "/serialNumber"),
            ("wrong_type", "/urgent"),
            ("unknown_field", "/serial"),
        ];
        assert_eq!(faults(&wrong), named(&expected));
    }

    #[test]
    fn a_message_beyond_the_limit_is_not_read() {
        let large = vec![b' '; limits::JSON_BYTES + 1];
        assert!(matches!(Order::read(&large), Err(ApiError::TooLarge { .. })));
    }

    #[test]
    fn a_header_counts_when_it_is_there_once_however_it_is_spelled() {
        let mut headers = HeaderMap::new();
        assert_eq!(only(&headers, API_KEY), None);
        headers.append("honoken-api-KEY", "one");
        assert_eq!(only(&headers, API_KEY), Some("one"));
        headers.append(API_KEY, "two");
        assert_eq!(only(&headers, API_KEY), None);
    }
}
