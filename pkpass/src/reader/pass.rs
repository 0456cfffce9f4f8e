//! Reads pass.json: whether it is complete, whether it is the signer's, and the findings of the linter.

use serde_json::{Map, Value};

use crate::finding::quoted;
use crate::manifest::PASS;
use crate::pass_json::SERVER_KEYS;
use crate::pass_json::poster::asks_for_poster;
use crate::pointer::at;
use crate::reader::json;
use crate::reader::notes::Notes;
use crate::reader::report::{CertificateReport, PassSummary, Problem, in_archive};
use crate::{Finding, PassKind, TicketStyle};

const STYLES: [&str; 5] = ["boardingPass", "coupon", "eventTicket", "generic", "storeCard"];

const SHORTEST_TOKEN: usize = 16;

pub(super) fn parse(bytes: &[u8], notes: &mut Notes) -> Option<Map<String, Value>> {
    let read = json::read(PASS, bytes, notes).and_then(|value| match value {
        Value::Object(pass) => Ok(pass),
        _ => Err("pass.json is not a JSON object".to_owned()),
    });
    read.map_err(|detail| notes.problem_at("pass_unreadable", &in_archive(PASS), detail)).ok()
}

pub(super) fn check(pass: &Map<String, Value>, signer: Option<&CertificateReport>, notes: &mut Notes) {
    if !pass.get("formatVersion").is_some_and(is_one) {
        notes.problem_at("format_version", "/formatVersion", "formatVersion is not 1");
    }
    for key in ["passTypeIdentifier", "serialNumber", "teamIdentifier", "organizationName", "description"] {
        if text(pass, key).is_none_or(str::is_empty) {
            notes.problem_at("pass_incomplete", &at("", key), format!("{key} is missing"));
        }
    }
    let count = styles(pass).count();
    if count != 1 {
        notes.problem(
            "style_count",
            format!("the pass has {count} style dictionaries; it needs one of {}", STYLES.join(", ")),
        );
    }
    if let Some(signer) = signer {
        check_identity(pass, "passTypeIdentifier", "UID", signer.uid.as_deref(), notes);
        check_identity(pass, "teamIdentifier", "OU", signer.ou.as_deref(), notes);
    }
    check_service(pass, notes);
}

fn check_identity(
    pass: &Map<String, Value>,
    key: &str,
    attribute: &str,
    signed: Option<&str>,
    notes: &mut Notes,
) {
    let stated = text(pass, key);
    if stated != signed {
        let (stated, signed) = (stated.unwrap_or("nothing"), signed.unwrap_or("nothing"));
        let detail = format!("{key} is {stated}, but the {attribute} of the certificate is {signed}");
        notes.problem_at("identity_mismatch", &at("", key), detail);
    }
}

/// The web service and its token come together. The token itself is not repeated.
fn check_service(pass: &Map<String, Value>, notes: &mut Notes) {
    let detail = match (text(pass, "webServiceURL"), text(pass, "authenticationToken")) {
        (Some(_), None) => "there is a webServiceURL without an authenticationToken",
        (None, Some(_)) => "there is an authenticationToken without a webServiceURL",
        (Some(_), Some(token)) if token.chars().count() < SHORTEST_TOKEN => {
            "the authenticationToken has fewer than 16 characters"
        }
        _ => return,
    };
    notes.problem_at("web_service", "/webServiceURL", detail);
}

/// The findings of the linter about the part of the pass that is content. The looks of the web service are its business.
pub(super) fn lint(pass: &Map<String, Value>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = web_service_not_https(pass).into_iter().collect();
    if let Some(style) = ticket_style(pass) {
        findings.extend(crate::lint(PassKind::plain(style), &content_of(pass.clone())));
    }
    findings
}

fn web_service_not_https(pass: &Map<String, Value>) -> Option<Finding> {
    let url = text(pass, "webServiceURL").filter(|url| !url.starts_with("https://"))?;
    let detail = format!(
        "{} does not begin with https://; phones ask such a service in developer mode only",
        quoted(url)
    );
    Some(Finding::warning("web_service_not_https", "/webServiceURL", detail))
}

/// What there is to say about the members of a `pass.json` that its web service writes, as far as they are there.
pub fn check_service_keys(pass: &Map<String, Value>) -> Vec<Finding> {
    let mut notes = Notes::default();
    if pass.get("formatVersion").is_some_and(|version| !is_one(version)) {
        notes.problem_at("format_version", "/formatVersion", "formatVersion is not 1");
    }
    check_service(pass, &mut notes);
    notes.problems.iter().map(Problem::to_finding).chain(web_service_not_https(pass)).collect()
}

/// A `pass.json` without these members: the content of the pass.
pub fn content_of(mut pass: Map<String, Value>) -> Map<String, Value> {
    pass.retain(|key, _| !SERVER_KEYS.iter().any(|(server_key, _)| server_key == key));
    pass
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

/// `1.0` is the same number.
fn is_one(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.to_bits() == 1_f64.to_bits())
}

fn styles(pass: &Map<String, Value>) -> impl Iterator<Item = &'static str> {
    STYLES.into_iter().filter(|style| pass.contains_key(*style))
}

fn text<'a>(pass: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    pass.get(key).and_then(Value::as_str)
}
