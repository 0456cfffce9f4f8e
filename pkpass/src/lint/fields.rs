//! One field of a pass.
//!
//! <https://developer.apple.com/documentation/walletpasses/passfieldcontent>

use serde_json::{Map, Value};

use crate::finding::Findings;
use crate::lint::currency::check_currency_code;
use crate::lint::group::Group;
use crate::lint::semantics;
use crate::lint::shape::{Kind, Shape, check_members, check_value, require};
use crate::lint::spelling::check_spelling;
use crate::pointer::at;
use crate::{TicketStyle, ZonedDate};

const DATE_STYLES: &[&str] =
    &["PKDateStyleNone", "PKDateStyleShort", "PKDateStyleMedium", "PKDateStyleLong", "PKDateStyleFull"];
const NUMBER_STYLES: &[&str] =
    &["PKNumberStyleDecimal", "PKNumberStylePercent", "PKNumberStyleScientific", "PKNumberStyleSpellOut"];
const TEXT_ALIGNMENTS: &[&str] =
    &["PKTextAlignmentLeft", "PKTextAlignmentCenter", "PKTextAlignmentRight", "PKTextAlignmentNatural"];
const DATA_DETECTOR_TYPES: &[&str] = &[
    "PKDataDetectorTypePhoneNumber",
    "PKDataDetectorTypeLink",
    "PKDataDetectorTypeAddress",
    "PKDataDetectorTypeCalendarEvent",
];

const SHAPE: Shape = &[
    ("key", Kind::Text),
    ("value", Kind::TextOrNumber),
    ("label", Kind::Text),
    ("attributedValue", Kind::TextOrNumber),
    ("changeMessage", Kind::Text),
    ("dataDetectorTypes", Kind::TextList),
    ("textAlignment", Kind::OneOf(TEXT_ALIGNMENTS)),
    ("dateStyle", Kind::OneOf(DATE_STYLES)),
    ("timeStyle", Kind::OneOf(DATE_STYLES)),
    ("ignoresTimeZone", Kind::Bool),
    ("isRelative", Kind::Bool),
    ("numberStyle", Kind::OneOf(NUMBER_STYLES)),
    ("currencyCode", Kind::Text),
    ("row", Kind::Number),
];

pub(super) fn check(
    findings: &mut Findings,
    pointer: &str,
    style: TicketStyle,
    group: Group,
    field: &Map<String, Value>,
) {
    require(findings, "field_incomplete", pointer, field, &["key", "value"]);
    check_members(findings, pointer, field, SHAPE);
    check_spelling(findings, pointer, Some(field), &[SHAPE], &["semantics"]);
    if field.get("key").and_then(Value::as_str) == Some("") {
        findings.error("field_incomplete", &at(pointer, "key"), "the key of a field must not be empty");
    }
    check_date_formatters(findings, pointer, field);
    check_number_formatters(findings, pointer, field);
    check_change_message(findings, pointer, field);
    check_place(findings, pointer, group, field);
    if let Some(tags) = field.get("semantics") {
        semantics::check(findings, &at(pointer, "semantics"), style, tags);
    }
}

/// A formatter that does not fit its value makes the field invalid, and one invalid field the whole pass.
fn check_date_formatters(findings: &mut Findings, pointer: &str, field: &Map<String, Value>) {
    let styles = ["dateStyle", "timeStyle"];
    let is_date =
        field.get("value").and_then(Value::as_str).is_some_and(|text| ZonedDate::parse(text).is_ok());
    if !is_date && field.contains_key("value") {
        for key in styles.into_iter().filter(|key| field.contains_key(*key)) {
            let detail = format!(
                "{key} needs a value that is a date with a time zone, like 2027-03-01T19:30:00+01:00"
            );
            findings.error("formatter_conflict", &at(pointer, key), detail);
        }
        for key in ["ignoresTimeZone", "isRelative"].into_iter().filter(|key| field.contains_key(*key)) {
            findings.warning(
                "ignored_here",
                &at(pointer, key),
                format!("{key} means something for dates only"),
            );
        }
    }
    if let [present] = styles.into_iter().filter(|key| field.contains_key(*key)).collect::<Vec<_>>()[..] {
        let detail = "give both dateStyle and timeStyle; PKDateStyleNone leaves one part out";
        findings.warning("date_style_alone", &at(pointer, present), detail);
    }
}

fn check_number_formatters(findings: &mut Findings, pointer: &str, field: &Map<String, Value>) {
    let is_number = field.get("value").is_some_and(Value::is_number);
    if !is_number && field.contains_key("value") {
        for key in ["numberStyle", "currencyCode"].into_iter().filter(|key| field.contains_key(*key)) {
            let detail = format!("{key} needs a value that is a JSON number, without quotes");
            findings.error("formatter_conflict", &at(pointer, key), detail);
        }
    }
    check_currency_code(findings, pointer, field);
    if field.contains_key("numberStyle") && field.contains_key("currencyCode") {
        let detail = "numberStyle and currencyCode exclude each other: remove one of them";
        findings.error("formatter_ambiguous", &at(pointer, "numberStyle"), detail);
    }
}

fn check_change_message(findings: &mut Findings, pointer: &str, field: &Map<String, Value>) {
    if let Some(message) = field.get("changeMessage").and_then(Value::as_str)
        && !message.contains("%@")
    {
        let detail = "without %@ the notification does not show the new value";
        findings.warning("change_message_placeholder", &at(pointer, "changeMessage"), detail);
    }
}

/// Keys that mean something in some groups only.
fn check_place(findings: &mut Findings, pointer: &str, group: Group, field: &Map<String, Value>) {
    let on_back = group == Group::Back;
    let places = [
        ("textAlignment", !on_back && group != Group::Primary, "not in primary and back fields"),
        // Fields of the event guide behave like those of the back.
        ("dataDetectorTypes", on_back || group == Group::AdditionalInfo, "in back fields only"),
        ("attributedValue", on_back || group == Group::AdditionalInfo, "in back fields only"),
        ("row", group == Group::Auxiliary, "in auxiliary fields only"),
    ];
    for (key, is_read, place) in places {
        if !is_read && field.contains_key(key) {
            findings.warning("ignored_here", &at(pointer, key), format!("{key} is read {place}"));
        }
    }
    if let Some(row) = field.get("row").filter(|row| row.is_number())
        && !matches!(row.as_u64(), Some(0 | 1))
    {
        findings.error("out_of_range", &at(pointer, "row"), "row is 0 or 1");
    }
    let detectors = field.get("dataDetectorTypes").and_then(Value::as_array).into_iter().flatten();
    for (index, detector) in detectors.enumerate().filter(|(_, detector)| detector.is_string()) {
        let pointer = at(&at(pointer, "dataDetectorTypes"), index);
        check_value(findings, &pointer, detector, Kind::OneOf(DATA_DETECTOR_TYPES));
    }
}
