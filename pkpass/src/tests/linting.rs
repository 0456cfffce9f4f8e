//! The rules, one line each: what is sent, what is found, where.

use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use serde_json::{Map, Value, json};

use crate::Severity::{Error, Hint, Warning};
use crate::tests::fixtures::object;
use crate::{Finding, MAX_FINDINGS, PassKind, Severity, TicketStyle};

type Expected = (Severity, &'static str, &'static str);

/// A content about which there is nothing to say.
fn good() -> Map<String, Value> {
    object(json!({
        "description": "A ticket",
        "eventTicket": { "primaryFields": [{ "key": "event", "value": "Night" }] },
    }))
}

/// The findings but for the hint that there is no barcode: hardly any of these tickets has one.
fn lint(kind: PassKind, content: &Map<String, Value>) -> Vec<Finding> {
    let findings = crate::lint(kind, content).into_iter();
    findings.filter(|finding| finding.code != "barcode_missing").collect()
}

fn good_with(keys: Value) -> Map<String, Value> {
    let mut content = good();
    content.extend(object(keys));
    content
}

/// The good content with one more field in a group.
fn with_field(group: &str, field: Value) -> Map<String, Value> {
    let mut content = good();
    let fields = content["eventTicket"].as_object_mut().unwrap().entry(group).or_insert_with(|| json!([]));
    fields.as_array_mut().unwrap().push(field);
    content
}

#[track_caller]
fn assert_findings(poster: bool, content: &Map<String, Value>, expected: &[Expected]) {
    let findings = lint(PassKind { style: TicketStyle::Event, poster }, content);
    let found: Vec<(Severity, &str, &str)> =
        findings.iter().map(|each| (each.severity, &*each.code, each.pointer.as_str())).collect();
    assert_eq!(found, expected, "{}\n{findings:#?}", Value::Object(content.clone()));
    for finding in findings {
        assert!(finding.pointer == "/description" || !finding.detail.is_empty());
    }
}

/// Each case: keys added to the good content, and the one finding they cause.
#[track_caller]
fn assert_cases<const N: usize>(cases: [(Value, Expected); N]) {
    for (keys, expected) in cases {
        assert_findings(false, &good_with(keys), &[expected]);
    }
}

#[test]
fn a_good_ticket_has_no_findings() {
    assert_findings(false, &good(), &[]);
    let loose = json!({
        "description": "A ticket", "eventName": "Night", "eventDateISO": "2027-03-01T19:30+01:00", "venueName": 5,
        "seat": 7, "section": "A",
    });
    assert_findings(false, &object(loose), &[]);
}

#[test]
fn a_ticket_that_uses_everything_rightly_has_no_findings() {
    let content = good_with(json!({
        "formatVersion": 1, "organizationName": "O", "sharingProhibited": true, "userInfo": [null],
        "associatedStoreIdentifiers": [1], "appLaunchURL": "app:open", "groupingIdentifier": "g",
        "expirationDate": "2027-03-01T19:30Z", "relevantDate": "2027-03-01T19:30:00.000Z", "maxDistance": 50,
        "backgroundColor": "rgb(1, 2, 3)", "foregroundColor": "#fff", "labelColor": "#00FF00", "logoText": "L",
        "suppressStripShine": false,
        "locations": [{ "latitude": -90, "longitude": 180, "altitude": 5, "relevantText": "near" }],
        "beacons": [{ "proximityUUID": "E2C56DB5-DFFB-48D2-B060-D0F5A71096E0", "major": 0, "minor": 65535 }],
        "barcodes": [
            { "format": "PKBarcodeFormatEAN13", "message": "1", "messageEncoding": "us-ascii" },
            { "format": "PKBarcodeFormatQR", "message": "é", "messageEncoding": "ISO-8859-1", "altText": "1" },
        ],
        "relevantDates": [
            { "date": "2027-03-01T19:30Z" }, { "relevantDate": "2027-03-01T19:30Z" },
            { "startDate": "2027-03-01T19:30+01:00", "endDate": "2027-03-02T19:30+01:00" },
        ],
        "featuredActions": [
            { "identifier": "a", "type": "call", "url": "tel:+1" },
            { "identifier": "b", "type": "place", "placeIdentifier": "p" },
        ],
        "semantics": {
            "eventType": "PKEventTypeMovie", "eventStartDate": "2027-03-01T19:30Z", "performerNames": ["A"],
            "seats": [{ "seatRow": "1", "seatSectionColor": "#fff" }], "duration": 90,
            "totalPrice": { "amount": "9.50", "currencyCode": "EUR" },
            "venueLocation": { "latitude": 1, "longitude": 2 },
            "wifiAccess": [{ "ssid": "s", "password": "p" }],
            "eventStartDateInfo": { "date": "2027-03-01T19:30Z", "unannounced": false, "timeZone": "Europe/Berlin" },
            "flightNumber": "not ours to judge",
        },
        "x-unknown": { "anything": [1] },
        "eventTicket": {
            "headerFields": [{ "key": "h", "label": "L", "value": 5, "currencyCode": "EUR", "changeMessage": "now %@" }],
            "primaryFields": [{
                "key": "p", "value": "2027-03-01T19:30Z", "dateStyle": "PKDateStyleFull",
                "timeStyle": "PKDateStyleNone", "ignoresTimeZone": true, "isRelative": false,
            }],
            "secondaryFields": [{ "key": "s", "value": "x", "textAlignment": "PKTextAlignmentRight" }],
            "auxiliaryFields": [
                { "key": "a0", "value": 0.5, "numberStyle": "PKNumberStylePercent", "row": 0 },
                { "key": "a1", "value": "x", "row": 1, "semantics": { "genre": "Rock" } },
                { "key": "a2", "value": "x", "row": 1 }, { "key": "a3", "value": "x", "row": 1 },
                { "key": "a4", "value": "x", "row": 1 },
            ],
            "backFields": [{
                "key": "b", "value": "x", "attributedValue": "<a href='https://x.example'>x</a>",
                "dataDetectorTypes": ["PKDataDetectorTypeLink"],
            }],
            "additionalInfoFields": [{ "key": "i", "value": "x" }],
        },
    }));
    assert_findings(false, &content, &[]);
}

