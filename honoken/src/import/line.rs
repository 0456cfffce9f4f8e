//! One line of the input: a pass or a registration, as the call that takes it.

use honoken_domain::ids::{DeviceLibraryIdentifier, InvalidId, PassTypeIdentifier, PushToken, SerialNumber};
use honoken_domain::json;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::outcome::{Kind, Refusal, Subject};

/// All characters except the unreserved ones of RFC 3986 section 2.3.
pub(super) const NOT_UNRESERVED: AsciiSet =
    NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The members by which a registration is known: no pass has one of them.
const OF_REGISTRATIONS: [&str; 2] = ["deviceLibraryIdentifier", "pushToken"];

/// What a line asks of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// Whether it issues a pass or registers a device.
    pub(super) kind: Kind,
    /// The pass.
    pub(super) subject: Subject,
    pub(super) method: Method,
    /// Below the address of the service.
    pub(super) path: String,
    /// JSON.
    pub(super) body: Vec<u8>,
}

/// Reads a line. `None` for one without content.
///
/// A pass is sent byte for byte as it stands there, so that the service judges what the file holds.
///
/// # Errors
/// The refusal of a line that cannot be sent.
pub(super) fn read(line: &[u8]) -> Option<Result<Call, Box<Refusal>>> {
    let line = line.trim_ascii();
    if line.is_empty() { None } else { Some(call(line)) }
}

fn call(line: &[u8]) -> Result<Call, Box<Refusal>> {
    let value = json::parse(line).map_err(|fault| Refusal::of_line("json", fault.to_string()))?;
    let Value::Object(object) = value else {
        return Err(Refusal::of_line("wrong_type", "a line must be a JSON object"));
    };
    let subject = subject(&object);
    if OF_REGISTRATIONS.iter().any(|name| object.contains_key(*name)) {
        return registration(object).map_err(|refusal| Box::new(Refusal { subject, ..*refusal }));
    }
    let kind = Kind::Pass;
    Ok(Call {
        kind,
        subject,
        method: Method::POST,
        path: "/manage/v1/passes".to_owned(),
        body: line.to_vec(),
    })
}

fn subject(object: &Map<String, Value>) -> Subject {
    let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    let device = text("deviceLibraryIdentifier");
    Subject {
        pass_type_identifier: text("passTypeIdentifier"),
        serial_number: text("serialNumber"),
        device: device.and_then(|it| Some(DeviceLibraryIdentifier::parse(it).ok()?.shortened())),
    }
}

fn registration(mut object: Map<String, Value>) -> Result<Call, Box<Refusal>> {
    let subject = subject(&object);
    let pass_type = take(&mut object, "passTypeIdentifier", PassTypeIdentifier::parse)?;
    let serial_number = take(&mut object, "serialNumber", SerialNumber::parse)?;
    let device = take(&mut object, "deviceLibraryIdentifier", DeviceLibraryIdentifier::parse)?;
    let push_token = take(&mut object, "pushToken", PushToken::parse)?;
    if let Some(unknown) = object.keys().next() {
        let detail = format!("`{unknown}` is unknown in a registration; is it misspelled?");
        return Err(Refusal::of_line("unknown_field", detail));
    }
    let segment = |text: &str| utf8_percent_encode(text, &NOT_UNRESERVED).to_string();
    let path = format!(
        "/manage/v1/passes/{pass_type}/{}/registrations/{}",
        segment(serial_number.as_str()),
        segment(device.as_str())
    );
    let body = json!({ "pushToken": push_token.as_str() }).to_string().into_bytes();
    Ok(Call { kind: Kind::Registration, subject, method: Method::PUT, path, body })
}

