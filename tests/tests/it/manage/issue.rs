//! `POST /passes`.

use honoken_simulator::Answer;
use honoken_tests::problem::{assert_points_at, assert_problem};
use honoken_tests::{Change, Honoken, Integrator, a_ticket, drawing};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::{Uuid, Version};

use super::a_service_with_a_pass;
use crate::a_service;

#[tokio::test]
async fn an_issued_pass_is_201_with_its_location_and_its_state() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let answer = integrator.issue(&integrator.order("Straße 7/a", &a_ticket("1A"))).await;
    answer.assert_status(StatusCode::CREATED);
    let change = Change::read(&answer);
    assert!(change.changed && change.projected, "{change:?}");
    let codes: Vec<&Value> = change.warnings.iter().map(|each| &each["code"]).collect();
    assert_eq!(codes, ["barcode_missing"]);
    assert!(location_leads_to(&honoken, &answer, "Straße 7/a").await);
}

/// Follows `Location`, absolute or not.
async fn location_leads_to(honoken: &Honoken, issued: &Answer, serial_number: &str) -> bool {
    let location = issued.header("location").expect("a Location");
    let path = location.strip_prefix(&honoken.ready().base_url).unwrap_or(location);
    let found = honoken.integrator().request(Method::GET, path, &[], "").await;
    found.assert_status(StatusCode::OK).json()["serialNumber"] == serial_number
}

#[tokio::test]
async fn the_state_shows_everything_that_the_contract_lists() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let state = integrator.state("A-1").await;
    let mut keys: Vec<&str> = state.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "assets",
        "content",
        "deliveries",
        "etag",
        "passTypeIdentifier",
        "position",
        "poster",
        "registrations",
        "serialNumber",
        "ticketStyle",
        "updateTag",
        "updatedAt",
        "voided",
    ];
    assert_eq!(keys, expected);
    assert_eq!(state["passTypeIdentifier"], integrator.pass_type_identifier());
    assert_eq!(state["serialNumber"], "A-1");
    assert_eq!(state["ticketStyle"], "event");
    assert_eq!((&state["poster"], &state["voided"]), (&json!(false), &json!(false)));
    assert_eq!(state["content"], a_ticket("1A"));
    assert_eq!((&state["registrations"], &state["deliveries"]), (&json!(0), &json!([])));
    assert!(state["assets"]["icon.png"].is_string() || state["assets"]["icon@2x.png"].is_string(), "{state}");
}

#[tokio::test]
async fn the_same_order_again_is_200_and_changes_nothing() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    let answer = integrator.issue(&integrator.order("A-1", &a_ticket("1A"))).await;
    answer.assert_status(StatusCode::OK);
    let change = Change::read(&answer);
    assert!(!change.changed);
    assert_eq!(change.etag, before["etag"]);
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn a_late_retry_of_the_order_does_not_undo_later_changes() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    integrator.moves_to("A-1", "2B").await;
    integrator.voids("A-1").await;
    let before = integrator.state("A-1").await;
    let answer = integrator.issue(&integrator.order("A-1", &a_ticket("1A"))).await;
    answer.assert_status(StatusCode::OK);
    assert!(!Change::read(&answer).changed);
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn a_retry_in_another_spelling_is_the_same_order() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    integrator.issues_with("N", &json!({ "description": "é", "userInfo": { "n": 10 } })).await;
    let spelled = format!(
        r#"{{ "content": {{ "userInfo": {{"n": 1.0e1}}, "description": "\u00e9" }}, "ticketStyle": "event", "poster": false,
             "serialNumber": "\u004e", "passTypeIdentifier": "{}" }}"#,
        integrator.pass_type_identifier()
    );
    let answer = integrator.request(Method::POST, "/manage/v1/passes", &[], spelled).await;
    answer.assert_status(StatusCode::OK);
}