#[test]
fn keys_of_the_server_are_errors() {
    assert_cases([
        (json!({ "formatVersion": 2 }), (Error, "server_key", "/formatVersion")),
        (json!({ "formatVersion": "1" }), (Error, "server_key", "/formatVersion")),
        (json!({ "passTypeIdentifier": "pass.x" }), (Error, "server_key", "/passTypeIdentifier")),
        (json!({ "serialNumber": "1" }), (Error, "server_key", "/serialNumber")),
        (json!({ "teamIdentifier": "T" }), (Error, "server_key", "/teamIdentifier")),
        (json!({ "webServiceURL": "https://x.example" }), (Error, "server_key", "/webServiceURL")),
        (json!({ "authenticationToken": "t" }), (Error, "server_key", "/authenticationToken")),
        (json!({ "voided": true }), (Error, "server_key", "/voided")),
        (json!({ "voided": 0 }), (Error, "server_key", "/voided")),
    ]);
    let findings = lint(PassKind::plain(TicketStyle::Event), &good_with(json!({ "voided": true })));
    assert!(findings[0].detail.contains("POST …/void"), "{}", findings[0]);
    assert_findings(false, &good_with(json!({ "voided": false, "formatVersion": 1 })), &[]);
}

#[test]
fn types_at_the_top_are_checked() {
    assert_cases([
        (json!({ "organizationName": 5 }), (Error, "wrong_type", "/organizationName")),
        (json!({ "description": null }), (Error, "wrong_type", "/description")),
        (json!({ "sharingProhibited": "true" }), (Error, "wrong_type", "/sharingProhibited")),
        (json!({ "associatedStoreIdentifiers": 5 }), (Error, "wrong_type", "/associatedStoreIdentifiers")),
        (
            json!({ "associatedStoreIdentifiers": [1, "2"] }),
            (Error, "wrong_type", "/associatedStoreIdentifiers/1"),
        ),
        (json!({ "maxDistance": "50" }), (Error, "wrong_type", "/maxDistance")),
        (json!({ "maxDistance": -1 }), (Warning, "out_of_range", "/maxDistance")),
        (json!({ "groupingIdentifier": [] }), (Error, "wrong_type", "/groupingIdentifier")),
        (json!({ "semantics": [] }), (Error, "wrong_type", "/semantics")),
        (json!({ "suppressStripShine": 0 }), (Error, "wrong_type", "/suppressStripShine")),
        (json!({ "logoText": {} }), (Error, "wrong_type", "/logoText")),
        (json!({ "locations": {} }), (Error, "wrong_type", "/locations")),
        (json!({ "beacons": [5] }), (Error, "wrong_type", "/beacons/0")),
        (json!({ "barcodes": {} }), (Error, "wrong_type", "/barcodes")),
        (json!({ "barcode": [] }), (Error, "wrong_type", "/barcode")),
        (json!({ "nfc": "x" }), (Error, "wrong_type", "/nfc")),
        (json!({ "relevantDates": "x" }), (Error, "wrong_type", "/relevantDates")),
        (json!({ "featuredActions": 1 }), (Error, "wrong_type", "/featuredActions")),
        (json!({ "preferredStyleSchemes": "eventTicket" }), (Error, "wrong_type", "/preferredStyleSchemes")),
        (json!({ "preferredStyleSchemes": [1] }), (Error, "wrong_type", "/preferredStyleSchemes/0")),
        (json!({ "preferredStyleSchemes": ["x"] }), (Warning, "unknown_value", "/preferredStyleSchemes/0")),
        (json!({ "appLaunchURL": "app:x" }), (Warning, "store_identifiers_missing", "/appLaunchURL")),
    ]);
}

#[test]
fn dates_and_colours_at_the_top_are_checked() {
    assert_cases([
        (json!({ "expirationDate": "2027-03-01T19:30" }), (Error, "date_invalid", "/expirationDate")),
        (json!({ "expirationDate": "2027-02-30T19:30Z" }), (Error, "date_invalid", "/expirationDate")),
        (json!({ "relevantDate": 5 }), (Error, "wrong_type", "/relevantDate")),
        (json!({ "backgroundColor": "red" }), (Error, "color_invalid", "/backgroundColor")),
        (json!({ "foregroundColor": "rgb(0, 0, 256)" }), (Error, "color_invalid", "/foregroundColor")),
        (json!({ "labelColor": 5 }), (Error, "wrong_type", "/labelColor")),
        (json!({ "stripColor": "" }), (Error, "color_invalid", "/stripColor")),
        (json!({ "labelColor": "rgba(255, 255, 255, 0.75)" }), (Warning, "color_alpha", "/labelColor")),
    ]);
    let spelled = json!({ "labelColor": " RGB(1, 2, 3) ", "backgroundColor": "Rgb(1,2,3)" });
    assert_findings(false, &good_with(spelled), &[]);
}

