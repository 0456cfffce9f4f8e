//! What content becomes in pass.json.

use serde_json::{Value, json};

use crate::image::ImageSlot;
use crate::tests::authority::{PASS_TYPE, TEAM};
use crate::tests::fixtures::{TOKEN, object, source};
use crate::{PassKind, PassSource, TicketStyle, pass_json};

/// pass.json of a content beside a strip, without the keys that the server writes into every pass.
#[track_caller]
fn mapped(content: Value, change: impl FnOnce(&mut PassSource<'_>)) -> Value {
    let content = object(content);
    let mut source = source(&content);
    change(&mut source);
    let mut pass: Value = serde_json::from_slice(&pass_json(&source, &[ImageSlot::Strip])).unwrap();
    let map = pass.as_object_mut().unwrap();
    for (key, value) in [
        ("formatVersion", json!(1)),
        ("passTypeIdentifier", json!(PASS_TYPE)),
        ("serialNumber", json!("A-1")),
        ("teamIdentifier", json!(TEAM)),
        ("webServiceURL", json!("https://passes.example.com")),
        ("authenticationToken", json!(TOKEN)),
    ] {
        assert_eq!(map.remove(key), Some(value), "{key}");
    }
    pass
}

#[test]
fn loose_fields_become_the_fields_of_an_event_ticket() {
    let content = json!({
        "section": 12, "seat": "7A", "venueName": "Grand Hall", "eventName": "Night",
        "eventDateISO": "2027-03-01T19:30:00+01:00", "backgroundColor": "#fff", "x-unknown": [1, null],
    });
    assert_eq!(
        mapped(content, |_| {}),
        json!({
            "organizationName": "The Museum",
            "description": "Night",
            "backgroundColor": "#fff",
            "x-unknown": [1, null],
            "eventTicket": {
                "primaryFields": [{ "key": "eventName", "label": "EVENT", "value": "Night" }],
                "secondaryFields": [
                    {
                        "key": "eventDateISO", "label": "DATE", "value": "2027-03-01T19:30:00+01:00",
                        "dateStyle": "PKDateStyleMedium", "timeStyle": "PKDateStyleShort",
                    },
                    { "key": "venueName", "label": "VENUE", "value": "Grand Hall" },
                ],
                "auxiliaryFields": [
                    { "key": "seat", "label": "SEAT", "value": "7A" },
                    { "key": "section", "label": "SECTION", "value": 12 },
                ],
            },
        })
    );
}

#[test]
fn a_style_dictionary_of_the_content_is_left_alone() {
    let content = json!({
        "organizationName": "Own name", "description": "Own words", "eventName": "Night", "seat": "7A",
        "eventTicket": { "backFields": [] },
    });
    assert_eq!(mapped(content.clone(), |_| {}), content);
    assert_eq!(
        mapped(content.clone(), |source| source.kind.poster = true),
        {
            let mut expected = content;
            expected["preferredStyleSchemes"] = json!(["posterEventTicket", "eventTicket"]);
            expected
        },
        "nor do its loose keys become semantic tags"
    );
}

#[test]
fn without_a_primary_field_the_description_is_shown() {
    assert_eq!(
        mapped(json!({ "seat": 7 }), |_| {}),
        json!({
            "organizationName": "The Museum",
            "description": "The Museum",
            "eventTicket": {
                "primaryFields": [{ "key": "description", "value": "The Museum" }],
                "auxiliaryFields": [{ "key": "seat", "label": "SEAT", "value": 7 }],
            },
        })
    );
}

#[test]
fn the_description_falls_back_to_the_event_and_then_to_the_organisation() {
    let description = |content| mapped(content, |_| {})["description"].clone();
    assert_eq!(description(json!({ "description": "D", "eventName": "E", "organizationName": "O" })), "D");
    assert_eq!(description(json!({ "description": "", "eventName": "E", "organizationName": "O" })), "E");
    assert_eq!(description(json!({ "eventName": 5, "organizationName": "O" })), "O");
    assert_eq!(description(json!({})), "The Museum");
}

#[test]
fn a_voided_pass_says_so_and_another_does_not() {
    assert_eq!(mapped(json!({}), |source| source.voided = true)["voided"], json!(true));
    assert_eq!(mapped(json!({ "voided": true }), |_| {}).get("voided"), None);
}

#[test]
fn the_servers_keys_cannot_be_taken_over_by_content() {
    let content = json!({
        "formatVersion": 2, "passTypeIdentifier": "pass.evil", "serialNumber": "B", "teamIdentifier": "EVIL",
        "webServiceURL": "https://evil.example", "authenticationToken": "evil", "eventTicket": {},
    });
    let others = json!({ "organizationName": "The Museum", "description": "The Museum", "eventTicket": {} });
    assert_eq!(mapped(content, |_| {}), others);
}

#[test]
fn a_poster_gets_its_schemes_and_its_semantic_tags() {
    let content = json!({
        "eventName": 1984, "venueName": "Grand Hall", "eventDateISO": "2027-03-01T19:30Z",
        "semantics": { "venueName": "Own hall", "venueRoom": "1" }, "eventLogoText": "x",
    });
    let pass = mapped(content, |source| source.kind.poster = true);
    assert_eq!(pass["preferredStyleSchemes"], json!(["posterEventTicket", "eventTicket"]));
    assert_eq!(
        pass["semantics"],
        json!({
            "eventName": "1984", "venueName": "Own hall", "venueRoom": "1", "eventStartDate": "2027-03-01T19:30Z",
        })
    );
}

#[test]
fn a_poster_with_schemes_of_its_own_keeps_them() {
    let pass =
        mapped(json!({ "preferredStyleSchemes": ["eventTicket"] }), |source| source.kind.poster = true);
    assert_eq!(pass["preferredStyleSchemes"], json!(["eventTicket"]));
    assert_eq!(pass.get("semantics"), None, "there was nothing to fill them with");
}

#[test]
fn a_plain_ticket_gets_neither_schemes_nor_tags() {
    let pass = mapped(json!({ "eventName": "Night" }), |_| {});
    assert_eq!((pass.get("preferredStyleSchemes"), pass.get("semantics")), (None, None));
}

#[test]
fn an_unreadable_loose_date_is_shown_as_text_and_an_object_not_at_all() {
    let pass = mapped(json!({ "eventDateISO": "tomorrow", "seat": {} }), |_| {});
    assert_eq!(
        pass["eventTicket"],
        json!({
            "primaryFields": [{ "key": "description", "value": "The Museum" }],
            "secondaryFields": [{ "key": "eventDateISO", "label": "DATE", "value": "tomorrow" }],
        })
    );
    assert_eq!(pass["seat"], json!({}));
}

/// The colours of pass.json, as background, text and labels.
fn colors(content: Value, kind: PassKind, slots: &[ImageSlot]) -> [Value; 3] {
    let content = object(content);
    let source = PassSource { kind, ..source(&content) };
    let pass: Value = serde_json::from_slice(&pass_json(&source, slots)).unwrap();
    ["backgroundColor", "foregroundColor", "labelColor"].map(|key| pass[key].clone())
}

#[test]
fn a_pass_without_colours_and_pictures_is_black_on_white() {
    let black_on_white = ["rgb(255, 255, 255)", "rgb(0, 0, 0)", "rgb(0, 0, 0)"].map(Value::from);
    let none = [Value::Null, Value::Null, Value::Null];
    let event = PassKind::plain(TicketStyle::Event);
    for kind in TicketStyle::ALL.map(PassKind::plain) {
        assert_eq!(colors(json!({}), kind, &[]), black_on_white, "{kind:?}");
        assert_eq!(colors(json!({}), kind, &[ImageSlot::Icon, ImageSlot::Thumbnail]), black_on_white);
        for picture in [ImageSlot::Artwork, ImageSlot::Background, ImageSlot::Strip] {
            assert_eq!(colors(json!({}), kind, &[ImageSlot::Icon, picture]), none, "{kind:?} {picture:?}");
        }
    }
    let one = colors(json!({ "labelColor": "#fff" }), event, &[]);
    assert_eq!(one, [Value::Null, Value::Null, json!("#fff")], "whoever names one has chosen");
    assert_eq!(colors(json!({}), PassKind { poster: true, ..event }, &[]), none);
    assert_eq!(colors(json!({ "preferredStyleSchemes": ["posterEventTicket"] }), event, &[]), none);
}

#[test]
fn colours_are_written_as_every_reader_takes_them() {
    let event = PassKind::plain(TicketStyle::Event);
    let content = json!({ "backgroundColor": " RGB(1, 2, 3)", "foregroundColor": "rgb( 4 , 5, 6)", "labelColor": "RGBA(7, 8, 9, 0.5)" });
    let expected = ["rgb(1, 2, 3)", "rgb( 4 , 5, 6)", "rgba(7, 8, 9, 0.5)"].map(Value::from);
    assert_eq!(colors(content, event, &[]), expected);
}

#[test]
fn the_deprecated_barcode_is_repeated_in_barcodes() {
    let barcode = json!({ "format": "PKBarcodeFormatQR", "message": "1", "messageEncoding": "iso-8859-1" });
    let pass = mapped(json!({ "barcode": barcode }), |_| {});
    assert_eq!((&pass["barcode"], &pass["barcodes"]), (&barcode, &json!([barcode])));
    let pass = mapped(json!({ "barcode": barcode, "barcodes": [] }), |_| {});
    assert_eq!(pass["barcodes"], json!([]));
}

#[test]
fn relevant_dates_carry_both_spellings() {
    let (one, two) = ("2027-03-01T19:30Z", "2027-03-02T19:30Z");
    let pass = mapped(
        json!({ "relevantDates": [
            { "date": one }, { "relevantDate": two }, { "date": one, "relevantDate": two },
            { "startDate": one, "endDate": two }, 5,
        ] }),
        |_| {},
    );
    assert_eq!(
        pass["relevantDates"],
        json!([
            { "date": one, "relevantDate": one }, { "date": two, "relevantDate": two },
            { "date": one, "relevantDate": two }, { "startDate": one, "endDate": two }, 5,
        ])
    );
}

#[test]
fn the_bytes_are_canonical_and_do_not_depend_on_the_order_of_the_content() {
    let one = object(serde_json::from_str(r#"{"b":1.0,"a":{"d":"é","c":1e2},"eventTicket":{}}"#).unwrap());
    let other =
        object(serde_json::from_str(r#"{"eventTicket":{},"a":{"c":100,"d":"\u00e9"},"b":1}"#).unwrap());
    let bytes = pass_json(&source(&one), &[ImageSlot::Strip]);
    assert_eq!(bytes, pass_json(&source(&other), &[ImageSlot::Strip]));
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        concat!(
            r#"{"a":{"c":100,"d":"é"},"authenticationToken":"0123456789abcdef-a-secret","b":1,"#,
            r#""description":"The Museum","eventTicket":{},"formatVersion":1,"organizationName":"The Museum","#,
            r#""passTypeIdentifier":"pass.com.example.museum","serialNumber":"A-1","teamIdentifier":"TEAM123456","#,
            r#""webServiceURL":"https://passes.example.com"}"#,
        )
    );
}

#[test]
fn a_source_does_not_print_its_token_or_content() {
    let content = object(json!({ "attendee": "Jane" }));
    let printed = format!("{:?}", source(&content));
    assert!(printed.contains("A-1"), "{printed}");
    assert!(!printed.contains(TOKEN) && !printed.contains("Jane"), "{printed}");
}
