//! Passes of every style, from the order to the file.

use honoken_simulator::Package;
use honoken_tests::problem::assert_points_at;
use honoken_tests::{Change, drawing, package};
use http::StatusCode;
use serde_json::{Value, json};

use crate::a_service;

/// Each style as callers may name it, its name in the state, Apple's key, and an image that only it shows.
const STYLES: [(&str, &str, &str, &str); 8] = [
    ("boarding", "boarding", "boardingPass", "footer.png"),
    ("boardingPass", "boarding", "boardingPass", "primaryLogo.png"),
    ("coupon", "coupon", "coupon", "strip.png"),
    ("event", "event", "eventTicket", "background.png"),
    ("eventTicket", "event", "eventTicket", "background.png"),
    ("generic", "generic", "generic", "thumbnail.png"),
    ("generic", "generic", "generic", "artwork.png"),
    ("storeCard", "storeCard", "storeCard", "strip.png"),
];

fn dictionary(key: &str) -> Value {
    let mut dictionary = json!({ "primaryFields": [{ "key": "main", "label": "MAIN", "value": 12.5 }] });
    if key == "boardingPass" {
        dictionary["transitType"] = json!("PKTransitTypeTrain");
    }
    dictionary
}

#[tokio::test]
async fn a_pass_of_every_style_is_issued_and_its_file_verifies() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    for (at, (name, stored, key, image)) in STYLES.into_iter().enumerate() {
        let serial = format!("S-{at}");
        let digest = integrator.uploads(&drawing::icon(at.try_into().unwrap())).await;
        let mut order = integrator.order(&serial, &json!({ "description": "A pass", key: dictionary(key) }));
        order["ticketStyle"] = json!(name);
        order["assets"] = json!({ "icon.png": digest });
        let answer = integrator.issue(&order).await;
        let change = Change::read(answer.assert_status(StatusCode::CREATED));
        assert!(change.warnings.iter().all(|each| each["code"] == "barcode_missing"), "{change:?}");
        integrator.puts_asset(&serial, image, drawing::png(10, 10, at.try_into().unwrap())).await;
        let state = integrator.state(&serial).await;
        assert_eq!(state["ticketStyle"], stored);
        assert!(state["assets"][image].is_string(), "{name}: {state}");

        let file = integrator.downloads(&serial).await;
        package::assert_verifies(&file, &honoken.ready().ca_file).await;
        let package = Package::open(file).unwrap();
        assert_eq!(package.pass_json()[key], dictionary(key), "{name}");
        let others = ["boardingPass", "coupon", "eventTicket", "generic", "storeCard"];
        for other in others.into_iter().filter(|other| *other != key) {
            assert_eq!(package.pass_json().get(other), None, "{name}");
        }
    }
}

#[tokio::test]
async fn the_rules_of_each_style_are_told_with_their_pointer() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let cases = [
        ("boarding", json!({ "boardingPass": { "primaryFields": [] } }), "/content/boardingPass/transitType"),
        (
            "boarding",
            json!({ "boardingPass": { "transitType": "PKTransitTypeRocket" } }),
            "/content/boardingPass/transitType",
        ),
        (
            "storeCard",
            json!({ "storeCard": { "transitType": "PKTransitTypeAir" } }),
            "/content/storeCard/transitType",
        ),
        ("storeCard", json!({ "coupon": {} }), "/content/coupon"),
        (
            "coupon",
            json!({ "coupon": { "backFields": [{ "value": 1 }] } }),
            "/content/coupon/backFields/0/key",
        ),
    ];
    for (style, content, pointer) in cases {
        let mut order = integrator.order("faulty", &content);
        order["ticketStyle"] = json!(style);
        assert_points_at(&integrator.issue(&order).await, pointer);
    }
    let mut order =
        integrator.order("faulty", &json!({ "description": "x", "generic": dictionary("generic") }));
    (order["ticketStyle"], order["poster"]) = (json!("generic"), json!(true));
    assert_points_at(&integrator.issue(&order).await, "/poster");
}