#[tokio::test]
async fn a_serial_number_that_is_taken_by_another_order_is_409() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    assert_problem(&integrator.issue(&integrator.order("A-1", &a_ticket("2B"))).await, 409);
    integrator.moves_to("A-1", "2B").await;
    // What the pass shows now is not what it was issued with.
    assert_problem(&integrator.issue(&integrator.order("A-1", &a_ticket("2B"))).await, 409);
    let digest = integrator.uploads(&drawing::icon(1)).await;
    let mut order = integrator.order("A-1", &a_ticket("1A"));
    order["assets"] = json!({ "icon.png": digest });
    assert_problem(&integrator.issue(&order).await, 409);
    assert_ne!(integrator.state("A-1").await, before);
}

fn without_serial(integrator: &Integrator, seat: &str) -> Value {
    let mut order = integrator.order("", &a_ticket(seat));
    order.as_object_mut().expect("an order is an object").remove("serialNumber");
    order
}

async fn issues_under_key(integrator: &Integrator, key: &str, seat: &str) -> Answer {
    let order = without_serial(integrator, seat).to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    integrator.request(Method::POST, "/manage/v1/passes", &headers, order).await
}

#[tokio::test]
async fn without_a_serial_number_a_uuid_v7_is_made() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let mut serials = Vec::new();
    for _ in 0..3 {
        let answer = integrator.issue(&without_serial(&integrator, "1A")).await;
        answer.assert_status(StatusCode::CREATED);
        let serial = Change::read(&answer).serial_number;
        assert_eq!(Uuid::parse_str(&serial).unwrap().get_version(), Some(Version::SortRand), "{serial}");
        assert!(location_leads_to(&honoken, &answer, &serial).await);
        assert!(!serials.contains(&serial));
        serials.push(serial);
    }
}

#[tokio::test]
async fn a_retry_with_the_idempotency_key_gets_the_same_pass() {
    let mut honoken = a_service().await;
    let integrator = honoken.integrator();
    let first = issues_under_key(&integrator, "order-4711", "1A").await;
    first.assert_status(StatusCode::CREATED);
    let serial = Change::read(&first).serial_number;
    assert_eq!(Uuid::parse_str(&serial).unwrap().get_version(), Some(Version::SortRand), "{serial}");
    let again = issues_under_key(&integrator, "order-4711", "1A").await;
    again.assert_status(StatusCode::OK);
    assert_eq!(Change::read(&again).serial_number, serial);
    let other = issues_under_key(&integrator, "order-4712", "1A").await;
    assert_ne!(Change::read(&other).serial_number, serial);
    honoken.kill().await;
    honoken.restart().await;
    let late = issues_under_key(&honoken.integrator(), "order-4711", "1A").await;
    late.assert_status(StatusCode::OK);
    assert_eq!(Change::read(&late).serial_number, serial);
}

#[tokio::test]
async fn an_idempotency_key_for_another_order_is_409() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    issues_under_key(&integrator, "order-1", "1A").await.assert_status(StatusCode::CREATED);
    let answer = issues_under_key(&integrator, "order-1", "2B").await;
    assert_eq!(assert_problem(&answer, 409)["code"], "idempotency_key_reused");
}

#[tokio::test]
async fn an_idempotency_key_is_one_and_readable() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let order = without_serial(&integrator, "1A").to_string();
    for keys in [vec![""], vec!["é"], vec!["order-1", "order-2"], vec!["order-1", "order-1"]] {
        let headers: Vec<_> = keys.iter().map(|key| ("idempotency-key", *key)).collect();
        let answer = integrator.request(Method::POST, "/manage/v1/passes", &headers, order.clone()).await;
        let problem = assert_problem(&answer, 400);
        assert!(problem["detail"].as_str().unwrap().starts_with("`Idempotency-Key`"), "{keys:?}: {problem}");
    }
}

