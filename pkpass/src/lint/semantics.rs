//! Semantic tags of event tickets, at the top of the pass or in a field.
//!
//! Tags of other styles are unknown keys here and left alone.
//!
//! <https://developer.apple.com/documentation/walletpasses/semantictags>

use serde_json::{Map, Value};

use crate::finding::Findings;
use crate::lint::fields::check_currency_code;
use crate::lint::places::check_location;
use crate::lint::shape::{Kind, Shape, check_members, check_value, objects, require};
use crate::pointer::at;

const EVENT_TYPES: &[&str] = &[
    "PKEventTypeGeneric",
    "PKEventTypeLivePerformance",
    "PKEventTypeMovie",
    "PKEventTypeSports",
    "PKEventTypeConference",
    "PKEventTypeConvention",
    "PKEventTypeWorkshop",
    "PKEventTypeSocialGathering",
];

const TAGS: Shape = &[
    ("duration", Kind::Number),
    ("silenceRequested", Kind::Bool),
    ("eventType", Kind::OneOf(EVENT_TYPES)),
    ("eventName", Kind::Text),
    ("eventStartDate", Kind::Date),
    ("eventEndDate", Kind::Date),
    ("attendeeName", Kind::Text),
    ("admissionLevel", Kind::Text),
    ("admissionLevelAbbreviation", Kind::Text),
    ("additionalTicketAttributes", Kind::Text),
    ("entranceDescription", Kind::Text),
    ("genre", Kind::Text),
    ("tailgatingAllowed", Kind::Bool),
    ("performerNames", Kind::TextList),
    ("artistIDs", Kind::TextList),
    ("albumIDs", Kind::TextList),
    ("playlistIDs", Kind::TextList),
    ("venueName", Kind::Text),
    ("venueRegionName", Kind::Text),
    ("venueRoom", Kind::Text),
    ("venueEntrance", Kind::Text),
    ("venueEntranceDoor", Kind::Text),
    ("venueEntranceGate", Kind::Text),
    ("venueEntrancePortal", Kind::Text),
    ("venuePhoneNumber", Kind::Text),
    ("venuePlaceID", Kind::Text),
    ("venueOpenDate", Kind::Date),
    ("venueCloseDate", Kind::Date),
    ("venueDoorsOpenDate", Kind::Date),
    ("venueGatesOpenDate", Kind::Date),
    ("venueBoxOfficeOpenDate", Kind::Date),
    ("venueParkingLotsOpenDate", Kind::Date),
    ("venueFanZoneOpenDate", Kind::Date),
    ("sportName", Kind::Text),
    ("leagueName", Kind::Text),
    ("leagueAbbreviation", Kind::Text),
    ("homeTeamName", Kind::Text),
    ("homeTeamLocation", Kind::Text),
    ("homeTeamAbbreviation", Kind::Text),
    ("awayTeamName", Kind::Text),
    ("awayTeamLocation", Kind::Text),
    ("awayTeamAbbreviation", Kind::Text),
];

const CURRENCY_AMOUNT: Shape = &[("amount", Kind::Text), ("currencyCode", Kind::Text)];

const WIFI_NETWORK: Shape = &[("ssid", Kind::Text), ("password", Kind::Text)];

const SEAT: Shape = &[
    ("seatSection", Kind::Text),
    ("seatRow", Kind::Text),
    ("seatNumber", Kind::Text),
    ("seatIdentifier", Kind::Text),
    ("seatType", Kind::Text),
    ("seatDescription", Kind::Text),
    ("seatAisle", Kind::Text),
    ("seatLevel", Kind::Text),
    ("seatSectionColor", Kind::Color),
];

const EVENT_DATE_INFO: Shape = &[
    ("date", Kind::Date),
    ("ignoreTimeComponents", Kind::Bool),
    ("timeZone", Kind::Text),
    ("unannounced", Kind::Bool),
    ("undetermined", Kind::Bool),
];

pub(super) fn check(findings: &mut Findings, pointer: &str, tags: &Value) {
    let Some(tags) = tags.as_object() else {
        // The one at the top is reported with the other keys there.
        if pointer != "/semantics" {
            check_value(findings, pointer, tags, Kind::Object);
        }
        return;
    };
    check_members(findings, pointer, tags, TAGS);
    check_objects(findings, pointer, tags);
    check_lists(findings, pointer, tags);
}

/// Tags whose value is one object.
fn check_objects(findings: &mut Findings, parent: &str, tags: &Map<String, Value>) {
    for tag in ["totalPrice", "venueLocation", "eventStartDateInfo"] {
        let (Some(value), pointer) = (tags.get(tag), at(parent, tag)) else { continue };
        check_value(findings, &pointer, value, Kind::Object);
        let Some(object) = value.as_object() else { continue };
        match tag {
            "totalPrice" => {
                check_members(findings, &pointer, object, CURRENCY_AMOUNT);
                check_currency_code(findings, &pointer, object);
            }
            "venueLocation" => check_location(findings, &pointer, object),
            _ => check_members(findings, &pointer, object, EVENT_DATE_INFO),
        }
    }
}

/// Tags whose value is an array of objects.
fn check_lists(findings: &mut Findings, parent: &str, tags: &Map<String, Value>) {
    if let Some(seats) = tags.get("seats") {
        for (pointer, seat) in objects(findings, &at(parent, "seats"), seats) {
            check_members(findings, &pointer, seat, SEAT);
        }
    }
    if let Some(networks) = tags.get("wifiAccess") {
        for (pointer, network) in objects(findings, &at(parent, "wifiAccess"), networks) {
            require(findings, "wifi_incomplete", &pointer, network, &["ssid", "password"]);
            check_members(findings, &pointer, network, WIFI_NETWORK);
        }
    }
}
