//! Semantic tags, at the top of the pass or in a field.
//!
//! Tags of another style than the pass has are unknown keys here and left alone.
//!
//! <https://developer.apple.com/documentation/walletpasses/semantictags>

use serde_json::{Map, Value};

use crate::TicketStyle;
use crate::finding::Findings;
use crate::lint::currency::check_currency_code;
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

/// Tags of boarding passes, those of trains and flights included, and both spellings of tags that Apple renamed.
const BOARDING_TAGS: Shape = &[
    ("confirmationNumber", Kind::Text),
    ("boardingGroup", Kind::Text),
    ("boardingZone", Kind::Text),
    ("boardingSequenceNumber", Kind::Text),
    ("priorityStatus", Kind::Text),
    ("securityScreening", Kind::Text),
    ("membershipProgramName", Kind::Text),
    ("membershipProgramNumber", Kind::Text),
    ("membershipProgramStatus", Kind::Text),
    ("ticketFareClass", Kind::Text),
    ("transitProvider", Kind::Text),
    ("transitStatus", Kind::Text),
    ("transitStatusReason", Kind::Text),
    ("vehicleName", Kind::Text),
    ("vehicleNumber", Kind::Text),
    ("vehicleType", Kind::Text),
    ("departureCityName", Kind::Text),
    ("destinationCityName", Kind::Text),
    ("departureLocationDescription", Kind::Text),
    ("destinationLocationDescription", Kind::Text),
    ("originalDepartureDate", Kind::Date),
    ("originalArrivalDate", Kind::Date),
    ("originalBoardingDate", Kind::Date),
    ("currentDepartureDate", Kind::Date),
    ("currentArrivalDate", Kind::Date),
    ("currentBoardingDate", Kind::Date),
    ("airlineCode", Kind::Text),
    ("flightCode", Kind::Text),
    ("flightNumber", Kind::Number),
    ("departureAirportCode", Kind::Text),
    ("destinationAirportCode", Kind::Text),
    ("departureAirportName", Kind::Text),
    ("destinationAirportName", Kind::Text),
    ("departureGate", Kind::Text),
    ("destinationGate", Kind::Text),
    ("departureTerminal", Kind::Text),
    ("destinationTerminal", Kind::Text),
    ("departureLocationTimeZone", Kind::Text),
    ("destinationLocationTimeZone", Kind::Text),
    ("departureAirportTimeZone", Kind::Text),
    ("destinationAirportTimeZone", Kind::Text),
    ("departureLocationSecurityPrograms", Kind::TextList),
    ("destinationLocationSecurityPrograms", Kind::TextList),
    ("departureAirportSecurityPrograms", Kind::TextList),
    ("destinationAirportSecurityPrograms", Kind::TextList),
    ("passengerEligibleSecurityPrograms", Kind::TextList),
    ("passengerCapabilities", Kind::TextList),
    ("passengerAirlineSSRs", Kind::TextList),
    ("passengerInformationSSRs", Kind::TextList),
    ("passengerServiceSSRs", Kind::TextList),
    ("internationalDocumentsAreVerified", Kind::Bool),
    ("internationalDocumentsVerifiedDeclarationName", Kind::Text),
    ("loungePlaceIDs", Kind::TextList),
    ("airlineLoungePlaceID", Kind::Text),
    ("carNumber", Kind::Text),
    ("departurePlatform", Kind::Text),
    ("destinationPlatform", Kind::Text),
    ("departureStationName", Kind::Text),
    ("destinationStationName", Kind::Text),
];

const PERSON_NAME: Shape = &[
    ("givenName", Kind::Text),
    ("familyName", Kind::Text),
    ("middleName", Kind::Text),
    ("namePrefix", Kind::Text),
    ("nameSuffix", Kind::Text),
    ("nickname", Kind::Text),
    ("phoneticRepresentation", Kind::Text),
];

const CURRENCY_AMOUNT: Shape = &[("amount", Kind::Text), ("currencyCode", Kind::Text)];

const WIFI_NETWORK: Shape = &[("ssid", Kind::Text), ("password", Kind::Text)];

const SEAT: Shape = &[
    ("seatSection", Kind::TextNotNumber),
    ("seatRow", Kind::TextNotNumber),
    ("seatNumber", Kind::TextNotNumber),
    ("seatIdentifier", Kind::TextNotNumber),
    ("seatType", Kind::TextNotNumber),
    ("seatDescription", Kind::TextNotNumber),
    ("seatAisle", Kind::TextNotNumber),
    ("seatLevel", Kind::TextNotNumber),
    ("seatSectionColor", Kind::Color),
];

const EVENT_DATE_INFO: Shape = &[
    ("date", Kind::Date),
    ("ignoreTimeComponents", Kind::Bool),
    ("timeZone", Kind::Text),
    ("unannounced", Kind::Bool),
    ("undetermined", Kind::Bool),
];

pub(super) fn check(findings: &mut Findings, pointer: &str, style: TicketStyle, tags: &Value) {
    let Some(tags) = tags.as_object() else {
        // The one at the top is reported with the other keys there.
        if pointer != "/semantics" {
            check_value(findings, pointer, tags, Kind::Object);
        }
        return;
    };
    check_members(findings, pointer, tags, TAGS);
    check_objects(findings, pointer, tags, &["totalPrice", "venueLocation", "eventStartDateInfo"]);
    match style {
        TicketStyle::Boarding => {
            check_members(findings, pointer, tags, BOARDING_TAGS);
            let objects = ["departureLocation", "destinationLocation", "passengerName"];
            check_objects(findings, pointer, tags, &objects);
        }
        TicketStyle::StoreCard => check_objects(findings, pointer, tags, &["balance"]),
        TicketStyle::Coupon | TicketStyle::Event | TicketStyle::Generic => {}
    }
    check_lists(findings, pointer, tags);
}

/// Tags whose value is one object.
fn check_objects(findings: &mut Findings, parent: &str, tags: &Map<String, Value>, names: &[&str]) {
    for tag in names {
        let (Some(value), pointer) = (tags.get(*tag), at(parent, tag)) else { continue };
        check_value(findings, &pointer, value, Kind::Object);
        let Some(object) = value.as_object() else { continue };
        match *tag {
            "totalPrice" | "balance" => {
                check_members(findings, &pointer, object, CURRENCY_AMOUNT);
                check_currency_code(findings, &pointer, object);
            }
            "venueLocation" | "departureLocation" | "destinationLocation" => {
                check_location(findings, &pointer, object);
            }
            "passengerName" => check_members(findings, &pointer, object, PERSON_NAME),
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
