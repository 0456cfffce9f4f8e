//! The styles beside event tickets: what is found in them, and what becomes of them.

use serde_json::{Map, Value, json};

use crate::Severity::{Error, Hint, Warning};
use crate::tests::fixtures::{object, source};
use crate::{PassKind, Severity, TicketStyle, lint, missing_images, pass_json};

const OTHERS: [TicketStyle; 4] =
    [TicketStyle::Boarding, TicketStyle::Coupon, TicketStyle::Generic, TicketStyle::StoreCard];

/// A content about which there is nothing to say.
fn good(style: TicketStyle) -> Map<String, Value> {
    let mut dictionary = json!({ "primaryFields": [{ "key": "main", "value": 5 }] });
    if style == TicketStyle::Boarding {
        dictionary["transitType"] = json!("PKTransitTypeTrain");
    }
    let mut content = object(json!({ "description": "A pass", style.pass_json_key(): dictionary }));
    if style == TicketStyle::Boarding {
        content.insert("barcodes".to_owned(), json!([code()]));
    }
    content
}

fn code() -> Value {
    json!({ "format": "PKBarcodeFormatAztec", "message": "M1", "messageEncoding": "iso-8859-1" })
}

fn good_with(style: TicketStyle, keys: Value) -> Map<String, Value> {
    let mut content = good(style);
    content.extend(object(keys));
    content
}

#[track_caller]
fn check(style: TicketStyle, content: &Map<String, Value>, expected: &[(Severity, &str, &str)]) {
    let findings = lint(PassKind::plain(style), content);
    let found: Vec<_> =
        findings.iter().map(|each| (each.severity, &*each.code, each.pointer.as_str())).collect();
    assert_eq!(found, expected, "{style}: {}", Value::Object(content.clone()));
}

fn fields(count: usize, prefix: &str) -> Value {
    (0..count).map(|at| json!({ "key": format!("{prefix}{at}"), "value": at })).collect()
}

#[test]
fn a_good_pass_of_every_style_has_no_findings() {
    for style in OTHERS {
        check(style, &good(style), &[]);
    }
}

#[test]
fn a_pass_has_the_dictionary_of_its_own_style_and_no_other() {
    for style in OTHERS {
        for other in TicketStyle::ALL.into_iter().filter(|other| *other != style) {
            let key = other.pass_json_key();
            let pointer = format!("/{key}");
            check(style, &good_with(style, json!({ key: {} })), &[(Error, "other_style", &pointer)]);
        }
    }
}

#[test]
fn a_boarding_pass_says_what_it_is_for_and_no_other_pass_does() {
    let pointer = "/boardingPass/transitType";
    let with = |transit_type: Value| {
        let mut content = good(TicketStyle::Boarding);
        content["boardingPass"]["transitType"] = transit_type;
        content
    };
    for name in ["Air", "Boat", "Bus", "Generic", "Train"] {
        check(TicketStyle::Boarding, &with(json!(format!("PKTransitType{name}"))), &[]);
    }
    check(TicketStyle::Boarding, &with(json!("air")), &[(Error, "transit_type_unknown", pointer)]);
    check(TicketStyle::Boarding, &with(json!(1)), &[(Error, "wrong_type", pointer)]);
    let mut without = good(TicketStyle::Boarding);
    without["boardingPass"].as_object_mut().unwrap().remove("transitType");
    check(TicketStyle::Boarding, &without, &[(Error, "transit_type_missing", pointer)]);
    let bare = object(json!({ "description": "A pass" }));
    let expected = [
        (Error, "transit_type_missing", pointer),
        (Warning, "primary_field_missing", "/boardingPass"),
        (Hint, "barcode_missing", "/barcodes"),
    ];
    check(TicketStyle::Boarding, &bare, &expected);
    for style in [TicketStyle::Coupon, TicketStyle::Generic, TicketStyle::StoreCard] {
        let mut content = good(style);
        content[style.pass_json_key()]["transitType"] = json!("PKTransitTypeAir");
        let pointer = format!("/{}/transitType", style.pass_json_key());
        check(style, &content, &[(Error, "transit_type_forbidden", &pointer)]);
    }
}

