//! Who may use the routes.

use honoken_tests::problem::assert_problem;
use honoken_tests::{a_ticket, drawing};
use http::{Method, StatusCode};

use super::a_service_with_a_pass;

/// Every route below `/manage/v1`, with a body that would be fine.
fn routes(pass: &str) -> Vec<(Method, String, Vec<u8>)> {
    vec![
        (Method::POST, "/manage/v1/passes".to_owned(), b"{}".to_vec()),
        (Method::GET, "/manage/v1/passes".to_owned(), vec![]),
        (
            Method::PUT,
            "/manage/v1/pass-types/pass.dev.honoken.event/assets/logo.png".to_owned(),
            drawing::logo(1),
        ),
        (Method::GET, "/manage/v1/pass-types/pass.dev.honoken.event/assets/logo.png".to_owned(), vec![]),
        (Method::DELETE, "/manage/v1/pass-types/pass.dev.honoken.event/assets/logo.png".to_owned(), vec![]),
        (Method::GET, "/manage/v1/jobs/018bcfe5-6800-7000-8000-000000000000".to_owned(), vec![]),
        (Method::GET, pass.to_owned(), vec![]),
        (Method::PATCH, pass.to_owned(), br#"{"ticketStyle":"generic"}"#.to_vec()),
        (Method::DELETE, pass.to_owned(), vec![]),
        (Method::PATCH, format!("{pass}/content"), br#"{"seat":"2B"}"#.to_vec()),
        (Method::POST, format!("{pass}/increment"), br#"{"pointer":"/points","by":1}"#.to_vec()),
        (Method::GET, format!("{pass}/history"), vec![]),
        (Method::GET, format!("{pass}/at?position=1"), vec![]),
        (Method::GET, format!("{pass}/at/pkpass?position=1"), vec![]),
        (Method::POST, format!("{pass}/restore"), br#"{"position":1}"#.to_vec()),
        (Method::PUT, format!("{pass}/content"), a_ticket("2B").to_string().into_bytes()),
        (Method::POST, format!("{pass}/void"), vec![]),
        (Method::POST, format!("{pass}/reinstate"), vec![]),
        (Method::GET, format!("{pass}/pkpass"), vec![]),
        (Method::PUT, format!("{pass}/registrations/0123456789"), br#"{"pushToken":"c0ffee"}"#.to_vec()),
        (Method::PUT, format!("{pass}/assets/logo.png"), drawing::logo(1)),
        (Method::GET, format!("{pass}/assets/logo.png"), vec![]),
        (Method::DELETE, format!("{pass}/assets/logo.png"), vec![]),
        (Method::POST, "/manage/v1/blobs".to_owned(), drawing::icon(1)),
    ]
}

#[tokio::test]
async fn without_a_valid_key_every_route_is_401() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    let wrong = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic d3Jvbmc6d3Jvbmc=",
        "ApplePass 0123456789abcdef",
        "Bearer null",
    ];
    let token = format!("Bearer {}", integrator.credentials("A-1").await.token);
    let half = format!("Bearer {}", &honoken.ready().api_key[..honoken.ready().api_key.len() - 1]);
    let bare = honoken.ready().api_key.clone();
    for (method, path, body) in routes(&integrator.path("A-1")) {
        let anonymous = honoken.request(method.clone(), &path, http::HeaderMap::new(), body.clone()).await;
        assert_problem(&anonymous, 401);
        for authorization in wrong.into_iter().chain([token.as_str(), half.as_str(), bare.as_str()]) {
            let mut headers = http::HeaderMap::new();
            headers.insert("authorization", authorization.parse().unwrap());
            let answer = honoken.request(method.clone(), &path, headers, body.clone()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} with {authorization:?}");
            assert_problem(&answer, 401);
        }
    }
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn the_scheme_is_read_without_regard_to_case() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("{scheme} {}", honoken.ready().api_key).parse().unwrap());
        let answer = honoken.request(Method::GET, &integrator.path("A-1"), headers, "").await;
        answer.assert_status(StatusCode::OK);
    }
}

#[tokio::test]
async fn the_key_is_looked_at_before_the_body() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let stranger = integrator.clone().with_authorization("Bearer wrong");
    let path = format!("{}/content", integrator.path("A-1"));
    for body in ["", "{", &"x".repeat(50_000)] {
        let answer =
            stranger.request(Method::PUT, &path, &[("content-type", "text/plain")], body.to_owned()).await;
        answer.assert_status(StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_stranger_cannot_tell_which_passes_exist() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let stranger = integrator.clone().with_authorization("Bearer wrong");
    let existing = stranger.get("A-1").await;
    let missing = stranger.get("missing").await;
    assert_eq!(existing.status, missing.status);
    assert_eq!(existing.body, missing.body);
}