#[test]
fn keys_of_posters_are_ignored_on_plain_tickets() {
    assert_cases([
        (json!({ "eventLogoText": "x" }), (Warning, "poster_only", "/eventLogoText")),
        (json!({ "useAutomaticColors": true }), (Warning, "poster_only", "/useAutomaticColors")),
        (json!({ "bagPolicyURL": "https://x.example" }), (Warning, "poster_only", "/bagPolicyURL")),
        (json!({ "upcomingPassInformation": [] }), (Warning, "poster_only", "/upcomingPassInformation")),
    ]);
}

#[test]
fn a_missing_description_is_replaced_with_a_warning() {
    let ticket = json!({ "primaryFields": [{ "key": "a", "value": "x" }] });
    let missing = (Warning, "description_missing", "/description");
    assert_findings(false, &object(json!({ "eventTicket": ticket })), &[missing]);
    assert_findings(false, &object(json!({ "eventTicket": ticket, "description": "" })), &[missing]);
    let detail = |content| lint(PassKind::plain(TicketStyle::Event), &object(content))[0].detail.clone();
    assert!(detail(json!({ "eventName": "E", "organizationName": "O" })).contains("using eventName:"));
    assert!(detail(json!({ "organizationName": "O" })).contains("using organizationName:"));
    assert!(detail(json!({})).contains("using the name of the organisation:"));
}

#[test]
fn a_ticket_has_one_style() {
    for style in ["boardingPass", "coupon", "generic", "storeCard"] {
        let findings = lint(PassKind::plain(TicketStyle::Event), &good_with(json!({ style: {} })));
        assert_eq!((findings.len(), &*findings[0].code), (1, "other_style"), "{style}");
        assert_eq!((findings[0].severity, findings[0].pointer.clone()), (Error, format!("/{style}")));
    }
    assert_cases([
        (json!({ "posterGeneric": {} }), (Warning, "needs_ios_27", "/posterGeneric")),
        (json!({ "eventTicket": 5 }), (Error, "wrong_type", "/eventTicket")),
        (json!({ "eventTicket": {} }), (Warning, "primary_field_missing", "/eventTicket/primaryFields")),
    ]);
}

#[test]
fn groups_of_fields_are_checked() {
    let mut content = good();
    content["eventTicket"]["transitType"] = json!("PKTransitTypeAir");
    content["eventTicket"]["footerFields"] = json!([]);
    content["eventTicket"]["backFields"] = json!({});
    content["eventTicket"]["headerFields"] = json!(["x"]);
    assert_findings(
        false,
        &content,
        &[
            (Error, "wrong_type", "/eventTicket/headerFields/0"),
            (Error, "wrong_type", "/eventTicket/backFields"),
            (Error, "transit_type_forbidden", "/eventTicket/transitType"),
            (Warning, "ignored_here", "/eventTicket/footerFields"),
        ],
    );
}

#[test]
fn more_fields_than_fit_are_a_warning() {
    for (group, most) in
        [("headerFields", 3), ("primaryFields", 1), ("secondaryFields", 4), ("auxiliaryFields", 4)]
    {
        let fields =
            |count| (0..count).map(|index| json!({ "key": format!("k{index}"), "value": index })).collect();
        let mut content = good();
        content["eventTicket"][group] = Value::Array(fields(most));
        assert_findings(false, &content, &[]);
        content["eventTicket"][group] = Value::Array(fields(most + 1));
        let findings = lint(PassKind::plain(TicketStyle::Event), &content);
        assert_eq!((findings.len(), &*findings[0].code), (1, "too_many_fields"), "{group}");
        assert_eq!(
            (findings[0].severity, findings[0].pointer.clone()),
            (Warning, format!("/eventTicket/{group}"))
        );
    }
}

#[test]
fn field_keys_are_unique_on_the_front_and_better_so_in_the_whole_ticket() {
    for group in ["secondaryFields", "auxiliaryFields"] {
        let content = with_field(group, json!({ "key": "event", "value": "again" }));
        let pointer = format!("/eventTicket/{group}/0/key");
        let found = lint(PassKind::plain(TicketStyle::Event), &content);
        assert_eq!(
            (found.len(), found[0].severity, &*found[0].code, &*found[0].pointer),
            (1, Error, "field_key_repeated", &*pointer)
        );
    }
    for group in ["backFields", "additionalInfoFields"] {
        let content = with_field(group, json!({ "key": "event", "value": "again" }));
        let pointer = format!("/eventTicket/{group}/0/key");
        let found = lint(PassKind::plain(TicketStyle::Event), &content);
        assert_eq!(
            (found.len(), found[0].severity, &*found[0].code, &*found[0].pointer),
            (1, Warning, "field_key_repeated", &*pointer)
        );
    }
    let mut twice_behind = with_field("backFields", json!({ "key": "b", "value": 1 }));
    twice_behind["eventTicket"]["backFields"].as_array_mut().unwrap().push(json!({ "key": "b", "value": 2 }));
    assert_findings(
        false,
        &twice_behind,
        &[(Warning, "field_key_repeated", "/eventTicket/backFields/1/key")],
    );
    let mut other_style = good();
    other_style
        .insert("posterGeneric".to_owned(), json!({ "footerFields": [{ "key": "event", "value": 1 }] }));
    assert_findings(false, &other_style, &[(Warning, "needs_ios_27", "/posterGeneric")]);
}

