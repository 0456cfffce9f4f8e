//! `upcomingPassInformation`: the further events of a poster event ticket (iOS 26).
//!
//! <https://developer.apple.com/documentation/walletpasses/pass/upcomingpassinformation-data.dictionary>

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::finding::{Findings, quoted};
use crate::lint::fields;
use crate::lint::group::Group;
use crate::lint::semantics;
use crate::lint::shape::{Kind, Shape, check_members, check_value, objects, require};
use crate::lint::ticket::Ticket;
use crate::pointer::at;

/// The largest image that a phone loads, in bytes.
const MOST_BYTES: f64 = 2.0 * 1024.0 * 1024.0;

/// The hex digits of a SHA-256.
const SHA_256_DIGITS: usize = 64;

const SHAPE: Shape = &[
    ("identifier", Kind::Text),
    ("type", Kind::OneOf(&["event"])),
    ("name", Kind::Text),
    ("dateInformation", Kind::Object),
    ("isActive", Kind::Bool),
    ("URLs", Kind::Object),
    ("images", Kind::Object),
    ("auxiliaryStoreIdentifiers", Kind::NumberList),
];

const DATE_INFORMATION: Shape = &[
    ("date", Kind::Date),
    ("timeZone", Kind::Text),
    ("ignoreTimeComponents", Kind::Bool),
    ("isAllDay", Kind::Bool),
    ("isUnannounced", Kind::Bool),
    ("isUndetermined", Kind::Bool),
];

const IMAGE: Shape = &[("reuseExisting", Kind::Bool)];

const IMAGE_URL: Shape =
    &[("URL", Kind::Text), ("SHA256", Kind::Text), ("scale", Kind::Number), ("size", Kind::Number)];

pub(super) fn check(findings: &mut Findings, ticket: Ticket<'_>) {
    let Some(entries) = ticket.content.get("upcomingPassInformation") else { return };
    if !entries.is_array() {
        // Reported with the other keys of the top.
        return;
    }
    let mut identifiers = HashSet::new();
    for (pointer, entry) in objects(findings, "/upcomingPassInformation", entries) {
        require(findings, "upcoming_incomplete", &pointer, entry, &["identifier", "type", "name"]);
        check_members(findings, &pointer, entry, SHAPE);
        if let Some(identifier) = entry.get("identifier").and_then(Value::as_str)
            && !identifiers.insert(identifier)
        {
            let detail = format!("the identifier {} is taken by another entry", quoted(identifier));
            findings.error("upcoming_repeated", &at(&pointer, "identifier"), detail);
        }
        check_entry(findings, &pointer, ticket, entry);
    }
}

fn check_entry(findings: &mut Findings, pointer: &str, ticket: Ticket<'_>, entry: &Map<String, Value>) {
    let object = |key: &str| entry.get(key).and_then(Value::as_object);
    if let Some(date) = object("dateInformation") {
        check_members(findings, &at(pointer, "dateInformation"), date, DATE_INFORMATION);
    }
    for (key, url) in object("URLs").into_iter().flatten() {
        check_value(findings, &at(&at(pointer, "URLs"), key), url, Kind::Url);
    }
    if let Some(tags) = entry.get("semantics") {
        semantics::check(findings, &at(pointer, "semantics"), ticket.style, tags);
    }
    for group in [Group::AdditionalInfo, Group::Back] {
        let Some(list) = entry.get(group.key()) else { continue };
        for (pointer, field) in objects(findings, &at(pointer, group.key()), list) {
            fields::check(findings, &pointer, ticket.style, group, field);
        }
    }
    for name in ["headerImage", "venueMap"] {
        let Some(image) = object("images").and_then(|images| images.get(name)) else { continue };
        check_image(findings, &at(&at(pointer, "images"), name), image);
    }
}

/// A phone loads an image of an entry by itself, and takes it only with the digest that is promised.
fn check_image(findings: &mut Findings, pointer: &str, image: &Value) {
    check_value(findings, pointer, image, Kind::Object);
    let Some(image) = image.as_object() else { return };
    check_members(findings, pointer, image, IMAGE);
    let Some(urls) = image.get("URLs") else { return };
    for (pointer, entry) in objects(findings, &at(pointer, "URLs"), urls) {
        require(findings, "upcoming_incomplete", &pointer, entry, &["URL", "SHA256"]);
        check_members(findings, &pointer, entry, IMAGE_URL);
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        if let Some(url) = text("URL").filter(|url| !is_https(url)) {
            let detail = format!("{} is not an https:// address, and phones load no other", quoted(url));
            findings.error("upcoming_url_invalid", &at(&pointer, "URL"), detail);
        }
        let is_digest =
            |text: &str| text.len() == SHA_256_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(digest) = text("SHA256").filter(|text| !is_digest(text)) {
            let detail = format!("{} is not a SHA-256 in 64 hex digits", quoted(digest));
            findings.error("upcoming_digest_invalid", &at(&pointer, "SHA256"), detail);
        }
        if let Some(size) = entry.get("size").and_then(Value::as_f64).filter(|size| *size > MOST_BYTES) {
            let detail = format!("{size} bytes; phones load images of at most {MOST_BYTES} bytes (2 MiB)");
            findings.error("upcoming_image_too_large", &at(&pointer, "size"), detail);
        }
    }
}

fn is_https(url: &str) -> bool {
    let rest =
        url.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://")).and_then(|_| url.get(8..));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace))
}
