//! The types of the keys at the top of pass.json, and the rules between them.
//!
//! <https://developer.apple.com/documentation/walletpasses/pass>

use serde_json::{Map, Value};

use crate::TicketStyle;
use crate::finding::Findings;
use crate::lint::Ticket;
use crate::lint::shape::{Kind, Shape, check_members};
use crate::pointer::at;

const SHAPE: Shape = &[
    ("organizationName", Kind::Text),
    ("description", Kind::Text),
    ("sharingProhibited", Kind::Bool),
    ("associatedStoreIdentifiers", Kind::NumberList),
    ("appLaunchURL", Kind::Url),
    ("groupingIdentifier", Kind::Text),
    ("expirationDate", Kind::Date),
    ("relevantDate", Kind::Date),
    ("maxDistance", Kind::Number),
    ("semantics", Kind::Object),
    ("preferredStyleSchemes", Kind::TextList),
    ("backgroundColor", Kind::Color),
    ("foregroundColor", Kind::Color),
    ("labelColor", Kind::Color),
    ("stripColor", Kind::Color),
    ("suppressStripShine", Kind::Bool),
    ("logoText", Kind::Text),
    ("logoSymbolName", Kind::Text),
];

/// Keys that work on poster event tickets only.
const POSTER_SHAPE: Shape = &[
    ("auxiliaryStoreIdentifiers", Kind::NumberList),
    ("upcomingPassInformation", Kind::Array),
    ("footerBackgroundColor", Kind::Color),
    ("useAutomaticColors", Kind::Bool),
    ("suppressHeaderDarkening", Kind::Bool),
    ("eventLogoText", Kind::Text),
    ("bagPolicyURL", Kind::Url),
    ("orderFoodURL", Kind::Url),
    ("parkingInformationURL", Kind::Url),
    ("directionsInformationURL", Kind::Url),
    ("purchaseParkingURL", Kind::Url),
    ("merchandiseURL", Kind::Url),
    ("transitInformationURL", Kind::Url),
    ("accessibilityURL", Kind::Url),
    ("addOnURL", Kind::Url),
    ("contactVenueWebsite", Kind::Url),
    ("contactVenueEmail", Kind::Text),
    ("contactVenuePhoneNumber", Kind::Text),
    ("transferURL", Kind::Url),
    ("sellURL", Kind::Url),
];

pub(super) fn check(findings: &mut Findings, ticket: Ticket<'_>) {
    let content = ticket.content;
    check_members(findings, "", content, SHAPE);
    match ticket.style {
        TicketStyle::Event => {
            check_members(findings, "", content, POSTER_SHAPE);
            if !ticket.poster {
                check_poster_only(findings, content);
            }
        }
    }
    if content.contains_key("appLaunchURL") && !content.contains_key("associatedStoreIdentifiers") {
        let detail = "appLaunchURL opens nothing without associatedStoreIdentifiers";
        findings.warning("store_identifiers_missing", "/appLaunchURL", detail);
    }
    if content.get("maxDistance").and_then(Value::as_f64).is_some_and(|metres| metres < 0.0) {
        findings.warning(
            "out_of_range",
            "/maxDistance",
            "maxDistance is a distance in metres, not below zero",
        );
    }
}

fn check_poster_only(findings: &mut Findings, content: &Map<String, Value>) {
    for (key, _) in POSTER_SHAPE.iter().filter(|(key, _)| content.contains_key(*key)) {
        findings.warning("poster_only", &at("", key), format!("{key} works on poster event tickets only"));
    }
}
