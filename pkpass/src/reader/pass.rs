//! Reads pass.json: whether it is complete, whether it is the signer's, and the findings of the linter.

use serde_json::{Map, Value, json};

use crate::finding::quoted;
use crate::pass_json::SERVER_KEYS;
use crate::pass_json::poster::asks_for_poster;
use crate::reader::{CertificateReport, PassSummary, Problem};
use crate::{Finding, PassKind, TicketStyle};

const STYLES: [&str; 5] = ["boardingPass", "coupon", "eventTicket", "generic", "storeCard"];

const SHORTEST_TOKEN: usize = 16;

pub(super) fn parse(bytes: &[u8], problems: &mut Vec<Problem>) -> Option<Map<String, Value>> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(pass)) => Some(pass),
        Ok(_) => {
            problems.push(Problem::new("pass_unreadable", "pass.json is not a JSON object"));
            None
        }
        Err(error) => {
            // The position only: the message of a parser may quote the content.
            let detail = format!("pass.json is not JSON: line {}, column {}", error.line(), error.column());
            problems.push(Problem::new("pass_unreadable", detail));
            None
        }
    }
}

pub(super) fn check(
    pass: &Map<String, Value>,
    signer: Option<&CertificateReport>,
    problems: &mut Vec<Problem>,
) {
    if pass.get("formatVersion") != Some(&json!(1)) {
        problems.push(Problem::new("format_version", "formatVersion is not 1"));
    }
    for key in ["passTypeIdentifier", "serialNumber", "teamIdentifier", "organizationName", "description"] {
        if text(pass, key).is_none_or(str::is_empty) {
            problems.push(Problem::new("pass_incomplete", format!("{key} is missing")));
        }
    }
    let count = styles(pass).count();
    if count != 1 {
        problems.push(Problem::new(
            "style_count",
            format!("the pass has {count} style dictionaries; it needs one"),
        ));
    }
    if let Some(signer) = signer {
        check_identity(pass, "passTypeIdentifier", "UID", signer.uid.as_deref(), problems);
        check_identity(pass, "teamIdentifier", "OU", signer.ou.as_deref(), problems);
    }
    check_service(pass, problems);
}

fn check_identity(
    pass: &Map<String, Value>,
    key: &str,
    attribute: &str,
    signed: Option<&str>,
    problems: &mut Vec<Problem>,
) {
    let stated = text(pass, key);
    if stated != signed {
        let (stated, signed) = (stated.unwrap_or("nothing"), signed.unwrap_or("nothing"));
        let detail = format!("{key} is {stated}, but the {attribute} of the certificate is {signed}");
        problems.push(Problem::new("identity_mismatch", detail));
    }
}

/// The web service and its token come together. The token itself is not repeated.
fn check_service(pass: &Map<String, Value>, problems: &mut Vec<Problem>) {
    let detail = match (text(pass, "webServiceURL"), text(pass, "authenticationToken")) {
        (Some(_), None) => "there is a webServiceURL without an authenticationToken",
        (None, Some(_)) => "there is an authenticationToken without a webServiceURL",
        (Some(_), Some(token)) if token.chars().count() < SHORTEST_TOKEN => {
            "the authenticationToken has fewer than 16 characters"
        }
        _ => return,
    };
    problems.push(Problem::new("web_service", detail));
}

/// The findings of the linter about the part of the pass that is content. The looks of the web service are its business.
pub(super) fn lint(pass: &Map<String, Value>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(url) = text(pass, "webServiceURL").filter(|url| !url.starts_with("https://")) {
        let detail = format!(
            "{} does not begin with https://; phones ask such a service in developer mode only",
            quoted(url)
        );
        findings.push(Finding::warning("web_service_not_https", "/webServiceURL", detail));
    }
    if let Some(style) = ticket_style(pass) {
        let mut content = pass.clone();
        content.retain(|key, _| !SERVER_KEYS.iter().any(|(server_key, _)| server_key == key));
        findings.extend(crate::lint(PassKind::plain(style), &content));
    }
    findings
}

pub(super) fn summary(pass: &Map<String, Value>) -> PassSummary {
    let owned = |key| text(pass, key).map(str::to_owned);
    PassSummary {
        style: styles(pass).next().map(str::to_owned),
        poster: asks_for_poster(pass),
        pass_type_identifier: owned("passTypeIdentifier"),
        serial_number: owned("serialNumber"),
        team_identifier: owned("teamIdentifier"),
        organization_name: owned("organizationName"),
        description: owned("description"),
        voided: pass.get("voided") == Some(&Value::Bool(true)),
        has_web_service_url: pass.contains_key("webServiceURL"),
        authentication_token_length: text(pass, "authenticationToken").map(|token| token.chars().count()),
        linted: ticket_style(pass).is_some(),
    }
}

/// The style, if it is one that this crate builds.
pub(super) fn ticket_style(pass: &Map<String, Value>) -> Option<TicketStyle> {
    TicketStyle::ALL.into_iter().find(|style| pass.contains_key(style.pass_json_key()))
}

fn styles(pass: &Map<String, Value>) -> impl Iterator<Item = &'static str> {
    STYLES.into_iter().filter(|style| pass.contains_key(*style))
}

fn text<'a>(pass: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    pass.get(key).and_then(Value::as_str)
}
