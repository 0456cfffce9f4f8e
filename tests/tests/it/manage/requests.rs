//! What all requests have in common: ids, unknown routes, wrong methods.

use honoken_tests::Honoken;
use honoken_tests::problem::{assert_is_problem, assert_problem};
use http::{HeaderMap, Method, StatusCode};

use super::a_service_with_a_pass;
use crate::a_service;

#[tokio::test]
async fn an_unknown_route_is_404() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let unknown = [
        "/nothing",
        "/manage",
        "/manage/v1",
        "/manage/v2/passes",
        "/manage/v1/nothing",
        "/favicon.ico",
        "/%",
        "/..",
        "/v2/log",
    ];
    for path in unknown {
        let answer = integrator.request(Method::GET, path, &[], "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_problem(&answer, 404);
    }
}

#[tokio::test]
async fn a_wrong_method_is_405() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let pass = integrator.path("A-1");
    let wrong = [
        (Method::DELETE, "/manage/v1/passes".to_owned()),
        (Method::PUT, "/manage/v1/passes".to_owned()),
        (Method::POST, pass.clone()),
        (Method::POST, format!("{pass}/content")),
        (Method::GET, format!("{pass}/void")),
        (Method::GET, format!("{pass}/increment")),
        (Method::POST, format!("{pass}/history")),
        (Method::PUT, format!("{pass}/reinstate")),
        (Method::POST, format!("{pass}/pkpass")),
        (Method::POST, format!("{pass}/assets/icon.png")),
        (Method::GET, "/manage/v1/blobs".to_owned()),
        (Method::OPTIONS, "/manage/v1/blobs".to_owned()),
        (Method::from_bytes(b"BREW").unwrap(), "/manage/v1/blobs".to_owned()),
        (Method::POST, "/health/live".to_owned()),
    ];
    for (method, path) in wrong {
        let answer = integrator.request(method.clone(), &path, &[], "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_problem(&answer, 405);
    }
}

async fn request_id_for(honoken: &Honoken, sent: &str) -> String {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", sent.parse().expect("a header"));
    let answer = honoken.request(Method::GET, "/health/live", headers, "").await;
    answer.header("x-request-id").expect("a request id").to_owned()
}

#[tokio::test]
async fn the_callers_request_id_comes_back() {
    let longest = "x".repeat(128);
    let honoken = a_service().await;
    for id in ["a", "order-4711/step:2", longest.as_str(), "~!@#$%^&*()"] {
        assert_eq!(request_id_for(&honoken, id).await, id);
    }
}

#[tokio::test]
async fn a_request_id_that_is_not_acceptable_is_replaced() {
    let too_long = "x".repeat(129);
    let honoken = a_service().await;
    for id in ["", "two words", too_long.as_str(), "é"] {
        let answered = request_id_for(&honoken, id).await;
        assert_ne!(answered, id);
        assert!((1..=128).contains(&answered.len()), "{answered}");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let mut ids = std::collections::HashSet::new();
    for path in [
        integrator.path("A-1"),
        "/nothing".to_owned(),
        "/health/ready".to_owned(),
        integrator.path("missing"),
    ] {
        let answer = integrator.request(Method::GET, &path, &[], "").await;
        assert!(ids.insert(answer.header("x-request-id").expect("a request id").to_owned()));
    }
    let wrong_method = honoken.request(Method::PUT, "/health/ready", HeaderMap::new(), "").await;
    assert_is_problem(&wrong_method);
}