#[test]
fn fields_are_checked() {
    let date = "2027-03-01T19:30Z";
    let cases: Vec<(Value, Severity, &str, &str)> = vec![
        (json!({ "value": "x" }), Error, "field_incomplete", "key"),
        (json!({ "key": "", "value": "x" }), Error, "field_incomplete", "key"),
        (json!({ "key": 5, "value": "x" }), Error, "wrong_type", "key"),
        (json!({ "key": "k" }), Error, "field_incomplete", "value"),
        (json!({ "key": "k", "value": true }), Error, "wrong_type", "value"),
        (json!({ "key": "k", "value": null }), Error, "wrong_type", "value"),
        (json!({ "key": "k", "value": "x", "label": 5 }), Error, "wrong_type", "label"),
        (json!({ "key": "k", "value": "x", "changeMessage": 5 }), Error, "wrong_type", "changeMessage"),
        (
            json!({ "key": "k", "value": "x", "changeMessage": "new" }),
            Warning,
            "change_message_placeholder",
            "changeMessage",
        ),
        (
            json!({ "key": "k", "value": "x", "attributedValue": "y" }),
            Warning,
            "ignored_here",
            "attributedValue",
        ),
        (
            json!({ "key": "k", "value": "x", "dataDetectorTypes": [] }),
            Warning,
            "ignored_here",
            "dataDetectorTypes",
        ),
        (json!({ "key": "k", "value": "x", "row": 0 }), Warning, "ignored_here", "row"),
        (
            json!({ "key": "k", "value": "x", "textAlignment": "left" }),
            Warning,
            "unknown_value",
            "textAlignment",
        ),
        (
            json!({ "key": "k", "value": date, "dateStyle": "PKDateStyleFull" }),
            Warning,
            "date_style_alone",
            "dateStyle",
        ),
        (
            json!({ "key": "k", "value": date, "timeStyle": "PKDateStyleFull" }),
            Warning,
            "date_style_alone",
            "timeStyle",
        ),
        (json!({ "key": "k", "value": "x", "isRelative": true }), Warning, "ignored_here", "isRelative"),
        (json!({ "key": "k", "value": date, "isRelative": 1 }), Error, "wrong_type", "isRelative"),
        (
            json!({ "key": "k", "value": 5, "ignoresTimeZone": true }),
            Warning,
            "ignored_here",
            "ignoresTimeZone",
        ),
        (
            json!({ "key": "k", "value": "5", "numberStyle": "PKNumberStyleDecimal" }),
            Error,
            "formatter_conflict",
            "numberStyle",
        ),
        (
            json!({ "key": "k", "value": 5, "numberStyle": "Decimal" }),
            Warning,
            "unknown_value",
            "numberStyle",
        ),
        (
            json!({ "key": "k", "value": "5", "currencyCode": "EUR" }),
            Error,
            "formatter_conflict",
            "currencyCode",
        ),
        (
            json!({ "key": "k", "value": 5, "currencyCode": "Euro" }),
            Error,
            "currency_code_invalid",
            "currencyCode",
        ),
        (json!({ "key": "k", "value": 5, "currencyCode": 978 }), Error, "wrong_type", "currencyCode"),
        (
            json!({ "key": "k", "value": 5, "currencyCode": "EUR", "numberStyle": "PKNumberStyleDecimal" }),
            Error,
            "formatter_ambiguous",
            "numberStyle",
        ),
        (json!({ "key": "k", "value": "x", "semantics": 5 }), Error, "wrong_type", "semantics"),
        (
            json!({ "key": "k", "value": "x", "semantics": { "genre": 5 } }),
            Error,
            "wrong_type",
            "semantics/genre",
        ),
    ];
    for (field, severity, code, below) in cases {
        let findings = lint(PassKind::plain(TicketStyle::Event), &with_field("headerFields", field.clone()));
        let found: Vec<_> =
            findings.iter().map(|each| (each.severity, &*each.code, each.pointer.clone())).collect();
        assert_eq!(found, [(severity, code, format!("/eventTicket/headerFields/0/{below}"))], "{field}");
    }
}

#[test]
fn a_date_style_needs_a_zoned_date() {
    for value in [json!("tomorrow"), json!("2027-03-01T19:30"), json!(5)] {
        let field = json!({ "key": "k", "value": value, "dateStyle": "PKDateStyleFull", "timeStyle": "PKDateStyleNone" });
        assert_findings(
            false,
            &with_field("headerFields", field),
            &[
                (Error, "formatter_conflict", "/eventTicket/headerFields/0/dateStyle"),
                (Error, "formatter_conflict", "/eventTicket/headerFields/0/timeStyle"),
            ],
        );
    }
}

#[test]
fn some_keys_depend_on_the_group_of_the_field() {
    let aligned = json!({ "key": "k", "value": "x", "textAlignment": "PKTextAlignmentLeft" });
    let back = with_field("backFields", aligned.clone());
    assert_findings(false, &back, &[(Warning, "ignored_here", "/eventTicket/backFields/0/textAlignment")]);
    let mut primary = good();
    primary["eventTicket"]["primaryFields"] = json!([aligned]);
    assert_findings(
        false,
        &primary,
        &[(Warning, "ignored_here", "/eventTicket/primaryFields/0/textAlignment")],
    );
    let row = with_field("auxiliaryFields", json!({ "key": "k", "value": "x", "row": 2 }));
    assert_findings(false, &row, &[(Error, "out_of_range", "/eventTicket/auxiliaryFields/0/row")]);
    let detector =
        with_field("backFields", json!({ "key": "k", "value": "x", "dataDetectorTypes": ["Link"] }));
    assert_findings(
        false,
        &detector,
        &[(Warning, "unknown_value", "/eventTicket/backFields/0/dataDetectorTypes/0")],
    );
}

