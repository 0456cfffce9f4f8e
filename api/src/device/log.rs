//! What phones complain about: into our log, bounded, with the known messages named by their cause.
//! <https://developer.apple.com/documentation/walletpasses/log-a-message>

use axum::extract::Request;
use http::StatusCode;
use serde_json::Value;

use crate::error::{ApiError, Fault};
use crate::{json_body, limits};

/// Lines of one request that are written to the log.
const LINES: usize = 100;

/// Characters of one line that are written to the log.
const CHARACTERS: usize = 1000;

/// `POST /v1/log`
///
/// # Errors
/// 413 above 64 KiB, 400 when it is not `{"logs": ["…"]}`.
pub async fn handler(request: Request) -> Result<StatusCode, ApiError> {
    let body = json_body::read(request.into_body(), limits::LOG_BYTES).await?;
    let lines = lines(json_body::parse(&body)?)?;
    for line in lines.iter().take(LINES) {
        tracing::warn!(
            phone.cause = Cause::of(line).name(),
            phone.line = readable(line),
            "a phone complains"
        );
    }
    if lines.len() > LINES {
        tracing::warn!("a phone sent {} more lines, which are not shown", lines.len() - LINES);
    }
    Ok(StatusCode::OK)
}

fn lines(body: Value) -> Result<Vec<String>, ApiError> {
    let expected = |pointer: String| {
        let detail = "expected {\"logs\": [\"…\"]}: an array of strings".to_owned();
        ApiError::Unreadable {
            detail: detail.clone(),
            errors: vec![Fault::new("wrong_type", pointer, detail)],
        }
    };
    let Value::Object(mut object) = body else { return Err(expected(String::new())) };
    let Some(Value::Array(lines)) = object.remove("logs") else { return Err(expected("/logs".into())) };
    let text = |(index, line): (usize, Value)| match line {
        Value::String(line) => Ok(line),
        _ => Err(expected(format!("/logs/{index}"))),
    };
    lines.into_iter().enumerate().map(text).collect()
}

/// A line for our log: bounded, without control characters, its device identifier and tokens shortened.
fn readable(line: &str) -> String {
    let mut shown = String::new();
    let mut rest: String =
        line.chars().take(CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    // After these words stands a device library identifier, whatever it looks like.
    for word in ["device ", "Device = "] {
        if let Some(at) = rest.find(word) {
            let start = at + word.len();
            let end = rest[start..].find([',', ')', ' ', ';']).map_or(rest.len(), |length| start + length);
            let kept: String = rest[start..end].chars().take(6).collect();
            rest.replace_range(start..end, &format!("{kept}…"));
        }
    }
    let mut run = String::new();
    for c in rest.chars().chain([' ']) {
        if c.is_ascii_hexdigit() {
            run.push(c);
            continue;
        }
        if run.len() >= 20 {
            shown.push_str(&run[..6]);
            shown.push('…');
        } else {
            shown.push_str(&run);
        }
        run.clear();
        shown.push(c);
    }
    shown.truncate(shown.trim_end().len());
    shown
}

/// Why a phone complains; the words it uses are Wallet's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    AuthenticationFailure,
    UnexpectedResponseCode,
    MalformedResponse,
    InvalidPass,
    WrongPass,
    SpuriousPush,
    UnchangedUpdate,
    IgnoredIfModifiedSince,
    MissingLastModified,
    SameTag,
    OmittedTag,
    UnregisteredSerialNumber,
    UnchangedPersonalization,
    Unknown,
}

impl Cause {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("Authentication failure", Self::AuthenticationFailure),
        ("Unexpected response code", Self::UnexpectedResponseCode),
        ("Server response was malformed", Self::MalformedResponse),
        ("Received invalid pass data", Self::InvalidPass),
        ("Requested serial number", Self::WrongPass),
        ("Requested pass of type", Self::WrongPass),
        ("spurious push", Self::SpuriousPush),
        ("Personalization request was issued", Self::UnchangedPersonalization),
        ("but the pass was unchanged", Self::UnchangedUpdate),
        ("ignored the 'if-modified-since' header", Self::IgnoredIfModifiedSince),
        ("did not provide a 'last-modified' header", Self::MissingLastModified),
        ("remained the same", Self::SameTag),
        ("omitted a lastUpdated tag", Self::OmittedTag),
        ("Update requested for unregistered serial number", Self::UnregisteredSerialNumber),
    ];

    fn of(line: &str) -> Self {
        Self::WORDS.iter().find(|(words, _)| line.contains(words)).map_or(Self::Unknown, |(_, cause)| *cause)
    }

    fn name(self) -> &'static str {
        match self {
            Self::AuthenticationFailure => "authentication_failure",
            Self::UnexpectedResponseCode => "unexpected_response_code",
            Self::MalformedResponse => "malformed_response",
            Self::InvalidPass => "invalid_pass",
            Self::WrongPass => "wrong_pass",
            Self::SpuriousPush => "spurious_push",
            Self::UnchangedUpdate => "unchanged_update",
            Self::IgnoredIfModifiedSince => "ignored_if_modified_since",
            Self::MissingLastModified => "missing_last_modified",
            Self::SameTag => "same_tag",
            Self::OmittedTag => "omitted_tag",
            Self::UnregisteredSerialNumber => "unregistered_serial_number",
            Self::UnchangedPersonalization => "unchanged_personalization",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_named_by_its_cause() {
        let line = "[2016-08-28 11:57:01 -0400] Register task (for device 0123456789abcdef0123456789abcdef, pass type \
                    pass.a, serial number 1; with web service url https://a) encountered error: Authentication failure";
        assert_eq!(Cause::of(line), Cause::AuthenticationFailure);
        assert_eq!(Cause::of("something new"), Cause::Unknown);
        let personalization =
            "Personalization request was issued for serial number 1, but the pass was unchanged.";
        assert_eq!(Cause::of(personalization), Cause::UnchangedPersonalization);
    }

    #[test]
    fn identifiers_and_tokens_are_shortened() {
        let shown = readable(
            "Register task (for device my-very-secret-device, pass type pass.a) token 0123456789abcdef0123",
        );
        assert_eq!(shown, "Register task (for device my-ver…, pass type pass.a) token 012345…");
        assert_eq!(
            readable("returned no serial numbers. (Device = 0123456789abcdef0123456789abcdef)"),
            "returned no serial numbers. (Device = 012345…)"
        );
    }

    #[test]
    fn control_characters_and_endless_lines_do_not_reach_the_log() {
        assert_eq!(readable("a\nb\u{1b}[31mc"), "a b [31mc");
        assert_eq!(readable(&"ü".repeat(5000)).chars().count(), CHARACTERS);
    }
}
