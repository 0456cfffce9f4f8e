//! What phones complain about: into our log, bounded, with the known messages named by their cause.
//! <https://developer.apple.com/documentation/walletpasses/log-a-message>

use axum::extract::{Request, State};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::ApiError;
use crate::metrics::{MessageClass, Metric};
use crate::openapi::{DEVICE, examples};
use crate::{json_body, limits};

/// Lines of one request that are written to the log.
const LINES: usize = 100;

/// Characters of one line that are written to the log.
const CHARACTERS: usize = 1000;

/// `POST /v1/log`
///
/// Apple: <https://developer.apple.com/documentation/walletpasses/log-a-message>
///
/// # Errors
/// 413 above 64 KiB, 400 when it is not `{"logs": ["…"]}`.
#[utoipa::path(
    post, path = "/v1/log", tag = DEVICE,
    operation_id = "logMessages", summary = "Take what a phone complains about", request_body = Body,
    responses((status = 200, description = "The lines are in the log of the service. No body.")),
)]
pub async fn handler(State(app): State<AppState>, request: Request) -> Result<StatusCode, ApiError> {
    let body = json_body::read(request, limits::LOG_BYTES).await?;
    let lines = lines(&body)?;
    for (number, line) in lines.iter().enumerate() {
        let class = class(line);
        app.metrics.count(Metric::DeviceMessages, &[class.into()]);
        if number < LINES {
            tell(class, &readable(line));
        }
    }
    if lines.len() > LINES {
        tracing::info!("a phone sent {} more lines, which are counted and not shown", lines.len() - LINES);
    }
    Ok(StatusCode::OK)
}

/// Read leniently: nothing of it is kept, and a phone that is refused only tries again.
fn lines(body: &[u8]) -> Result<Vec<String>, ApiError> {
    let body: Body = serde_json::from_slice(body).map_err(|fault| {
        let detail = format!("expected {{\"logs\": [\"…\"]}}, an array of strings: {fault}");
        ApiError::unreadable("invalid", "/logs", detail)
    })?;
    Ok(body.logs)
}

/// What a phone complains about.
#[derive(Deserialize, ToSchema)]
#[schema(as = PhoneLog, example = examples::phone_log)]
struct Body {
    /// One message each.
    logs: Vec<String>,
}

/// A line for our log: bounded, without control characters, and with everything shortened that is or may be a secret.
fn readable(line: &str) -> String {
    let line: String = line.chars().take(CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut shown = String::new();
    // Words end where none of the characters of identifiers, tokens and keys goes on.
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
    }
    shown
}

/// A device library identifier, an authentication token or a key: by the word before it, or by its looks.
fn is_secret(word: &str, before: &str) -> bool {
    let follows =
        ["device ", "Device = ", "ApplePass ", "AndroidPass ", "Bearer "].iter().any(|w| before.ends_with(w));
    let is_hex = word.len() >= 20 && word.bytes().all(|b| b.is_ascii_hexdigit());
    (follows && word.chars().count() > 6) || is_hex || word.len() >= 40
}

/// A warning when phones do without something. Never an error: anybody may write here, and an operator is not to be woken by anybody.
fn tell(class: MessageClass, line: &str) {
    if is_loss(class) {
        tracing::warn!(phone.class = class.name(), phone.line = line, "a phone complains");
    } else {
        tracing::info!(phone.class = class.name(), phone.line = line, "a phone complains");
    }
}

/// Whether the phone was left without a pass, an update or its registration; else it only asked more often than it had to.
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

/// Wallet's words, and what they mean. The first that a line holds counts.
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
        assert_eq!(readable(&"ü ".repeat(5000)).chars().count(), CHARACTERS);
    }
}