#[test]
fn loose_fields_are_checked() {
    let loose = |keys: Value| {
        let mut content = object(json!({ "description": "d", "eventName": "E" }));
        content.extend(object(keys));
        content
    };
    for (keys, expected) in [
        (json!({ "eventName": {} }), (Error, "wrong_type", "/eventName")),
        (json!({ "venueName": true }), (Error, "wrong_type", "/venueName")),
        (json!({ "seat": [] }), (Error, "wrong_type", "/seat")),
        (json!({ "section": null }), (Error, "wrong_type", "/section")),
        (json!({ "eventDateISO": 5 }), (Error, "wrong_type", "/eventDateISO")),
        (json!({ "eventDateISO": "2027-03-01T19:30" }), (Error, "date_invalid", "/eventDateISO")),
    ] {
        assert_findings(false, &loose(keys), &[expected]);
    }
    let nothing = object(json!({ "description": "d", "seat": 5 }));
    assert_findings(false, &nothing, &[(Warning, "primary_field_missing", "/eventTicket")]);
    assert_cases([
        (json!({ "seat": {} }), (Warning, "loose_field_ignored", "/seat")),
        (json!({ "eventDateISO": "x" }), (Warning, "loose_field_ignored", "/eventDateISO")),
    ]);
}

#[test]
fn barcodes_are_checked() {
    let code = |format: &str, message: &str, encoding: &str| json!({ "barcodes": [{ "format": format, "message": message, "messageEncoding": encoding }] });
    assert_cases([
        (code("QR", "1", "utf-8"), (Error, "barcode_format_unknown", "/barcodes/0/format")),
        (
            code("PKBarcodeFormatQR", "€", "iso-8859-1"),
            (Error, "barcode_not_encodable", "/barcodes/0/message"),
        ),
        (code("PKBarcodeFormatQR", "é", "us-ascii"), (Error, "barcode_not_encodable", "/barcodes/0/message")),
        (code("PKBarcodeFormatQR", "1", "koi8-r"), (Warning, "unknown_value", "/barcodes/0/messageEncoding")),
        (code("PKBarcodeFormatCode39", "1", "utf-8"), (Warning, "barcode_fallback_missing", "/barcodes")),
        (
            json!({ "barcodes": [{ "message": "1", "messageEncoding": "utf-8" }] }),
            (Error, "barcode_incomplete", "/barcodes/0/format"),
        ),
        (
            json!({ "barcodes": [{ "format": "PKBarcodeFormatQR", "messageEncoding": "utf-8" }] }),
            (Error, "barcode_incomplete", "/barcodes/0/message"),
        ),
        (
            json!({ "barcodes": [{ "format": "PKBarcodeFormatQR", "message": "1" }] }),
            (Error, "barcode_incomplete", "/barcodes/0/messageEncoding"),
        ),
        (
            json!({ "barcodes": [{ "format": "PKBarcodeFormatQR", "message": 1, "messageEncoding": "utf-8" }] }),
            (Error, "wrong_type", "/barcodes/0/message"),
        ),
        (
            json!({ "barcode": { "format": "PKBarcodeFormatCode128", "message": "1", "messageEncoding": "utf-8" } }),
            (Warning, "barcode_fallback_missing", "/barcode/format"),
        ),
        (
            json!({ "barcode": { "format": "PKBarcodeFormatEAN13", "message": "1", "messageEncoding": "utf-8" } }),
            (Warning, "barcode_fallback_missing", "/barcode"),
        ),
    ]);
}

#[test]
fn places_are_checked() {
    let location = json!({ "latitude": 1, "longitude": 2 });
    let uuid = "E2C56DB5-DFFB-48D2-B060-D0F5A71096E0";
    assert_cases([
        (json!({ "locations": vec![location; 11] }), (Warning, "too_many_places", "/locations")),
        (
            json!({ "locations": [{ "latitude": 1 }] }),
            (Error, "location_incomplete", "/locations/0/longitude"),
        ),
        (
            json!({ "locations": [{ "latitude": "1", "longitude": 2 }] }),
            (Error, "wrong_type", "/locations/0/latitude"),
        ),
        (
            json!({ "locations": [{ "latitude": 91, "longitude": 2 }] }),
            (Error, "out_of_range", "/locations/0/latitude"),
        ),
        (
            json!({ "locations": [{ "latitude": 1, "longitude": -181 }] }),
            (Error, "out_of_range", "/locations/0/longitude"),
        ),
        (
            json!({ "beacons": vec![json!({ "proximityUUID": uuid }); 11] }),
            (Warning, "too_many_places", "/beacons"),
        ),
        (json!({ "beacons": [{}] }), (Error, "beacon_incomplete", "/beacons/0/proximityUUID")),
        (
            json!({ "beacons": [{ "proximityUUID": "x" }] }),
            (Error, "beacon_uuid_invalid", "/beacons/0/proximityUUID"),
        ),
        (
            json!({ "beacons": [{ "proximityUUID": uuid, "major": 65536 }] }),
            (Error, "out_of_range", "/beacons/0/major"),
        ),
        (
            json!({ "beacons": [{ "proximityUUID": uuid, "minor": 1.5 }] }),
            (Error, "out_of_range", "/beacons/0/minor"),
        ),
    ]);
}

#[test]
fn relevant_dates_are_checked() {
    let (start, end) = ("2027-03-01T19:30Z", "2027-03-02T19:31Z");
    assert_cases([
        (json!({ "relevantDates": [{}] }), (Error, "relevant_date_incomplete", "/relevantDates/0/date")),
        (json!({ "relevantDates": [{ "date": "x" }] }), (Error, "date_invalid", "/relevantDates/0/date")),
        (
            json!({ "relevantDates": [{ "startDate": start }] }),
            (Error, "relevant_date_incomplete", "/relevantDates/0/endDate"),
        ),
        (
            json!({ "relevantDates": [{ "endDate": end }] }),
            (Error, "relevant_date_incomplete", "/relevantDates/0/startDate"),
        ),
        (
            json!({ "relevantDates": [{ "startDate": start, "endDate": start }] }),
            (Error, "relevant_date_order", "/relevantDates/0/endDate"),
        ),
        (
            json!({ "relevantDates": [{ "startDate": start, "endDate": end }] }),
            (Warning, "relevant_date_span", "/relevantDates/0/endDate"),
        ),
    ]);
}

