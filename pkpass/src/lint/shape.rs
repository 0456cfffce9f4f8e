//! The types of JSON values that pass.json distinguishes.

use serde_json::{Map, Value};

use crate::ZonedDate;
use crate::color::{Color, read_color};
use crate::finding::{Findings, quoted};
use crate::pointer::at;

/// The type that a value must have.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    TextOrNumber,
    /// Text, of which a number is not shown: a warning.
    TextNotNumber,
    Number,
    Bool,
    Object,
    Array,
    TextList,
    NumberList,
    /// A string that [`ZonedDate`] reads.
    Date,
    /// A string that is a colour.
    Color,
    /// A string that is a URL of any scheme. Wallet leaves out a link that it cannot read: a warning.
    Url,
    /// One of these strings. A newer Wallet may know more: a warning.
    OneOf(&'static [&'static str]),
}

/// Keys of an object with the types of their values. Keys that are absent or not listed are fine.
pub(super) type Shape = &'static [(&'static str, Kind)];

/// Checks the members of an object against a shape.
pub(super) fn check_members(
    findings: &mut Findings,
    parent: &str,
    object: &Map<String, Value>,
    shape: Shape,
) {
    for (key, kind) in shape {
        if let Some(value) = object.get(*key) {
            check_value(findings, &at(parent, key), value, *kind);
        }
    }
}

/// Checks one value.
pub(super) fn check_value(findings: &mut Findings, pointer: &str, value: &Value, kind: Kind) {
    if !has_type(value, kind) {
        let detail = format!("must be {}, not {}", expected(kind), found(value));
        findings.error("wrong_type", pointer, detail);
        return;
    }
    if matches!(kind, Kind::TextNotNumber) && value.is_number() {
        let detail = format!("a number where Wallet reads a string: write \"{value}\"");
        findings.warning("number_for_text", pointer, detail);
    }
    let text = value.as_str().unwrap_or_default();
    match kind {
        Kind::Date => check_date(findings, pointer, text),
        Kind::Color => check_color(findings, pointer, text),
        Kind::Url if !is_url(text) => {
            findings.warning(
                "url_invalid",
                pointer,
                format!("{} is not a URL; Wallet leaves the link out", quoted(text)),
            );
        }
        Kind::OneOf(values) if !values.contains(&text) => {
            findings.warning(
                "unknown_value",
                pointer,
                format!("{} is not known; known are {}", quoted(text), values.join(", ")),
            );
        }
        _ => check_elements(findings, pointer, value, kind),
    }
}

/// The elements of an array of objects; an element that is none is reported and left out.
pub(super) fn objects<'a>(
    findings: &mut Findings,
    pointer: &str,
    value: &'a Value,
) -> Vec<(String, &'a Map<String, Value>)> {
    check_value(findings, pointer, value, Kind::Array);
    let mut objects = Vec::new();
    for (index, element) in value.as_array().into_iter().flatten().enumerate() {
        let pointer = at(pointer, index);
        match element.as_object() {
            Some(object) => objects.push((pointer, object)),
            None => check_value(findings, &pointer, element, Kind::Object),
        }
    }
    objects
}

/// Reports each key that an object cannot do without and does not have.
pub(super) fn require(
    findings: &mut Findings,
    code: &'static str,
    pointer: &str,
    object: &Map<String, Value>,
    keys: &[&str],
) {
    for key in keys.iter().filter(|key| !object.contains_key(**key)) {
        findings.error(code, &at(pointer, key), format!("{key} is missing"));
    }
}

/// Reports a number outside a range.
pub(super) fn check_range(
    findings: &mut Findings,
    pointer: &str,
    value: Option<&Value>,
    range: std::ops::RangeInclusive<f64>,
) {
    if let Some(number) = value.and_then(Value::as_f64)
        && !range.contains(&number)
    {
        let detail = format!("{number} is not between {} and {}", range.start(), range.end());
        findings.error("out_of_range", pointer, detail);
    }
}

fn check_date(findings: &mut Findings, pointer: &str, text: &str) {
    if let Err(error) = ZonedDate::parse(text) {
        findings.error("date_invalid", pointer, format!("{} {error}", quoted(text)));
    }
}

fn check_color(findings: &mut Findings, pointer: &str, text: &str) {
    match read_color(text) {
        Some(Color::Opaque) => {}
        Some(Color::WithAlpha) => {
            let detail =
                "an alpha is not documented, and other readers of passes stumble over it; write rgb(r, g, b)";
            findings.warning("color_alpha", pointer, detail);
        }
        None => {
            let detail = format!(
                "{} is not a colour; write rgb(r, g, b) with integers from 0 to 255, or #RRGGBB",
                quoted(text)
            );
            findings.error("color_invalid", pointer, detail);
        }
    }
}

fn check_elements(findings: &mut Findings, pointer: &str, value: &Value, kind: Kind) {
    let element_kind = match kind {
        Kind::TextList => Kind::Text,
        Kind::NumberList => Kind::Number,
        _ => return,
    };
    for (index, element) in value.as_array().into_iter().flatten().enumerate() {
        check_value(findings, &at(pointer, index), element, element_kind);
    }
}

fn has_type(value: &Value, kind: Kind) -> bool {
    match kind {
        Kind::Text | Kind::Date | Kind::Color | Kind::Url | Kind::OneOf(_) => value.is_string(),
        Kind::TextOrNumber | Kind::TextNotNumber => value.is_string() || value.is_number(),
        Kind::Number => value.is_number(),
        Kind::Bool => value.is_boolean(),
        Kind::Object => value.is_object(),
        Kind::Array | Kind::TextList | Kind::NumberList => value.is_array(),
    }
}

const fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::TextNotNumber | Kind::Url | Kind::OneOf(_) => "a string",
        Kind::TextOrNumber => "a string or a number",
        Kind::Number => "a number",
        Kind::Bool => "true or false",
        Kind::Object => "an object",
        Kind::Array => "an array",
        Kind::TextList => "an array of strings",
        Kind::NumberList => "an array of numbers",
        Kind::Date => "a date (a string)",
        Kind::Color => "a colour (a string)",
    }
}

const fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A scheme, a colon, something behind it, and no spaces.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let rest_is_there = match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => {
            rest.strip_prefix("//").is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
        }
        _ => !rest.is_empty(),
    };
    rest_is_there
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|each| each.is_ascii_alphanumeric() || "+-.".contains(each))
        && !rest.contains(|each: char| each.is_whitespace() || each.is_control())
}
