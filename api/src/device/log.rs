//! The messages of phones: written to our log output, bounded, with the known ones classified by their cause.
//! <https://developer.apple.com/documentation/walletpasses/log-a-message>

use axum::extract::{Request, State};
use honoken_telemetry::log_output::record;
use honoken_telemetry::metrics::{AnonymousLine, MessageClass, Metric};
use honoken_telemetry::request::may_log;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extractors::json_body;
use crate::limits;
use crate::openapi::examples;
use crate::openapi::tags::DEVICE;
use crate::state::AppState;

/// `POST /v1/log`
///
/// Apple: <https://developer.apple.com/documentation/walletpasses/log-a-message>
///
/// Every line is counted by its class. The number of logged lines is limited, for each address and in all; one line reports how many were left out.
///
/// # Errors
/// 413 above 64 KiB, 400 when it is not `{"logs": ["…"]}`.
#[utoipa::path(
    post, path = "/v1/log", tag = DEVICE,
    operation_id = "logMessages", summary = "Log the complaints of a phone", request_body = Body,
    responses((status = 200, description = "The lines are in the log output of the service. No body.")),
)]
pub async fn handler(State(app): State<AppState>, request: Request) -> Result<StatusCode, ApiError> {
    let body = json_body::read(request, limits::LOG_BYTES).await?;
    let lines = lines(&body)?;
    let shown = may_log(AnonymousLine::Phone, lines.len());
    for (number, line) in lines.iter().enumerate() {
        let class = class(line);
        app.metrics.count(Metric::DeviceMessages, &[class.into()]);
        if number < shown {
            log_line(class, &readable(line));
        }
    }
    Ok(StatusCode::OK)
}

/// Reads leniently: nothing of it is stored, and a phone that is refused only tries again.
fn lines(body: &[u8]) -> Result<Vec<String>, ApiError> {
    let body: Body = serde_json::from_slice(body).map_err(|fault| {
        let detail = format!("expected {{\"logs\": [\"…\"]}}, an array of strings: {fault}");
        ApiError::unreadable("invalid", "/logs", detail)
    })?;
    Ok(body.logs)
}

/// The complaints of a phone.
#[derive(Deserialize, ToSchema)]
#[schema(as = PhoneLog, example = examples::phone_log)]
struct Body {
    /// One message each.
    logs: Vec<String>,
}

/// A line for our log output: bounded, without control characters, and with every possible secret shortened.
fn readable(line: &str) -> String {
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut shown = String::new();
    // A word ends at the first character that identifiers, tokens and keys do not contain.
    for piece in line.split_inclusive(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))) {
        let (word, end) = piece.char_indices().last().map_or((piece, ""), |(at, last)| {
            if last.is_alphanumeric() || matches!(last, '_' | '-') { (piece, "") } else { piece.split_at(at) }
        });
        if is_secret(word, &shown) {
            shown.extend(word.chars().take(6));
            shown.push('…');
        } else {
            shown.push_str(word);
        }
        shown.push_str(end);
        if shown.len() > limits::PHONE_LINE_BYTES {
            break;
        }
    }
    record::cut(&shown, limits::PHONE_LINE_BYTES)
}

/// Whether a word is a device library identifier, an authentication token or a key, by the word before it or by its form.
fn is_secret(word: &str, before: &str) -> bool {
    let follows =
        ["device ", "Device = ", "ApplePass ", "AndroidPass ", "Bearer "].iter().any(|w| before.ends_with(w));
    let is_hex = word.len() >= 20 && word.bytes().all(|b| b.is_ascii_hexdigit());
    (follows && word.chars().count() > 6) || is_hex || word.len() >= 40
}

/// Logs a line: a warning when phones miss something. It is never an error: anyone may write here, and must not be able to alarm an
/// operator.
fn log_line(class: MessageClass, line: &str) {
    if is_loss(class) {
        tracing::warn!(phone.class = class.name(), phone.line = line, "a phone complains");
    } else {
        tracing::info!(phone.class = class.name(), phone.line = line, "a phone complains");
    }
}

