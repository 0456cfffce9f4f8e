//! JSON bodies: content type, size, depth, and what RFC 8785 cannot carry.

use honoken_tests::problem::{assert_problem, assert_too_large};
use honoken_tests::{Change, Integrator, a_ticket};
use http::{Method, StatusCode};
use serde_json::json;

use super::a_service_with_a_pass;

const LIMIT: usize = 256 * 1024;
const DEPTH: usize = 64;

async fn puts(integrator: &Integrator, body: impl Into<bytes::Bytes>) -> honoken_simulator::Answer {
    let path = format!("{}/content", integrator.path("A-1"));
    integrator.request(Method::PUT, &path, &[("content-type", "application/json")], body).await
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_400() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    let unreadable: [&[u8]; 22] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"{\"a\":}",
        b"{\"a\":1,}",
        b"{'a':1}",
        b"{a:1}",
        b"{\"a\":1} trailing",
        b"{\"a\":01}",
        b"{\"a\":1.}",
        b"{\"a\":NaN}",
        b"{\"a\":Infinity}",
        b"{\"a\":1e400}",
        b"{\"a\":\"\\x\"}",
        b"{\"a\":\"\\ud800\"}",
        b"{\"a\":\"\n\"}",
        b"{\"a\":\"\xff\"}",
        b"\xef\xbb\xbf{\"a\":1}",
        b"{\"a\":\"\\u0000\"}",
        b"{\"a\\u0000\":1}",
        b"\0",
    ];
    for body in unreadable {
        let answer = puts(&integrator, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", String::from_utf8_lossy(body));
        assert_problem(&answer, 400);
    }
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn a_key_that_occurs_twice_is_400() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    for body in [
        r#"{"description":"a","description":"b"}"#,
        r#"{"description":"a","userInfo":{"x":1,"x":1}}"#,
        r#"{"description":"a","descr\u0069ption":"b"}"#,
    ] {
        assert_problem(&puts(&integrator, body).await, 400);
    }
}

#[tokio::test]
async fn numbers_beyond_what_a_double_holds_are_400() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    for number in [
        "9007199254740992",
        "-9007199254740992",
        "123456789012345678901234567890",
        "18446744073709551616",
        "1e400",
    ] {
        let answer = puts(&integrator, format!("{{\"description\":\"a\",\"userInfo\":{number}}}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{number}");
        assert_problem(&answer, 400);
    }
    for number in ["9007199254740991", "-9007199254740991", "1e300", "5e-324", "0.1"] {
        let answer = puts(&integrator, format!("{{\"description\":\"a\",\"userInfo\":{number}}}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{number}: {}", answer.excerpt());
        integrator.state("A-1").await;
    }
}

#[tokio::test]
async fn nesting_goes_64_levels_deep_and_no_further() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    // The content itself is the first level.
    let nested = |depth: usize| {
        format!("{{\"description\":\"a\",\"userInfo\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
    };
    let answer = puts(&integrator, nested(DEPTH)).await;
    assert!(Change::read(answer.assert_status(StatusCode::OK)).changed);
    integrator.state("A-1").await;
    integrator.downloads("A-1").await;
    assert_problem(&puts(&integrator, nested(DEPTH + 1)).await, 400);
    assert_problem(&puts(&integrator, "[".repeat(200_000)).await, 400);
    assert_problem(&puts(&integrator, "{\"a\":".repeat(40_000)).await, 400);
}

#[tokio::test]
async fn a_body_up_to_256_kib_is_taken_and_a_larger_one_is_413() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let content_of = |bytes: usize| {
        let frame = json!({ "description": "a", "userInfo": "" }).to_string().len();
        json!({ "description": "a", "userInfo": "x".repeat(bytes - frame) }).to_string()
    };
    puts(&integrator, content_of(LIMIT)).await.assert_status(StatusCode::OK);
    integrator.state("A-1").await;
    let before = integrator.state("A-1").await;
    let path = format!("{}/content", integrator.path("A-1"));
    let order = integrator.order("large", &serde_json::from_str(&content_of(LIMIT)).unwrap()).to_string();
    for (method, path, body) in [
        (Method::PUT, path.as_str(), content_of(LIMIT + 1)),
        (Method::PUT, path.as_str(), content_of(8 * LIMIT)),
        (Method::POST, "/manage/v1/passes", order),
    ] {
        assert_too_large(integrator.tries(method, path, &[], body).await);
    }
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn json_comes_as_json_or_without_a_content_type() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let path = format!("{}/content", integrator.path("A-1"));
    let content = a_ticket("2B").to_string();
    integrator.request(Method::PUT, &path, &[], content.clone()).await.assert_status(StatusCode::OK);
    for content_type in
        ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/json;x=y"]
    {
        let answer =
            integrator.request(Method::PUT, &path, &[("content-type", content_type)], content.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{content_type}");
    }
    let wrong = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "text/json",
        "image/png",
        "json",
        "",
        "*/*",
        "application/jsonp",
    ];
    for content_type in wrong {
        for (method, path) in [(Method::PUT, path.as_str()), (Method::POST, "/manage/v1/passes")] {
            let headers = [("content-type", content_type)];
            let answer = integrator.request(method.clone(), path, &headers, content.clone()).await;
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{method} {content_type:?}");
            assert_problem(&answer, 415);
        }
    }
}

#[tokio::test]
async fn void_and_reinstate_do_not_mind_a_body() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    for (verb, content_type, body) in
        [("void", "application/json", "{}"), ("reinstate", "application/json", "null")]
    {
        let path = format!("{}/{verb}", integrator.path("A-1"));
        let answer = integrator.request(Method::POST, &path, &[("content-type", content_type)], body).await;
        answer.assert_status(StatusCode::OK);
    }
}

#[tokio::test]
async fn a_body_with_countless_faults_is_told_the_first_of_them() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let mut order = integrator.order("A-2", &a_ticket("12A"));
    for number in 0..10_000 {
        order[format!("unknown{number}")] = json!(true);
    }
    let headers = [("content-type", "application/json")];
    let answer = integrator.request(Method::POST, "/manage/v1/passes", &headers, order.to_string()).await;
    let problem = assert_problem(&answer, 422);
    assert_eq!(problem["errors"].as_array().unwrap().len(), 100);
    assert!(problem["detail"].as_str().unwrap().starts_with("10000 faults"), "{}", problem["detail"]);
}

#[tokio::test]
async fn a_long_name_is_not_said_again_and_again() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let mut order = integrator.order("A-2", &a_ticket("12A"));
    // Six characters each where it is quoted.
    order["assets"] = json!({ "\u{7f}".repeat(50_000): "0".repeat(64) });
    order["ticketStyle"] = json!("\u{7f}".repeat(50_000));
    let headers = [("content-type", "application/json")];
    let answer = integrator.request(Method::POST, "/manage/v1/passes", &headers, order.to_string()).await;
    assert_problem(&answer, 422);
    // The pointer has to name it, once.
    assert!(answer.body.len() < 60_000, "{} bytes", answer.body.len());
}