fn take<T>(
    object: &mut Map<String, Value>,
    name: &str,
    parse: impl FnOnce(String) -> Result<T, InvalidId>,
) -> Result<T, Box<Refusal>> {
    match object.remove(name) {
        None | Some(Value::Null) => Err(Refusal::of_line("required", format!("`{name}` is missing"))),
        Some(Value::String(text)) => {
            parse(text).map_err(|fault| Refusal::of_line("invalid", fault.to_string()))
        }
        Some(_) => Err(Refusal::of_line("wrong_type", format!("`{name}` must be a string"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "pass.com.example.ticket";

    fn read_value(line: &Value) -> Result<Call, Box<Refusal>> {
        read(line.to_string().as_bytes()).expect("a line with content")
    }

    fn registration_line() -> Value {
        json!({
            "passTypeIdentifier": TYPE,
            "serialNumber": "A/1",
            "deviceLibraryIdentifier": "0123456789 ä",
            "pushToken": "c0ffee",
        })
    }

    #[track_caller]
    fn refused(line: &[u8], code: &str, words: &str) {
        let refusal = read(line).expect("a line with content").unwrap_err();
        assert_eq!(refusal.code, code, "{refusal:?}");
        assert!(refusal.detail.contains(words), "{refusal:?}");
    }

    #[test]
    fn a_pass_is_sent_as_it_stands_there() {
        let line = br#"  {"passTypeIdentifier":"pass.a",  "serialNumber":"1","content":{"storeCard":{}, "x":1.50}}  "#;
        let call = read(line).unwrap().unwrap();
        assert_eq!(call.body, line.trim_ascii());
        assert_eq!(
            (call.kind, call.method, call.path.as_str()),
            (Kind::Pass, Method::POST, "/manage/v1/passes")
        );
        assert_eq!(call.subject.pass(), (Some("pass.a"), Some("1")));
    }

    #[test]
    fn a_registration_names_pass_and_device_in_the_path_and_the_push_token_in_the_body() {
        let call = read_value(&registration_line()).unwrap();
        assert_eq!((call.kind, call.method), (Kind::Registration, Method::PUT));
        assert_eq!(call.path, format!("/manage/v1/passes/{TYPE}/A%2F1/registrations/0123456789%20%C3%A4"));
        assert_eq!(call.body, br#"{"pushToken":"c0ffee"}"#);
        assert_eq!(call.subject.pass(), (Some(TYPE), Some("A/1")));
        assert_eq!(call.subject.device.as_deref(), Some("012345…"));
    }

    #[test]
    fn a_line_without_content_is_passed_over() {
        for line in [&b""[..], b" ", b"\r", b"\t \r"] {
            assert_eq!(read(line), None);
        }
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        refused(b"serial;token", "json", "expected");
        refused(b"{\"a\":1", "json", "EOF");
        refused(b"{\"a\":1,\"a\":2}", "json", "twice");
        refused(b"[1]", "wrong_type", "object");
        refused(b"\xff", "json", "UTF-8");
    }

    #[test]
    fn a_registration_that_lacks_something_names_it() {
        for name in ["passTypeIdentifier", "serialNumber", "deviceLibraryIdentifier", "pushToken"] {
            let mut line = registration_line();
            line.as_object_mut().unwrap().remove(name);
            refused(line.to_string().as_bytes(), "required", name);
            line[name] = json!(7);
            refused(line.to_string().as_bytes(), "wrong_type", name);
            line[name] = json!("");
            refused(line.to_string().as_bytes(), "invalid", name);
        }
        let mut line = registration_line();
        line["pushtoken"] = json!("c0ffee");
        refused(line.to_string().as_bytes(), "unknown_field", "pushtoken");
    }

    #[test]
    fn a_refused_line_is_described_without_its_secrets() {
        let mut line = registration_line();
        line["pushToken"] = json!(["secret-push-token"]);
        let refusal = read_value(&line).unwrap_err();
        let told = format!("{refusal:?}");
        assert!(
            told.contains("A/1") && !told.contains("secret-push-token") && !told.contains("0123456789"),
            "{told}"
        );
    }
}
