//! Section 3.5: the log of the phones.

use honoken_tests::device::{a_phone, device};
use honoken_tests::problem::{assert_is_problem, assert_problem, assert_too_large};
use http::{Method, StatusCode};
use serde_json::json;

use super::a_service_with_a_pass;
use crate::a_service;

const LIMIT: usize = 64 * 1024;

/// A log with one line, `bytes` long in all.
fn a_log_of(bytes: usize) -> String {
    let frame = json!({ "logs": [""] }).to_string().len();
    json!({ "logs": ["x".repeat(bytes - frame)] }).to_string()
}

#[tokio::test]
async fn complaints_are_taken_with_200() {
    let (_honoken, integrator, _) = a_service_with_a_pass().await;
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    phone.wakes().await;
    assert!(!phone.complaints().is_empty(), "a push for nothing is complained about");
    assert_eq!(phone.sends_log().await, [Some(StatusCode::OK)]);
}

#[tokio::test]
async fn complaints_reach_the_operator_with_the_device_shortened() {
    let (honoken, integrator, _) = a_service_with_a_pass().await;
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    phone.wakes().await;
    phone.sends_log().await;
    honoken.logs("spurious push").await;
    let output = honoken.output_so_far().await;
    assert!(output.contains(&device(1)[..6]) && !output.contains(&device(1)), "the device is shortened");
}

#[tokio::test]
async fn a_log_up_to_64_kib_is_taken_and_a_larger_one_is_413() {
    let honoken = a_service().await;
    let devices = honoken.devices();
    devices.log(a_log_of(LIMIT)).await.assert_status(StatusCode::OK);
    assert_too_large(devices.tries(Method::POST, "/log", &[], a_log_of(LIMIT + 1)).await);
    assert_too_large(devices.tries(Method::POST, "/log", &[], "x".repeat(4 * 1024 * 1024)).await);
}

#[tokio::test]
async fn a_log_that_is_not_the_json_expected_is_400() {
    let honoken = a_service().await;
    let malformed = [
        "",
        "{",
        "[]",
        "null",
        "7",
        "{}",
        r#"{"logs":null}"#,
        r#"{"logs":"x"}"#,
        r#"{"logs":[1]}"#,
        r#"{"logs":{}}"#,
        r#"{"logs":["a",null]}"#,
        r#"{"Logs":["a"]}"#,
        r#"{"logs":["a"]}x"#,
    ];
    for body in malformed {
        let answer = honoken.devices().log(body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_problem(&answer, 400);
    }
    let answer = honoken.devices().log(&b"{\"logs\":[\"\xff\"]}"[..]).await;
    assert_problem(&answer, 400);
}

#[tokio::test]
async fn any_line_is_taken_and_none_breaks_the_log() {
    let honoken = a_service().await;
    let lines =
        ["", "\n\n", "\u{1b}[2J\u{1b}[31mred", "🎫", "\u{202e}reversed", "{\"level\":\"ERROR\"}", "%s%n"];
    honoken.devices().log(json!({ "logs": lines }).to_string()).await.assert_status(StatusCode::OK);
    honoken.devices().log(json!({ "logs": [] }).to_string()).await.assert_status(StatusCode::OK);
    honoken.devices().log(json!({ "logs": vec!["x"; 5000] }).to_string()).await.assert_status(StatusCode::OK);
    assert!(
        !honoken.output_so_far().await.contains("\u{1b}[2J"),
        "a phone cannot clear the operator's screen"
    );
}

#[tokio::test]
async fn a_log_needs_no_token_and_minds_none() {
    let honoken = a_service().await;
    let body = json!({ "logs": ["hello"] }).to_string();
    for authorization in ["ApplePass nonsense", "Bearer x"] {
        let headers = [("authorization", authorization), ("content-type", "application/json")];
        let answer = honoken.devices().request(Method::POST, "/log", &headers, body.clone()).await;
        answer.assert_status(StatusCode::OK);
    }
}

#[tokio::test]
async fn other_methods_are_405() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    let list = format!("/devices/{}/registrations/{}", device(1), integrator.pass_type_identifier());
    let cases = [
        ("/log".to_owned(), vec![Method::GET, Method::PUT, Method::DELETE]),
        (devices.registration_path(&device(1), &pass), vec![Method::GET, Method::PUT, Method::PATCH]),
        (list, vec![Method::POST, Method::DELETE]),
        (devices.pass_path(&pass), vec![Method::POST, Method::PUT, Method::DELETE]),
    ];
    for (path, methods) in cases {
        for method in methods {
            let answer = devices.request(method.clone(), &path, &[], "").await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_is_problem(&answer);
        }
    }
}
