//! `DELETE` of a pass: void for ever.

use honoken_tests::device::{a_phone, device, push_token};
use honoken_tests::problem::assert_problem;
use honoken_tests::{Change, a_ticket, drawing};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::a_service_with_a_pass;

#[tokio::test]
async fn a_retired_pass_is_void_and_says_so() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    assert_eq!(before.get("retired"), None);
    let change = integrator.retires("A-1").await;
    assert_ne!(before["etag"], change.etag);
    let state = integrator.state("A-1").await;
    assert_eq!((&state["retired"], &state["voided"]), (&json!(true), &json!(true)));
    assert_eq!((&state["etag"], &state["position"]), (&json!(change.etag), &json!(change.position)));
    assert_eq!(state["content"], before["content"]);
}

#[tokio::test]
async fn retiring_again_is_200_and_changes_nothing() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    integrator.voids("A-1").await;
    integrator.retires("A-1").await;
    let before = integrator.state("A-1").await;
    let again = Change::read(integrator.retire("A-1").await.assert_status(StatusCode::OK));
    assert!(!again.changed);
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn a_retired_pass_refuses_every_change_with_409() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    integrator.retires("A-1").await;
    let before = integrator.state("A-1").await;
    let pass = integrator.path("A-1");
    let calls: [(Method, &str, Vec<u8>); 8] = [
        (Method::PUT, "/content", a_ticket("1A").to_string().into_bytes()),
        (Method::PATCH, "/content", b"{}".to_vec()),
        (Method::PATCH, "", b"{}".to_vec()),
        (Method::POST, "/increment", br#"{"pointer":"/seat","by":1}"#.to_vec()),
        (Method::POST, "/void", vec![]),
        (Method::POST, "/reinstate", vec![]),
        (Method::PUT, "/assets/icon.png", drawing::icon(1)),
        (Method::DELETE, "/assets/icon.png", vec![]),
    ];
    for (method, rest, body) in calls {
        let answer = integrator.request(method.clone(), &format!("{pass}{rest}"), &[], body).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{method} {rest}: {}", answer.excerpt());
        assert_eq!(assert_problem(&answer, 409)["code"], "retired");
    }
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn the_serial_number_of_a_retired_pass_is_never_free_again() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    integrator.retires("A-1").await;
    honoken.terminate().await;
    honoken.restart().await;
    let integrator = honoken.integrator();
    let before = integrator.state("A-1").await;
    let late = integrator.issue(&integrator.order("A-1", &a_ticket("1A"))).await;
    assert!(!Change::read(late.assert_status(StatusCode::OK)).changed, "the order was carried out long ago");
    assert_problem(&integrator.issue(&integrator.order("A-1", &a_ticket("2B"))).await, 409);
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn a_phone_is_told_once_and_shows_the_pass_as_void() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    assert_eq!(phone.pass("A-1").unwrap().pass_json().get("voided"), None);
    integrator.retires("A-1").await;
    let updates = phone.wakes().await;
    assert!(updates.len() == 1 && updates[0].changed, "{updates:?}");
    assert_eq!(phone.pass("A-1").unwrap().pass_json()["voided"], true);
    phone.assert_content();
    // Whoever pushed now would be told off: there is nothing more to list.
    assert!(phone.wakes().await.is_empty());
    assert!(matches!(phone.complaints(), [complaint] if complaint.to_string().contains("no serial numbers")));
}

#[tokio::test]
async fn phones_still_register_for_a_retired_pass_and_need_its_token() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let pass = integrator.credentials("A-1").await;
    let change = integrator.retires("A-1").await;
    let devices = honoken.devices();
    let wrong = pass.with_token("a-wrong-token-of-some-length");
    devices.register(&device(1), &push_token(1, 0), &wrong).await.assert_status(StatusCode::UNAUTHORIZED);
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    let listed = devices.lists(&device(1), integrator.pass_type_identifier(), None).await;
    assert_eq!(listed, Some((vec!["A-1".to_owned()], change.update_tag)));
    let got = devices.get(&pass, &[]).await;
    got.assert_status(StatusCode::OK).assert_header("etag", &format!("\"{}\"", change.etag));
    assert_eq!(integrator.state("A-1").await["registrations"], 1);
}

#[tokio::test]
async fn an_increment_that_was_answered_before_is_told_again_after_the_end() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    integrator.merges("A-1", &json!({ "userInfo": { "points": 1 } })).await;
    let body = json!({ "pointer": "/userInfo/points", "by": 1 });
    integrator.increment("A-1", &body, Some("k")).await.assert_status(StatusCode::OK);
    integrator.retires("A-1").await;
    let again = integrator.increment("A-1", &body, Some("k")).await;
    assert!(!Change::read(again.assert_status(StatusCode::OK)).changed);
    assert_eq!(again.json()["value"], Value::from(2));
}
