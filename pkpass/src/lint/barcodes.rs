//! `barcodes` and the deprecated `barcode`.
//!
//! <https://developer.apple.com/documentation/walletpasses/pass/barcodes-data.dictionary>

use serde_json::{Map, Value};

use crate::TicketStyle;
use crate::finding::{Findings, quoted};
use crate::lint::shape::{Kind, Shape, check_members, objects, require};
use crate::lint::spelling::check_spelling;
use crate::lint::ticket::Ticket;
use crate::pointer::at;

const SHAPE: Shape = &[
    ("format", Kind::Text),
    ("message", Kind::Text),
    ("messageEncoding", Kind::Text),
    ("altText", Kind::Text),
];

/// Shown by every system since iOS 9.
const OLD_FORMATS: [&str; 4] =
    ["PKBarcodeFormatQR", "PKBarcodeFormatPDF417", "PKBarcodeFormatAztec", "PKBarcodeFormatCode128"];

/// New on Apple's page of 2026; systems that do not know them need another code to show.
const NEW_FORMATS: [&str; 4] =
    ["PKBarcodeFormatCode39", "PKBarcodeFormatCodabar", "PKBarcodeFormatEAN13", "PKBarcodeFormatI2of5"];

pub(super) fn check(findings: &mut Findings, ticket: Ticket<'_>) {
    let content = ticket.content;
    check_presence(findings, ticket);
    if let Some(barcodes) = content.get("barcodes") {
        let barcodes = objects(findings, "/barcodes", barcodes);
        for (pointer, barcode) in &barcodes {
            check_barcode(findings, pointer, barcode);
        }
        let formats: Vec<&str> = barcodes.iter().filter_map(|(_, barcode)| format_of(barcode)).collect();
        check_fallback(findings, "/barcodes", &formats);
    }
    if let Some(barcode) = content.get("barcode") {
        check_deprecated(findings, barcode, content.contains_key("barcodes"));
    }
    for key in ["barcodes", "barcode"].into_iter().filter(|key| ticket.poster && content.contains_key(*key)) {
        let detail = "Apple documents poster event tickets as not working with barcodes: Wallet may show the plain look";
        findings.warning("poster_barcode", &at("", key), detail);
    }
}

/// A ticket without a code is shown, and can hardly be checked at a door.
fn check_presence(findings: &mut Findings, ticket: Ticket<'_>) {
    let is_ticket = matches!(ticket.style, TicketStyle::Boarding | TicketStyle::Event);
    let has_code = ["barcodes", "barcode", "nfc"].iter().any(|key| ticket.content.contains_key(*key));
    if is_ticket && !has_code && !ticket.poster {
        let detail = "there is no barcode: the staff at the entrance have to read the ticket";
        findings.hint("barcode_missing", "/barcodes", detail);
    }
}

fn check_deprecated(findings: &mut Findings, barcode: &Value, has_barcodes: bool) {
    let Some(barcode) = barcode.as_object() else {
        super::shape::check_value(findings, "/barcode", barcode, Kind::Object);
        return;
    };
    check_barcode(findings, "/barcode", barcode);
    if format_of(barcode) == Some("PKBarcodeFormatCode128") {
        let detail = "barcode never knew Code 128: use barcodes, with another format behind it";
        findings.warning("barcode_fallback_missing", "/barcode/format", detail);
    } else if !has_barcodes {
        check_fallback(findings, "/barcode", format_of(barcode).as_slice());
    }
}

fn check_fallback(findings: &mut Findings, pointer: &str, formats: &[&str]) {
    let needs_fallback = formats.iter().any(|format| NEW_FORMATS.contains(format));
    if needs_fallback && !formats.iter().any(|format| OLD_FORMATS.contains(format)) {
        let detail = format!(
            "older systems do not know {}: add an entry they can show, such as a QR code",
            formats.join(", ")
        );
        findings.warning("barcode_fallback_missing", pointer, detail);
    }
}

fn check_barcode(findings: &mut Findings, pointer: &str, barcode: &Map<String, Value>) {
    require(findings, "barcode_incomplete", pointer, barcode, &["format", "message", "messageEncoding"]);
    check_members(findings, pointer, barcode, SHAPE);
    check_spelling(findings, pointer, Some(barcode), &[SHAPE], &[]);
    if let Some(format) = format_of(barcode)
        && !OLD_FORMATS.contains(&format)
        && !NEW_FORMATS.contains(&format)
    {
        let known = [OLD_FORMATS, NEW_FORMATS].concat().join(", ");
        let detail = format!("{} is not a barcode format; known are {known}", quoted(format));
        findings.error("barcode_format_unknown", &at(pointer, "format"), detail);
    }
    if let (Some(message), Some(encoding)) = (text(barcode, "message"), text(barcode, "messageEncoding")) {
        check_encoding(findings, pointer, message, encoding);
    }
}

fn check_encoding(findings: &mut Findings, pointer: &str, message: &str, encoding: &str) {
    let last = match encoding.to_ascii_lowercase().as_str() {
        "iso-8859-1" | "iso_8859-1" | "latin1" => '\u{ff}',
        "us-ascii" | "ascii" => '\u{7f}',
        "utf-8" => char::MAX,
        _ => {
            let detail = format!(
                "{} is not an encoding this service knows; iso-8859-1 is the usual one",
                quoted(encoding)
            );
            findings.warning("unknown_value", &at(pointer, "messageEncoding"), detail);
            return;
        }
    };
    if let Some(outside) = message.chars().find(|each| *each > last) {
        let detail = format!("{outside:?} cannot be written in {encoding}: use utf-8 as messageEncoding");
        findings.error("barcode_not_encodable", &at(pointer, "message"), detail);
    }
}

fn format_of(barcode: &Map<String, Value>) -> Option<&str> {
    text(barcode, "format")
}

fn text<'a>(barcode: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    barcode.get(key).and_then(Value::as_str)
}
