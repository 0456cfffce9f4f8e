//! Section 4, "no/wrong scheme or token" and "unknown pass type or serial": a wrong token learns nothing.

use honoken_simulator::Answer;
use honoken_tests::device::{device, push_token};
use honoken_tests::problem::assert_problem;
use honoken_tests::{Credentials, DeviceRoutes};
use http::{Method, StatusCode};

use super::a_service_with_a_pass;

/// The three requests that need a token, with this header.
async fn asks_with(devices: &DeviceRoutes, pass: &Credentials, authorization: &str) -> [Answer; 3] {
    let body = format!("{{\"pushToken\":\"{}\"}}", push_token(1, 0));
    [
        devices.register_with(&device(1), pass, authorization, body).await,
        devices.unregister_with(&device(1), pass, authorization).await,
        devices.request(Method::GET, &devices.pass_path(pass), &[("authorization", authorization)], "").await,
    ]
}

#[tokio::test]
async fn a_wrong_token_is_401() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    integrator.issues("A-2").await;
    let other = integrator.credentials("A-2").await.token;
    let token = &pass.token;
    let wrong = [
        "ApplePass".to_owned(),
        "ApplePass ".to_owned(),
        format!("ApplePass {other}"),
        format!("ApplePass {}", &token[..token.len() - 1]),
        format!("ApplePass {token}x"),
        format!("ApplePass {}", token.chars().rev().collect::<String>()),
        format!("ApplePass{token}"),
        format!("ApplePass \"{token}\""),
        format!("Bearer {token}"),
        format!("Basic {token}"),
        format!("Pass {token}"),
        token.clone(),
        String::new(),
        format!("ApplePass {}", "a".repeat(5000)),
        "ApplePass null".to_owned(),
        "ApplePass undefined".to_owned(),
    ];
    for authorization in wrong {
        for answer in asks_with(&honoken.devices(), &pass, &authorization).await {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{authorization:?}");
            assert_problem(&answer, 401);
        }
    }
    assert_eq!(integrator.state("A-1").await["registrations"], 0);
}

#[tokio::test]
async fn swapping_the_case_of_the_token_is_401() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    let swapped: String = pass
        .token
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    for answer in asks_with(&honoken.devices(), &pass, &format!("ApplePass {swapped}")).await {
        answer.assert_status(StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn no_token_at_all_is_401() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    let path = devices.registration_path(&device(1), &pass);
    assert_problem(&devices.request(Method::POST, &path, &[], "{\"pushToken\":\"abc\"}").await, 401);
    assert_problem(&devices.request(Method::DELETE, &path, &[], "").await, 401);
    assert_problem(&devices.request(Method::GET, &devices.pass_path(&pass), &[], "").await, 401);
}

#[tokio::test]
async fn the_scheme_is_read_without_regard_to_case_and_android_has_its_own() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    for scheme in ["ApplePass", "applepass", "APPLEPASS", "AndroidPass", "androidpass", "ANDROIDPASS"] {
        let authorization = format!("{scheme} {}", pass.token);
        for answer in asks_with(&honoken.devices(), &pass, &authorization).await {
            assert!(answer.status.is_success(), "{scheme}: {} {}", answer.status, answer.excerpt());
        }
    }
}

#[tokio::test]
async fn the_token_is_looked_at_before_the_body() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    for body in ["", "{", "[]", "{\"pushToken\":7}", &"x".repeat(50_000)] {
        let answer = honoken
            .devices()
            .register_with(&device(1), &pass, "ApplePass wrong-wrong-wrong", body.to_owned())
            .await;
        answer.assert_status(StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_the_answer_is_the_same_to_the_byte() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    let authorization = pass.authorization();
    let unknown_serial = pass.with_serial_number("never issued");
    let unknown_type = pass.with_pass_type("pass.com.example.unknown");
    let impossible_type = pass.with_pass_type("not a pass type");
    let impossible_serial = pass.with_serial_number(&"x".repeat(300));
    let mut answers = Vec::new();
    for stranger in [&unknown_serial, &unknown_type, &impossible_type, &impossible_serial] {
        answers.extend(asks_with(&devices, stranger, &authorization).await);
    }
    answers.extend(asks_with(&devices, &pass, "ApplePass wrong-wrong-wrong").await);
    answers.extend(asks_with(&devices, &pass, "Bearer nonsense").await);
    answers.extend(asks_with(&devices, &pass, "").await);
    integrator.voids("A-1").await;
    answers.extend(asks_with(&devices, &pass, "ApplePass wrong-wrong-wrong").await);

    let told = |answer: &Answer| {
        assert_problem(answer, 401);
        let mut headers: Vec<(String, String)> = answer
            .headers
            .iter()
            .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
            .map(|(name, value)| (name.to_string(), format!("{value:?}")))
            .collect();
        headers.sort();
        (headers, answer.body.clone())
    };
    let first = told(&answers[0]);
    for answer in &answers {
        assert_eq!(told(answer), first);
    }
    let ids: std::collections::HashSet<_> =
        answers.iter().map(|answer| answer.header("x-request-id").unwrap().to_owned()).collect();
    assert_eq!(ids.len(), answers.len(), "every answer has a request id of its own");
}

#[tokio::test]
async fn a_token_opens_one_pass_only_and_each_pass_has_its_own() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    integrator.issues("A-2").await;
    let other = integrator.credentials("A-2").await;
    assert_ne!(pass.token, other.token);
    assert!(pass.token.len() >= 32, "too short to be unguessable");
    for answer in asks_with(&honoken.devices(), &other, &pass.authorization()).await {
        answer.assert_status(StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_token_never_changes() {
    let (_honoken, integrator, pass) = a_service_with_a_pass().await;
    integrator.moves_to("A-1", "2B").await;
    integrator.voids("A-1").await;
    integrator.reinstates("A-1").await;
    assert_eq!(integrator.credentials("A-1").await, pass);
}