fn public_key(curve: Nid) -> String {
    let group = EcGroup::from_curve_name(curve).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    openssl::base64::encode_block(&key.public_key_to_der().unwrap())
}

#[test]
fn nfc_is_checked() {
    let key = public_key(Nid::X9_62_PRIME256V1);
    let rsa = crate::tests::authority::rsa_key().public_key_to_der().unwrap();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n");
    let nfc = |message: &str, key: &str| json!({ "nfc": { "message": message, "encryptionPublicKey": key } });
    assert_findings(false, &good_with(nfc(&"x".repeat(64), &key)), &[]);
    assert_cases([
        (nfc(&"é".repeat(33), &key), (Warning, "nfc_message_too_long", "/nfc/message")),
        (nfc("m", &public_key(Nid::SECP384R1)), (Error, "nfc_key_invalid", "/nfc/encryptionPublicKey")),
        (
            nfc("m", &openssl::base64::encode_block(&rsa)),
            (Error, "nfc_key_invalid", "/nfc/encryptionPublicKey"),
        ),
        (nfc("m", &pem), (Error, "nfc_key_invalid", "/nfc/encryptionPublicKey")),
        (nfc("m", "===="), (Error, "nfc_key_invalid", "/nfc/encryptionPublicKey")),
        (nfc("m", ""), (Error, "nfc_key_invalid", "/nfc/encryptionPublicKey")),
        (json!({ "nfc": { "encryptionPublicKey": key } }), (Error, "nfc_incomplete", "/nfc/message")),
        (json!({ "nfc": { "message": "m" } }), (Error, "nfc_incomplete", "/nfc/encryptionPublicKey")),
        (
            json!({ "nfc": { "message": "m", "encryptionPublicKey": key, "requiresAuthentication": 1 } }),
            (Error, "wrong_type", "/nfc/requiresAuthentication"),
        ),
    ]);
}

#[test]
fn actions_are_checked() {
    let shop = json!({ "identifier": "a", "type": "shop", "url": "https://x.example" });
    let of = |action: Value| json!({ "featuredActions": [action] });
    assert_cases([
        (json!({ "featuredActions": vec![shop; 3] }), (Warning, "too_many_actions", "/featuredActions")),
        (of(json!({ "type": "place" })), (Error, "action_incomplete", "/featuredActions/0/identifier")),
        (
            of(json!({ "identifier": "a", "url": "app:x" })),
            (Error, "action_incomplete", "/featuredActions/0/type"),
        ),
        (
            of(json!({ "identifier": "a", "type": "shop" })),
            (Error, "action_incomplete", "/featuredActions/0/url"),
        ),
        (
            of(json!({ "identifier": "a", "type": "dance", "url": "app:x" })),
            (Warning, "unknown_value", "/featuredActions/0/type"),
        ),
    ]);
}

#[test]
fn links_that_are_none_are_left_out_by_wallet() {
    for url in ["", "x", "https://", "https:///x", "https://a b", "://x", "1a:x", "https:x"] {
        let content = good_with(json!({ "associatedStoreIdentifiers": [1], "appLaunchURL": url }));
        assert_findings(false, &content, &[(Warning, "url_invalid", "/appLaunchURL")]);
    }
}

#[test]
fn semantic_tags_are_checked() {
    let tag = |name: &str, value: Value| json!({ "semantics": { name: value } });
    assert_cases([
        (tag("eventName", json!(5)), (Error, "wrong_type", "/semantics/eventName")),
        (tag("eventStartDate", json!("2027-03-01")), (Error, "date_invalid", "/semantics/eventStartDate")),
        (tag("eventType", json!("Concert")), (Warning, "unknown_value", "/semantics/eventType")),
        (tag("performerNames", json!("A")), (Error, "wrong_type", "/semantics/performerNames")),
        (tag("performerNames", json!([1])), (Error, "wrong_type", "/semantics/performerNames/0")),
        (tag("silenceRequested", json!("no")), (Error, "wrong_type", "/semantics/silenceRequested")),
        (tag("duration", json!("90")), (Error, "wrong_type", "/semantics/duration")),
        (tag("totalPrice", json!(9.5)), (Error, "wrong_type", "/semantics/totalPrice")),
        (tag("totalPrice", json!({ "amount": 9.5 })), (Error, "wrong_type", "/semantics/totalPrice/amount")),
        (
            tag("totalPrice", json!({ "amount": "9", "currencyCode": "€" })),
            (Error, "currency_code_invalid", "/semantics/totalPrice/currencyCode"),
        ),
        (
            tag("venueLocation", json!({ "latitude": 1 })),
            (Error, "location_incomplete", "/semantics/venueLocation/longitude"),
        ),
        (
            tag("eventStartDateInfo", json!({ "date": "x" })),
            (Error, "date_invalid", "/semantics/eventStartDateInfo/date"),
        ),
        (tag("seats", json!({})), (Error, "wrong_type", "/semantics/seats")),
        (
            tag("seats", json!([{ "seatNumber": 5 }])),
            (Warning, "number_for_text", "/semantics/seats/0/seatNumber"),
        ),
        (tag("seats", json!([{ "seatRow": true }])), (Error, "wrong_type", "/semantics/seats/0/seatRow")),
        (
            tag("seats", json!([{ "seatSectionColor": "red" }])),
            (Error, "color_invalid", "/semantics/seats/0/seatSectionColor"),
        ),
        (
            tag("wifiAccess", json!([{ "ssid": "s" }])),
            (Error, "wifi_incomplete", "/semantics/wifiAccess/0/password"),
        ),
    ]);
}

