//! The types of the keys at the top of pass.json, and the rules between them.
//!
//! <https://developer.apple.com/documentation/walletpasses/pass>

use serde_json::{Map, Value};

use crate::TicketStyle;
use crate::finding::Findings;
use crate::lint::group::DICTIONARY_KEYS;
use crate::lint::shape::{Kind, Shape, check_members};
use crate::lint::spelling::{check_place, check_spelling};
use crate::lint::ticket::Ticket;
use crate::pass_json::SERVER_KEYS;
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

/// Keys that the boarding passes of iOS 26 show as links, and that no other pass has.
const BOARDING_SHAPE: Shape = &[
    ("changeSeatURL", Kind::Url),
    ("entertainmentURL", Kind::Url),
    ("purchaseAdditionalBaggageURL", Kind::Url),
    ("purchaseLoungeAccessURL", Kind::Url),
    ("purchaseWifiURL", Kind::Url),
    ("upgradeURL", Kind::Url),
    ("managementURL", Kind::Url),
    ("registerServiceAnimalURL", Kind::Url),
    ("reportLostBagURL", Kind::Url),
    ("requestWheelchairURL", Kind::Url),
    ("trackBagsURL", Kind::Url),
    ("transitProviderEmail", Kind::Text),
    ("transitProviderPhoneNumber", Kind::Text),
    ("transitProviderWebsiteURL", Kind::Url),
    ("businessChatIdentifier", Kind::Text),
];

/// Keys of [`POSTER_SHAPE`] that mean something on other passes too: meals on a boarding pass, the header of a posterGeneric.
const fn also_read(style: TicketStyle) -> &'static [&'static str] {
    match style {
        TicketStyle::Boarding => &["orderFoodURL"],
        TicketStyle::Generic => &["suppressHeaderDarkening"],
        TicketStyle::Coupon | TicketStyle::Event | TicketStyle::StoreCard => &[],
    }
}

/// Keys that other files of the linter look at, and those that only a person or an app reads.
const OTHER_KEYS: &[&str] = &[
    "barcodes",
    "barcode",
    "nfc",
    "locations",
    "beacons",
    "relevantDates",
    "featuredActions",
    "userInfo",
    "boardingPass",
    "coupon",
    "eventTicket",
    "generic",
    "storeCard",
    "posterGeneric",
];

/// Keys of the top of a pass that mean nothing inside a style dictionary.
pub(super) fn top_level_keys() -> impl Iterator<Item = &'static str> {
    SHAPE.iter().map(|(key, _)| *key).chain(OTHER_KEYS.iter().copied())
}

pub(super) fn check(findings: &mut Findings, ticket: Ticket<'_>) {
    let content = ticket.content;
    let server_keys = SERVER_KEYS.map(|(key, _)| key);
    let others = [OTHER_KEYS, &server_keys, &DICTIONARY_KEYS].concat();
    check_spelling(findings, "", Some(content), &[SHAPE, POSTER_SHAPE, BOARDING_SHAPE], &others);
    let place = format!("into `{}`", ticket.style.pass_json_key());
    check_place(findings, "", content, DICTIONARY_KEYS.into_iter(), &place);
    check_members(findings, "", content, SHAPE);
    check_members(findings, "", content, POSTER_SHAPE);
    if !ticket.poster {
        check_poster_only(findings, content, also_read(ticket.style));
    }
    match ticket.style {
        TicketStyle::Boarding => check_members(findings, "", content, BOARDING_SHAPE),
        TicketStyle::Event => {}
        TicketStyle::Coupon | TicketStyle::Generic | TicketStyle::StoreCard => {
            if content.contains_key("groupingIdentifier") {
                let detail = "groupingIdentifier groups event tickets and boarding passes only";
                findings.warning("ignored_here", "/groupingIdentifier", detail);
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

fn check_poster_only(findings: &mut Findings, content: &Map<String, Value>, also_read: &[&str]) {
    let ignored = |key: &str| content.contains_key(key) && !also_read.contains(&key);
    for (key, _) in POSTER_SHAPE.iter().filter(|(key, _)| ignored(key)) {
        findings.warning("poster_only", &at("", key), format!("{key} works on poster event tickets only"));
    }
}
