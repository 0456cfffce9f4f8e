//! Old and new spellings of the same thing, so that old and new phones both find theirs.

use serde_json::{Map, Value};

use crate::TicketStyle;

/// Writes the spelling that is missing. Never changes one that is there.
pub(super) fn add_aliases(pass: &mut Map<String, Value>, style: TicketStyle) {
    barcode_to_barcodes(pass);
    if style == TicketStyle::Boarding
        && let Some(Value::Object(tags)) = pass.get_mut("semantics")
    {
        both_names_of_tags(tags);
    }
    if let Some(Value::Array(entries)) = pass.get_mut("relevantDates") {
        entries.iter_mut().filter_map(Value::as_object_mut).for_each(both_relevant_dates);
    }
}

/// Tags of boarding passes that Apple renamed: the spelling of 2025, and that of 2026. Which system reads which is not documented.
pub(crate) const RENAMED_TAGS: [(&str, &str); 4] = [
    ("departureAirportTimeZone", "departureLocationTimeZone"),
    ("destinationAirportTimeZone", "destinationLocationTimeZone"),
    ("departureAirportSecurityPrograms", "departureLocationSecurityPrograms"),
    ("destinationAirportSecurityPrograms", "destinationLocationSecurityPrograms"),
];

/// <https://developer.apple.com/documentation/walletpasses/semantictags>
fn both_names_of_tags(tags: &mut Map<String, Value>) {
    for (old, new) in RENAMED_TAGS {
        for (given, missing) in [(old, new), (new, old)] {
            if !tags.contains_key(missing)
                && let Some(value) = tags.get(given).cloned()
            {
                tags.insert(missing.to_owned(), value);
            }
        }
    }
}

/// `barcode` is deprecated since iOS 9; newer systems look at `barcodes` first.
///
/// <https://developer.apple.com/documentation/walletpasses/pass/barcodes-data.dictionary>
fn barcode_to_barcodes(pass: &mut Map<String, Value>) {
    if pass.contains_key("barcodes") {
        return;
    }
    if let Some(barcode) = pass.get("barcode").filter(|barcode| barcode.is_object()).cloned() {
        pass.insert("barcodes".to_owned(), Value::Array(vec![barcode]));
    }
}

/// The documentation says `date`, the first builds of iOS 18 read `relevantDate`.
///
/// <https://developer.apple.com/documentation/walletpasses/pass/relevantdates-data.dictionary>
fn both_relevant_dates(entry: &mut Map<String, Value>) {
    for (given, missing) in [("date", "relevantDate"), ("relevantDate", "date")] {
        if !entry.contains_key(missing)
            && let Some(date) = entry.get(given).filter(|date| date.is_string()).cloned()
        {
            entry.insert(missing.to_owned(), date);
        }
    }
}