/// A poster with everything it needs.
fn good_poster() -> Map<String, Value> {
    good_with(json!({
        "nfc": { "message": "m", "encryptionPublicKey": public_key(Nid::X9_62_PRIME256V1) },
        "semantics": { "eventName": "E", "venueName": "V", "venueRegionName": "R", "venueRoom": "1" },
    }))
}

#[test]
fn a_complete_poster_has_no_findings() {
    assert_findings(true, &good_poster(), &[]);
    let mut own_schemes = good_poster();
    own_schemes.insert("preferredStyleSchemes".to_owned(), json!(["posterEventTicket"]));
    own_schemes.insert("eventLogoText".to_owned(), json!("x"));
    assert_findings(false, &own_schemes, &[]);
}

#[test]
fn a_poster_without_its_minimum_falls_back() {
    assert_findings(
        true,
        &object(json!({ "description": "d", "eventName": "E" })),
        &[
            (Warning, "poster_incomplete", "/semantics/venueName"),
            (Warning, "poster_incomplete", "/semantics/venueRegionName"),
            (Warning, "poster_incomplete", "/semantics/venueRoom"),
            (Warning, "poster_incomplete", "/nfc"),
        ],
    );
    let mut sports = good_poster();
    sports["semantics"]["eventType"] = json!("PKEventTypeSports");
    assert_findings(
        true,
        &sports,
        &[
            (Warning, "poster_incomplete", "/semantics/homeTeamAbbreviation"),
            (Warning, "poster_incomplete", "/semantics/awayTeamAbbreviation"),
        ],
    );
    let mut live = good_poster();
    live["semantics"]["eventType"] = json!("PKEventTypeLivePerformance");
    assert_findings(true, &live, &[(Warning, "poster_incomplete", "/semantics/performerNames")]);
}

#[test]
fn what_contradicts_a_poster_is_a_warning() {
    let qr = json!({ "format": "PKBarcodeFormatQR", "message": "1", "messageEncoding": "utf-8" });
    for (keys, expected) in [
        (json!({ "barcodes": [qr] }), (Warning, "poster_barcode", "/barcodes")),
        (json!({ "featuredActions": [] }), (Warning, "ignored_here", "/featuredActions")),
        (
            json!({ "preferredStyleSchemes": ["eventTicket"] }),
            (Warning, "poster_not_preferred", "/preferredStyleSchemes"),
        ),
    ] {
        let mut content = good_poster();
        content.extend(object(keys));
        assert_findings(true, &content, &[expected]);
    }
}

#[test]
fn a_ticket_without_a_barcode_gets_a_hint() {
    let codes = |kind, content: Value| -> Vec<(Severity, String)> {
        let findings = crate::lint(kind, &object(content)).into_iter();
        findings
            .map(|each| (each.severity, each.code.into_owned()))
            .filter(|(_, code)| code == "barcode_missing")
            .collect()
    };
    let hint = [(Hint, "barcode_missing".to_owned())];
    let event = PassKind::plain(TicketStyle::Event);
    assert_eq!(codes(event, json!({ "description": "d" })), hint);
    assert_eq!(codes(PassKind::plain(TicketStyle::Boarding), json!({})), hint);
    assert_eq!(codes(event, json!({ "nfc": {} })), []);
    assert_eq!(codes(event, json!({ "barcode": {} })), []);
    assert_eq!(codes(PassKind { poster: true, ..event }, json!({})), []);
    assert_eq!(codes(PassKind::plain(TicketStyle::Coupon), json!({})), []);
}

#[test]
fn keys_that_are_misspelt_or_misplaced_get_a_hint_and_unknown_ones_none() {
    assert_cases([
        (json!({ "backgroundcolor": "#fff" }), (Hint, "key_misspelt", "/backgroundcolor")),
        (json!({ "organisationName": "O" }), (Hint, "key_misspelt", "/organisationName")),
        (json!({ "secondaryFields": [] }), (Hint, "key_misplaced", "/secondaryFields")),
    ]);
    let event = PassKind::plain(TicketStyle::Event);
    let said = |content: &Map<String, Value>| lint(event, content)[0].detail.clone();
    assert!(
        said(&good_with(json!({ "backgroundcolor": "#fff" }))).contains("did you mean `backgroundColor`?")
    );
    assert!(said(&good_with(json!({ "secondaryFields": [] }))).contains("belongs into `eventTicket`"));
    let card = object(
        json!({ "description": "d", "storeCard": { "primaryFields": [{ "key": "k", "value": 1 }] }, "headerFields": [] }),
    );
    let found = crate::lint(PassKind::plain(TicketStyle::StoreCard), &card);
    assert!(found[0].detail.contains("`storeCard`"), "{found:?}");

    let field = |key: &str| {
        let mut content = good();
        content["eventTicket"]["primaryFields"][0][key] = json!("x");
        content
    };
    assert_findings(false, &field("lable"), &[(Hint, "key_misspelt", "/eventTicket/primaryFields/0/lable")]);
    let mut inside = good();
    inside["eventTicket"]["barcodes"] = json!([]);
    assert_findings(false, &inside, &[(Hint, "key_misplaced", "/eventTicket/barcodes")]);
    let code =
        json!({ "format": "PKBarcodeFormatQR", "message": "1", "messageEncoding": "utf-8", "alttext": "1" });
    assert_findings(
        false,
        &good_with(json!({ "barcodes": [code] })),
        &[(Hint, "key_misspelt", "/barcodes/0/alttext")],
    );

    let of_a_newer_system =
        json!({ "hologramStyle": 1, "x-own": 2, "liveActivity": {}, "colorScheme": "dark", "gate": "A" });
    assert_findings(false, &good_with(of_a_newer_system), &[]);
    let both = good_with(json!({ "labelColor": "#fff", "labelcolor": "#fff" }));
    assert_findings(false, &both, &[]);
}

