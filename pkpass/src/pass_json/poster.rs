//! The poster look of event tickets (iOS 18 and later).
//!
//! <https://developer.apple.com/documentation/walletpasses/creating-a-poster-event-pass>

use serde_json::{Map, Value, json};

use crate::pass_json::loose::{are_loose_fields_mapped, can_be_shown};
use crate::{TicketStyle, ZonedDate};

/// The style scheme that is the poster look.
pub(crate) const POSTER_SCHEME: &str = "posterEventTicket";

/// The style schemes that ask for the poster look and fall back to the plain one.
pub(crate) const SCHEMES: [&str; 2] = [POSTER_SCHEME, "eventTicket"];

/// The style scheme that is the boarding pass of iOS 26.
pub(crate) const SEMANTIC_BOARDING_SCHEME: &str = "semanticBoardingPass";

/// The style schemes that Wallet knows for a style.
pub(crate) fn schemes_of(style: TicketStyle) -> &'static [&'static str] {
    match style {
        TicketStyle::Event => &SCHEMES,
        TicketStyle::Boarding => &[SEMANTIC_BOARDING_SCHEME, "boardingPass"],
        TicketStyle::Coupon | TicketStyle::Generic | TicketStyle::StoreCard => &[],
    }
}

/// Whether a content, or a finished pass, asks for the poster look itself.
pub(crate) fn asks_for_poster(content: &Map<String, Value>) -> bool {
    let schemes = content.get("preferredStyleSchemes").and_then(Value::as_array);
    schemes.into_iter().flatten().any(|scheme| scheme == POSTER_SCHEME)
}

/// Asks for the poster look and fills the semantic tags it needs from the loose fields. Tags of the content itself always win.
pub(super) fn ask_for_poster(pass: &mut Map<String, Value>, style: TicketStyle) {
    match style {
        TicketStyle::Event => {
            if !pass.contains_key("preferredStyleSchemes") {
                pass.insert("preferredStyleSchemes".to_owned(), json!(SCHEMES));
            }
            if are_loose_fields_mapped(pass, style) {
                fill_semantics(pass);
            }
        }
        // Wallet has no poster look for them.
        TicketStyle::Boarding | TicketStyle::Coupon | TicketStyle::Generic | TicketStyle::StoreCard => {}
    }
}

fn fill_semantics(pass: &mut Map<String, Value>) {
    let tags = semantics_from_loose_fields(pass);
    if tags.is_empty() {
        return;
    }
    let semantics = pass.entry("semantics").or_insert_with(|| json!({}));
    if let Value::Object(semantics) = semantics {
        for (tag, value) in tags {
            semantics.entry(tag).or_insert(value);
        }
    }
}

/// The semantic tags that the loose fields of this content stand for. Tags are strings, so a number is written out.
pub(crate) fn semantics_from_loose_fields(content: &Map<String, Value>) -> Map<String, Value> {
    let mut tags = Map::new();
    for name in ["eventName", "venueName"] {
        if let Some(value) = content.get(name).filter(|value| can_be_shown(value)) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            tags.insert(name.to_owned(), Value::String(text));
        }
    }
    if let Some(date) = content.get("eventDateISO").and_then(Value::as_str)
        && ZonedDate::parse(date).is_ok()
    {
        tags.insert("eventStartDate".to_owned(), json!(date));
    }
    tags
}