#[tokio::test]
async fn every_fault_of_an_order_is_422_with_its_pointer() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let icon = integrator.uploads(&drawing::icon(1)).await;
    let nobody = "0".repeat(64);
    let order = |pointer: &str, value: Value| {
        let mut order = integrator.order("faulty", &a_ticket("1A"));
        order[pointer] = value;
        order
    };
    let cases = [
        (order("passTypeIdentifier", json!("pass.com.example.unknown")), "/passTypeIdentifier"),
        (order("passTypeIdentifier", json!("nonsense")), "/passTypeIdentifier"),
        (order("passTypeIdentifier", json!(7)), "/passTypeIdentifier"),
        (order("passTypeIdentifier", json!(null)), "/passTypeIdentifier"),
        (order("serialNumber", json!("")), "/serialNumber"),
        (order("serialNumber", json!("a\nb")), "/serialNumber"),
        (order("serialNumber", json!("\u{7f}")), "/serialNumber"),
        (order("serialNumber", json!("x".repeat(257))), "/serialNumber"),
        (order("serialNumber", json!(4711)), "/serialNumber"),
        (order("ticketStyle", json!("rocket")), "/ticketStyle"),
        (order("ticketStyle", json!("Event")), "/ticketStyle"),
        (order("ticketStyle", json!(1)), "/ticketStyle"),
        (order("ticketStyle", json!(null)), "/ticketStyle"),
        (order("poster", json!("yes")), "/poster"),
        (order("poster", json!(1)), "/poster"),
        (order("content", json!(null)), "/content"),
        (order("content", json!([])), "/content"),
        (order("content", json!("text")), "/content"),
        (order("content", json!({ "eventDateISO": "tomorrow" })), "/content/eventDateISO"),
        (order("content", json!({ "serialNumber": "x" })), "/content/serialNumber"),
        (order("content", json!({ "description": 7 })), "/content/description"),
        (order("assets", json!([])), "/assets"),
        (order("assets", json!({ "logo.png": nobody })), "/assets/logo.png"),
        (order("assets", json!({ "logo.png": "nonsense" })), "/assets/logo.png"),
        (order("assets", json!({ "logo.png": 7 })), "/assets/logo.png"),
        (order("assets", json!({ "logo.gif": icon })), "/assets/logo.gif"),
        (order("assets", json!({ "a/b~c": icon })), "/assets/a~1b~0c"),
        (order("poster", json!(true)), "/assets/background.png"),
        (order("colour", json!("red")), "/colour"),
        (order("serial/Number~", json!("x")), "/serial~1Number~0"),
    ];
    for (order, pointer) in cases {
        let answer = integrator.issue(&order).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{pointer} of {order}: {}",
            answer.excerpt()
        );
        assert_points_at(&answer, pointer);
    }
    assert_problem(&integrator.get("faulty").await, 404);
}

#[tokio::test]
async fn missing_members_are_named_all_at_once() {
    let honoken = a_service().await;
    let answer = honoken.integrator().issue(&json!({ "unknown": 1 })).await;
    for pointer in ["/passTypeIdentifier", "/ticketStyle", "/content", "/unknown"] {
        assert_points_at(&answer, pointer);
    }
}

#[tokio::test]
async fn an_order_that_is_no_object_is_422() {
    let honoken = a_service().await;
    for body in [json!([]), json!("order"), json!(7), json!(null), json!(true)] {
        assert_points_at(&honoken.integrator().issue(&body).await, "");
    }
}

#[tokio::test]
async fn what_wallet_would_ignore_is_a_warning_with_its_pointer() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let change = integrator.issues_with("bare", &json!({ "eventName": "Opening night" })).await;
    let pointers: Vec<&Value> = change.warnings.iter().map(|warning| &warning["pointer"]).collect();
    assert!(
        pointers.contains(&&json!("/content/description")) || pointers.contains(&&json!("/description")),
        "{pointers:?}"
    );
    for warning in &change.warnings {
        for key in ["code", "detail"] {
            assert!(warning[key].is_string(), "{warning}");
        }
    }
}

#[tokio::test]
async fn optional_members_may_be_null() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let mut order = integrator.order("A-1", &a_ticket("1A"));
    order["serialNumber"] = Value::Null;
    order["poster"] = Value::Null;
    order["assets"] = Value::Null;
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
}
