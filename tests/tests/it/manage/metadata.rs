//! `PATCH` of a pass: another style, another layout.

use honoken_simulator::Package;
use honoken_tests::problem::assert_points_at;
use honoken_tests::{Change, a_ticket, drawing};
use http::StatusCode;
use serde_json::json;

use super::a_service_with_a_pass;

#[tokio::test]
async fn a_pass_can_be_drawn_as_something_else() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let answer = integrator.draw_as("A-1", &json!({ "ticketStyle": "generic" })).await;
    let change = Change::read(answer.assert_status(StatusCode::OK));
    assert!(change.changed);
    assert!(change.warnings.iter().any(|warning| warning["pointer"] == "/generic"), "{change:?}");
    let state = integrator.state("A-1").await;
    assert_eq!((&state["ticketStyle"], &state["etag"]), (&json!("generic"), &json!(change.etag)));
    assert_eq!(state["content"], a_ticket("1A"));
    let package = Package::open(integrator.downloads("A-1").await).unwrap();
    let shown = package.pass_json();
    assert_eq!(shown["generic"]["primaryFields"][0]["value"], "A seat at the opening night");
    assert_eq!(shown.get("eventTicket"), None);
}

#[tokio::test]
async fn a_poster_is_asked_for_and_taken_back() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    assert_points_at(&integrator.draw_as("A-1", &json!({ "poster": true })).await, "/poster");
    integrator.puts_asset("A-1", "background.png", drawing::background(1)).await;
    for poster in [true, false] {
        let answer = integrator.draw_as("A-1", &json!({ "poster": poster })).await;
        assert!(Change::read(answer.assert_status(StatusCode::OK)).changed);
        assert_eq!(integrator.state("A-1").await["poster"], poster);
    }
}

#[tokio::test]
async fn another_style_shows_other_images() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    integrator.puts_asset("A-1", "background.png", drawing::background(1)).await;
    assert!(integrator.state("A-1").await["assets"]["background.png"].is_string());
    integrator.draw_as("A-1", &json!({ "ticketStyle": "storeCard" })).await.assert_status(StatusCode::OK);
    assert!(integrator.state("A-1").await["assets"]["background.png"].is_null());
    integrator.draw_as("A-1", &json!({ "ticketStyle": "event" })).await.assert_status(StatusCode::OK);
    let again = integrator.state("A-1").await;
    assert!(again["assets"]["background.png"].is_string(), "the pass still has it: {again}");
}

#[tokio::test]
async fn what_the_pass_is_already_changes_nothing() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    for metadata in [
        json!({}),
        json!({ "ticketStyle": "event" }),
        json!({ "ticketStyle": "eventTicket", "poster": false }),
        json!({ "ticketStyle": null, "poster": null }),
    ] {
        let answer = integrator.draw_as("A-1", &metadata).await;
        assert!(!Change::read(answer.assert_status(StatusCode::OK)).changed, "{metadata}");
    }
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn every_fault_is_422_with_its_pointer() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    let cases = [
        (json!([]), ""),
        (json!("generic"), ""),
        (json!({ "ticketStyle": "rocket" }), "/ticketStyle"),
        (json!({ "ticketStyle": 1 }), "/ticketStyle"),
        (json!({ "poster": "yes" }), "/poster"),
        (json!({ "colour": "red" }), "/colour"),
        (json!({ "content": {} }), "/content"),
        (json!({ "ticketStyle": "coupon", "poster": true }), "/poster"),
        (json!({ "ticketStyle": "boarding" }), "/content/boardingPass/transitType"),
    ];
    for (metadata, pointer) in cases {
        assert_points_at(&integrator.draw_as("A-1", &metadata).await, pointer);
    }
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn content_is_checked_by_the_rules_of_the_new_style_at_once() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let card =
        json!({ "description": "Points", "storeCard": { "primaryFields": [{ "key": "p", "value": 5 }] } });
    assert_points_at(&integrator.replace("A-1", &card).await, "/storeCard");
    integrator.draw_as("A-1", &json!({ "ticketStyle": "storeCard" })).await.assert_status(StatusCode::OK);
    integrator.replaces("A-1", &card).await;
    assert_points_at(
        &integrator.draw_as("A-1", &json!({ "ticketStyle": "event" })).await,
        "/content/storeCard",
    );
}
