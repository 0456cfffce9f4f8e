//! `relevantDates`: when the pass is offered on the lock screen (iOS 18 and later).
//!
//! <https://developer.apple.com/documentation/walletpasses/pass/relevantdates-data.dictionary>

use serde_json::{Map, Value};

use crate::ZonedDate;
use crate::finding::Findings;
use crate::lint::shape::{Kind, Shape, check_members, objects};
use crate::pointer::at;

const DAY_SECONDS: i64 = 24 * 60 * 60;

const SHAPE: Shape =
    &[("date", Kind::Date), ("relevantDate", Kind::Date), ("startDate", Kind::Date), ("endDate", Kind::Date)];

pub(super) fn check(findings: &mut Findings, content: &Map<String, Value>) {
    let Some(entries) = content.get("relevantDates") else { return };
    for (pointer, entry) in objects(findings, "/relevantDates", entries) {
        check_members(findings, &pointer, entry, SHAPE);
        check_form(findings, &pointer, entry);
        check_span(findings, &pointer, entry);
    }
}

/// An entry is a moment or an interval.
fn check_form(findings: &mut Findings, pointer: &str, entry: &Map<String, Value>) {
    let has = |key| entry.contains_key(key);
    let is_moment = has("date") || has("relevantDate");
    let missing = match (has("startDate"), has("endDate")) {
        (true, false) => "endDate",
        (false, true) => "startDate",
        (false, false) if !is_moment => "date",
        _ => return,
    };
    let detail = "an entry needs either date, or both startDate and endDate";
    findings.error("relevant_date_incomplete", &at(pointer, missing), detail);
}

fn check_span(findings: &mut Findings, pointer: &str, entry: &Map<String, Value>) {
    let moment = |key| entry.get(key).and_then(Value::as_str).and_then(|text| ZonedDate::parse(text).ok());
    let (Some(start), Some(end)) = (moment("startDate"), moment("endDate")) else { return };
    let span = end.unix_seconds() - start.unix_seconds();
    if span <= 0 {
        findings.error(
            "relevant_date_order",
            &at(pointer, "endDate"),
            "endDate must be later than startDate",
        );
    } else if span > DAY_SECONDS {
        let detail = "an interval longer than 24 hours is not taken as relevant for all of it";
        findings.warning("relevant_date_span", &at(pointer, "endDate"), detail);
    }
}
