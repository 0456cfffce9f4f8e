//! Devices that another service has known, registered in the place of their phones.

use honoken_simulator::Answer;
use honoken_tests::device::{device, push_token};
use honoken_tests::problem::assert_problem;
use honoken_tests::{Honoken, Integrator};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::a_service_with_a_pass;

async fn import(integrator: &Integrator, serial: &str, device: &str, push_token: &str) -> Answer {
    let path =
        format!("{}/registrations/{}", integrator.path(serial), honoken_tests::integrator::encoded(device));
    integrator.json(Method::PUT, &path, &json!({ "pushToken": push_token })).await
}

/// The push token with which a device would be woken.
async fn known_token(honoken: &Honoken, device: &str) -> Vec<String> {
    honoken.storage().push_tokens(device).await
}

#[tokio::test]
async fn an_imported_device_is_listed_and_counted_and_may_leave_like_any_other() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let (phone, token) = (device(1), push_token(1, 0));
    let answer = import(&integrator, "A-1", &phone, &token).await;
    let body = answer.assert_status(StatusCode::CREATED).json();
    assert_eq!((&body["changed"], &body["projected"]), (&json!(true), &json!(true)), "{body}");
    assert!(!answer.excerpt().contains(&phone) && !answer.excerpt().contains(&token));

    let again = import(&integrator, "A-1", &phone, &token).await;
    assert_eq!(again.assert_status(StatusCode::OK).json()["changed"], false);
    assert_eq!(integrator.state("A-1").await["registrations"], 1);
    let devices = honoken.devices();
    let (serials, tag) =
        devices.lists(&phone, integrator.pass_type_identifier(), None).await.expect("a list");
    assert_eq!(serials, ["A-1"]);
    assert_eq!(devices.lists(&phone, integrator.pass_type_identifier(), Some(&tag)).await, None);

    let pass = integrator.credentials("A-1").await;
    devices.unregister(&phone, &pass).await.assert_status(StatusCode::OK);
    assert_eq!(integrator.state("A-1").await["registrations"], 0);
    // The file of the other service is older than that.
    let late = import(&integrator, "A-1", &phone, &token).await;
    assert_eq!(late.assert_status(StatusCode::OK).json()["changed"], false);
    assert_eq!(integrator.state("A-1").await["registrations"], 0);
}

#[tokio::test]
async fn a_newer_import_brings_a_newer_push_token_and_the_phone_has_the_last_word() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    integrator.issues("A-2").await;
    let phone = device(1);
    import(&integrator, "A-1", &phone, "first").await.assert_status(StatusCode::CREATED);
    let newer = import(&integrator, "A-1", &phone, "second").await;
    assert_eq!(newer.assert_status(StatusCode::OK).json()["changed"], true);
    assert_eq!(known_token(&honoken, &phone).await, ["second"]);

    let pass = integrator.credentials("A-1").await;
    honoken.devices().register(&phone, "its own", &pass).await.assert_status(StatusCode::OK);
    assert_eq!(known_token(&honoken, &phone).await, ["its own"]);
    let late = import(&integrator, "A-1", &phone, "second").await;
    assert_eq!(late.assert_status(StatusCode::OK).json()["changed"], false);
    import(&integrator, "A-2", &phone, "second").await.assert_status(StatusCode::CREATED);
    assert_eq!(known_token(&honoken, &phone).await, ["its own"]);
}

#[tokio::test]
async fn a_registration_needs_a_pass_that_is_there_and_not_retired() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    assert_problem(&import(&integrator, "missing", &device(1), "token").await, 404);
    let path = "/manage/v1/passes/pass.com.example.missing/A-1/registrations/0123456789";
    assert_problem(&integrator.json(Method::PUT, path, &json!({ "pushToken": "token" })).await, 404);
    integrator.issues("void").await;
    integrator.voids("void").await;
    import(&integrator, "void", &device(1), "token").await.assert_status(StatusCode::CREATED);
    integrator.retires("A-1").await;
    let problem = assert_problem(&import(&integrator, "A-1", &device(1), "token").await, 409);
    assert_eq!(problem["code"], "retired");
    assert_eq!(integrator.state("A-1").await["registrations"], 0);
}

#[tokio::test]
async fn device_and_push_token_are_checked_as_those_of_phones() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let before = honoken.storage().recorded().await;
    let path = |device: &str| format!("{}/registrations/{device}", integrator.path("A-1"));
    for wrong in ["a%00b", "%0A", "%FF", &"x".repeat(257)] {
        let answer = integrator.json(Method::PUT, &path(wrong), &json!({ "pushToken": "token" })).await;
        assert_problem(&answer, 400);
    }
    let long = "x".repeat(1025);
    for (body, code) in [
        (json!({}), "required"),
        (json!({ "pushToken": null }), "required"),
        (json!({ "pushToken": 7 }), "wrong_type"),
        (json!({ "pushToken": "" }), "invalid"),
        (json!({ "pushToken": "a\nb" }), "invalid"),
        (json!({ "pushToken": long }), "invalid"),
        (json!([]), "wrong_type"),
        (json!({ "pushToken": "token", "pushtoken": "token" }), "unknown_field"),
    ] {
        let answer = integrator.json(Method::PUT, &path("0123456789"), &body).await;
        let problem: Value = assert_problem(&answer, 422);
        assert_eq!(problem["errors"][0]["code"], code, "{body}");
    }
    let broken = integrator.request(Method::PUT, &path("0123456789"), &[], "{").await;
    assert_problem(&broken, 400);
    assert_eq!(honoken.storage().recorded().await, before);
}

#[tokio::test]
async fn another_token_within_a_second_waits_for_its_end() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let phone = device(1);
    let all: Vec<_> = (0..3).map(|number| format!("token-{number}")).collect();
    let sent = all.iter().map(|token| import(&integrator, "A-1", &phone, token));
    let began = tokio::time::Instant::now();
    for answer in futures::future::join_all(sent).await {
        assert!(matches!(answer.status, StatusCode::CREATED | StatusCode::OK), "{}", answer.excerpt());
    }
    assert!(began.elapsed().as_secs() >= 1, "three tokens take two seconds, less the beginning of the first");
    assert_eq!(known_token(&honoken, &phone).await.len(), 1);
}