/// A poster with one further event.
fn with_upcoming(change: impl FnOnce(&mut Value)) -> Map<String, Value> {
    let image =
        json!({ "URL": "https://x.example/a.png", "SHA256": "0".repeat(64), "scale": 2, "size": 2_097_152 });
    let mut entry = json!({
        "identifier": "1", "type": "event", "name": "Second night", "isActive": true,
        "dateInformation": { "date": "2027-03-02T19:30Z", "timeZone": "Europe/Berlin", "isAllDay": false },
        "URLs": { "purchaseParkingURL": "https://x.example" },
        "images": { "headerImage": { "URLs": [image] }, "venueMap": { "reuseExisting": true } },
        "backFields": [{ "key": "k", "value": "v" }],
    });
    change(&mut entry);
    let mut content = good_poster();
    content.insert("upcomingPassInformation".to_owned(), json!([entry]));
    content
}

#[test]
fn upcoming_events_are_checked() {
    type Fault = (fn(&mut Value), Severity, &'static str, &'static str);
    assert_findings(true, &with_upcoming(|_| {}), &[]);
    let faults: [Fault; 12] = [
        (|entry| drop(entry.as_object_mut().unwrap().remove("name")), Error, "upcoming_incomplete", "/name"),
        (
            |entry| drop(entry.as_object_mut().unwrap().remove("identifier")),
            Error,
            "upcoming_incomplete",
            "/identifier",
        ),
        (|entry| entry["type"] = json!("concert"), Warning, "unknown_value", "/type"),
        (|entry| entry["isActive"] = json!(1), Error, "wrong_type", "/isActive"),
        (
            |entry| entry["dateInformation"]["date"] = json!("2027-03-02"),
            Error,
            "date_invalid",
            "/dateInformation/date",
        ),
        (|entry| entry["URLs"]["sellURL"] = json!("no link"), Warning, "url_invalid", "/URLs/sellURL"),
        (|entry| entry["backFields"][0]["value"] = json!(true), Error, "wrong_type", "/backFields/0/value"),
        (|entry| entry["semantics"] = json!({ "genre": 1 }), Error, "wrong_type", "/semantics/genre"),
        (
            |entry| entry["images"]["headerImage"]["URLs"][0]["URL"] = json!("http://x.example/a.png"),
            Error,
            "upcoming_url_invalid",
            "/images/headerImage/URLs/0/URL",
        ),
        (
            |entry| entry["images"]["headerImage"]["URLs"][0]["SHA256"] = json!("0".repeat(63)),
            Error,
            "upcoming_digest_invalid",
            "/images/headerImage/URLs/0/SHA256",
        ),
        (
            |entry| entry["images"]["headerImage"]["URLs"][0]["size"] = json!(2_097_153),
            Error,
            "upcoming_image_too_large",
            "/images/headerImage/URLs/0/size",
        ),
        (
            |entry| entry["images"]["venueMap"] = json!({ "URLs": [{ "SHA256": "f".repeat(64) }] }),
            Error,
            "upcoming_incomplete",
            "/images/venueMap/URLs/0/URL",
        ),
    ];
    for (change, severity, code, below) in faults {
        let pointer = format!("/upcomingPassInformation/0{below}");
        let found = lint(PassKind { style: TicketStyle::Event, poster: true }, &with_upcoming(change));
        let found: Vec<_> = found.iter().map(|each| (each.severity, &*each.code, &*each.pointer)).collect();
        assert_eq!(found, [(severity, code, &*pointer)]);
    }
    let mut twice = with_upcoming(|_| {});
    let entry = twice["upcomingPassInformation"][0].clone();
    twice["upcomingPassInformation"].as_array_mut().unwrap().push(entry);
    assert_findings(true, &twice, &[(Error, "upcoming_repeated", "/upcomingPassInformation/1/identifier")]);
    let plain = lint(PassKind::plain(TicketStyle::Coupon), &object(json!({ "upcomingPassInformation": [] })));
    assert!(plain.iter().any(|each| each.code == "poster_only"), "{plain:?}");
}

#[test]
fn pointers_find_what_they_point_to() {
    let content =
        good_with(json!({ "locations": [{ "latitude": 91, "longitude": 2 }], "labelColor": "red" }));
    let value = Value::Object(content.clone());
    for finding in lint(PassKind::plain(TicketStyle::Event), &content) {
        assert!(value.pointer(&finding.pointer).is_some(), "{finding}");
    }
}

#[test]
fn findings_are_bounded() {
    let fields: Vec<Value> = (0..500).map(|_| json!({})).collect();
    let content = good_with(json!({ "eventTicket": { "primaryFields": [], "backFields": fields } }));
    assert_eq!(lint(PassKind::plain(TicketStyle::Event), &content).len(), MAX_FINDINGS);
}

#[test]
fn a_finding_is_json_for_programs_and_a_sentence_for_people() {
    let findings = lint(PassKind::plain(TicketStyle::Event), &good_with(json!({ "labelColor": "red" })));
    let value = serde_json::to_value(&findings).unwrap();
    assert_eq!((&value[0]["severity"], &value[0]["code"]), (&json!("error"), &json!("color_invalid")));
    assert!(
        findings[0]
            .to_string()
            .starts_with("error color_invalid at \"/labelColor\": \"red\" is not a colour")
    );
}