#[test]
fn without_a_dictionary_the_front_shows_the_description() {
    for style in [TicketStyle::Coupon, TicketStyle::Generic, TicketStyle::StoreCard] {
        let content = object(json!({ "description": "Ten percent", "eventName": "Night" }));
        let own = format!("/{}", style.pass_json_key());
        let expected = [
            (Warning, "loose_field_ignored", "/eventName"),
            (Warning, "primary_field_missing", own.as_str()),
        ];
        check(style, &content, &expected);
        let mut source = source(&content);
        source.kind.style = style;
        let pass: Value = serde_json::from_slice(&pass_json(&source, &[])).unwrap();
        let expected = json!({ "primaryFields": [{ "key": "description", "value": "Ten percent" }] });
        assert_eq!(pass[style.pass_json_key()], expected);
        assert_eq!(pass["eventName"], "Night", "a loose field is an unknown key here, and kept");
        assert_eq!(pass.get("eventTicket"), None);
    }
}

#[test]
fn a_dictionary_is_left_as_it_is() {
    for style in OTHERS {
        let content = good_with(style, json!({ "unknownKey": [1] }));
        let mut source = source(&content);
        (source.kind.style, source.kind.poster) = (style, true);
        let pass: Value = serde_json::from_slice(&pass_json(&source, &[])).unwrap();
        assert_eq!(pass[style.pass_json_key()], content[style.pass_json_key()]);
        assert_eq!(pass["unknownKey"], json!([1]));
        assert_eq!(pass.get("preferredStyleSchemes"), None, "there is no poster look to ask for");
    }
}

#[test]
fn more_fields_than_fit_are_a_warning() {
    let cases = [
        (TicketStyle::Boarding, "primaryFields", 2),
        (TicketStyle::Boarding, "auxiliaryFields", 5),
        (TicketStyle::Boarding, "secondaryFields", 4),
        (TicketStyle::Generic, "primaryFields", 1),
        (TicketStyle::Generic, "auxiliaryFields", 4),
        (TicketStyle::Coupon, "headerFields", 3),
        (TicketStyle::StoreCard, "secondaryFields", 4),
    ];
    for (style, group, most) in cases {
        let own = style.pass_json_key();
        let mut content = good(style);
        content[own][group] = fields(most, "k");
        check(style, &content, &[]);
        content[own][group] = fields(most + 1, "k");
        check(style, &content, &[(Warning, "too_many_fields", &format!("/{own}/{group}"))]);
    }
    for style in [TicketStyle::Coupon, TicketStyle::StoreCard] {
        let own = style.pass_json_key();
        let mut content = good(style);
        (content[own]["secondaryFields"], content[own]["auxiliaryFields"]) = (fields(2, "s"), fields(2, "a"));
        check(style, &content, &[]);
        content[own]["auxiliaryFields"] = fields(3, "a");
        check(style, &content, &[(Warning, "too_many_fields", &format!("/{own}/auxiliaryFields"))]);
    }
}

#[test]
fn keys_of_other_styles_are_ignored_with_a_warning() {
    let cases = [
        (TicketStyle::StoreCard, json!({ "groupingIdentifier": "g" }), "ignored_here", "/groupingIdentifier"),
        (TicketStyle::Coupon, json!({ "sellURL": "https://example.com" }), "poster_only", "/sellURL"),
        (TicketStyle::Generic, json!({ "eventLogoText": "x" }), "poster_only", "/eventLogoText"),
        (
            TicketStyle::StoreCard,
            json!({ "preferredStyleSchemes": ["posterEventTicket"] }),
            "unknown_value",
            "/preferredStyleSchemes/0",
        ),
        (
            TicketStyle::Boarding,
            json!({ "preferredStyleSchemes": ["posterEventTicket"] }),
            "unknown_value",
            "/preferredStyleSchemes/0",
        ),
        (TicketStyle::Boarding, json!({ "changeSeatURL": "nowhere" }), "url_invalid", "/changeSeatURL"),
    ];
    for (style, keys, code, pointer) in cases {
        check(style, &good_with(style, keys), &[(Warning, code, pointer)]);
    }
    let read = [
        (TicketStyle::Boarding, json!({ "groupingIdentifier": "g", "orderFoodURL": "https://example.com" })),
        (TicketStyle::Generic, json!({ "suppressHeaderDarkening": true })),
    ];
    for (style, keys) in read {
        check(style, &good_with(style, keys), &[]);
    }
}