/// Whether the phone missed a pass, an update or its registration; otherwise it only asked more often than necessary.
fn is_loss(class: MessageClass) -> bool {
    match class {
        MessageClass::AuthenticationFailure
        | MessageClass::UnexpectedResponseCode
        | MessageClass::MalformedResponse
        | MessageClass::InvalidPass
        | MessageClass::WrongPass
        | MessageClass::SameTag
        | MessageClass::OmittedTag => true,
        MessageClass::SpuriousPush
        | MessageClass::UnchangedUpdate
        | MessageClass::IgnoredIfModifiedSince
        | MessageClass::MissingLastModified
        | MessageClass::UnregisteredSerialNumber
        | MessageClass::UnchangedPersonalization
        | MessageClass::Unknown => false,
    }
}

/// Wallet's words, and their classes. The first entry that a line contains counts.
const WORDS: &[(&str, MessageClass)] = &[
    ("Authentication failure", MessageClass::AuthenticationFailure),
    ("Unexpected response code", MessageClass::UnexpectedResponseCode),
    ("Server response was malformed", MessageClass::MalformedResponse),
    ("Received invalid pass data", MessageClass::InvalidPass),
    ("Requested serial number", MessageClass::WrongPass),
    ("Requested pass of type", MessageClass::WrongPass),
    ("spurious push", MessageClass::SpuriousPush),
    ("Personalization request was issued", MessageClass::UnchangedPersonalization),
    ("but the pass was unchanged", MessageClass::UnchangedUpdate),
    ("ignored the 'if-modified-since' header", MessageClass::IgnoredIfModifiedSince),
    ("did not provide a 'last-modified' header", MessageClass::MissingLastModified),
    ("remained the same", MessageClass::SameTag),
    ("omitted a lastUpdated tag", MessageClass::OmittedTag),
    ("Update requested for unregistered serial number", MessageClass::UnregisteredSerialNumber),
];

fn class(line: &str) -> MessageClass {
    let found = WORDS.iter().find(|(words, _)| line.contains(words));
    found.map_or(MessageClass::Unknown, |(_, class)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_named_by_its_cause() {
        let line = "[2016-08-28 11:57:01 -0400] Register task (for device 0123456789abcdef0123456789abcdef, pass type \
                    pass.a, serial number 1; with web service url https://a) encountered error: Authentication failure";
        assert_eq!(class(line), MessageClass::AuthenticationFailure);
        assert_eq!(class("something new"), MessageClass::Unknown);
        let personalization =
            "Personalization request was issued for serial number 1, but the pass was unchanged.";
        assert_eq!(class(personalization), MessageClass::UnchangedPersonalization);
    }

    #[test]
    fn the_troubleshooting_page_says_what_to_do_about_each_class() {
        let page = include_str!("../../../docs/troubleshooting.md");
        let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")).skip(1).collect();
        for class in WORDS.iter().map(|(_, class)| *class).chain([MessageClass::Unknown]) {
            let starts = format!("{}` | ", class.name());
            let about: Vec<_> = rows.iter().filter(|row| row.starts_with(&starts)).collect();
            assert_eq!(about.len(), 1, "one row about {starts}: {about:?}");
        }
        for row in rows.iter().filter(|row| !row.starts_with("unknown`")) {
            let (named, rest) = row.split_once("` | ").expect("a row has cells");
            assert_eq!(
                class(rest.split(" | ").next().unwrap_or_default()).name(),
                named,
                "the words of {row}"
            );
        }
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
        for endless in
            ["ü ".repeat(5000), "ü".repeat(5000), "é-".repeat(500), "Device = 1234567 ".repeat(500)]
        {
            assert!(readable(&endless).len() <= limits::PHONE_LINE_BYTES, "{endless}");
        }
    }

    #[test]
    fn a_secret_at_the_end_of_what_is_shown_is_shortened_before_it_is_cut() {
        let token = "Zm9yIGEgdG9rZW4gb2YgNDMgY2hhcmFjdGVyczEyMzQ";
        let line = format!("{} {token} and more", "x ".repeat(limits::PHONE_LINE_BYTES / 2 - 20));
        let shown = readable(&line);
        assert!(shown.contains("Zm9yIG…") && !shown.contains("Zm9yIGE"), "{shown}");
    }
}