#[test]
fn tags_have_the_type_that_their_style_gives_them() {
    let flight = json!({ "semantics": { "flightNumber": "815", "passengerName": { "givenName": 1 }, "originalDepartureDate": "soon" } });
    let expected = [
        (Error, "wrong_type", "/semantics/flightNumber"),
        (Error, "date_invalid", "/semantics/originalDepartureDate"),
        (Error, "wrong_type", "/semantics/passengerName/givenName"),
    ];
    let mut found: Vec<_> =
        lint(PassKind::plain(TicketStyle::Boarding), &good_with(TicketStyle::Boarding, flight.clone()))
            .into_iter()
            .map(|each| (each.severity, each.code.into_owned(), each.pointer))
            .collect();
    found.sort_by(|one, other| one.2.cmp(&other.2));
    let expected: Vec<_> =
        expected.into_iter().map(|(severity, code, at)| (severity, code.to_owned(), at.to_owned())).collect();
    assert_eq!(found, expected);
    check(TicketStyle::Coupon, &good_with(TicketStyle::Coupon, flight), &[]);
    let balance = json!({ "semantics": { "balance": { "amount": 5, "currencyCode": "EUR" } } });
    let wrong = [(Error, "wrong_type", "/semantics/balance/amount")];
    check(TicketStyle::StoreCard, &good_with(TicketStyle::StoreCard, balance.clone()), &wrong);
    check(TicketStyle::Coupon, &good_with(TicketStyle::Coupon, balance), &[]);
}

#[test]
fn a_semantic_boarding_pass_says_what_it_lacks() {
    let keys = json!({ "preferredStyleSchemes": ["semanticBoardingPass", "boardingPass"], "semantics": {
        "airlineCode": "EX", "flightNumber": 815, "departureAirportCode": "MUC", "destinationAirportCode": "HND",
        "departureCityName": "Munich", "departureAirportTimeZone": "Europe/Berlin", "destinationLocationTimeZone": "Asia/Tokyo",
        "originalDepartureDate": "2027-03-01T19:30+01:00", "originalBoardingDate": "2027-03-01T19:00+01:00",
        "originalArrivalDate": "2027-03-02T14:30+09:00", "passengerName": { "givenName": "Ada" },
    } });
    let mut content = good_with(TicketStyle::Boarding, keys);
    let not_air = (Warning, "boarding_incomplete", "/boardingPass/transitType");
    let no_city = (Warning, "boarding_incomplete", "/semantics/destinationCityName");
    check(TicketStyle::Boarding, &content, &[not_air, no_city]);
    content["boardingPass"]["transitType"] = json!("PKTransitTypeAir");
    content["semantics"]["destinationCityName"] = json!("Tokyo");
    check(TicketStyle::Boarding, &content, &[]);

    let mut source = source(&content);
    source.kind.style = TicketStyle::Boarding;
    let pass: Value = serde_json::from_slice(&pass_json(&source, &[])).unwrap();
    for name in ["departureAirportTimeZone", "departureLocationTimeZone"] {
        assert_eq!(pass["semantics"][name], "Europe/Berlin", "both spellings are there: {name}");
    }
    assert_eq!(pass["semantics"]["destinationAirportTimeZone"], "Asia/Tokyo");
}

#[test]
fn every_style_needs_an_icon_and_nothing_else() {
    for style in OTHERS {
        let missing = missing_images(PassKind::plain(style), std::iter::empty());
        let pointers: Vec<&str> = missing.iter().map(|each| each.pointer.as_str()).collect();
        assert_eq!(pointers, ["/assets/icon.png"], "{style}");
    }
}
