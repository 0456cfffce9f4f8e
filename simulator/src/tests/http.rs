use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use super::server::{Reply, Server};
use crate::{HttpClient, HttpError};

async fn gets(client: &HttpClient, url: &str) -> Result<crate::Answer, HttpError> {
    client.request(Method::GET, url, HeaderMap::new(), "").await
}

#[tokio::test]
async fn hostile_paths_and_headers_arrive_as_written() {
    let server = Server::starts().await;
    server.answers(200);
    let mut headers = HeaderMap::new();
    headers.append("authorization", HeaderValue::from_static("ApplePass"));
    headers.append("authorization", HeaderValue::from_bytes(b"\xff").unwrap());
    let url = format!("{}//v1/../%zz/%2E%2E?a=%00&&", server.url);
    HttpClient::new().request(Method::PUT, &url, headers, "{").await.unwrap();
    let seen = server.requests().remove(0);
    assert_eq!((seen.target.as_str(), &seen.body[..]), ("//v1/../%zz/%2E%2E?a=%00&&", &b"{"[..]));
    assert_eq!(seen.headers.get_all("authorization").iter().count(), 2);
}

#[tokio::test]
async fn an_answer_is_read_with_its_assertions() {
    let server = Server::starts().await;
    server.answers(Reply::from(json!({ "a": 1 })).header("x-a", "b")).answers(204);
    let answer = gets(&HttpClient::new(), &server.url).await.unwrap();
    answer.assert_status(StatusCode::OK).assert_header("x-a", "b");
    assert_eq!((answer.json()["a"].as_u64(), answer.header("x-none")), (Some(1), None));
    gets(&HttpClient::new(), &server.url).await.unwrap().assert_no_body();
}

#[tokio::test]
#[should_panic(expected = "the body reads: what went wrong")]
async fn a_failed_status_assertion_shows_the_body() {
    let server = Server::starts().await;
    server.answers(Reply::from(500).body("what went wrong"));
    gets(&HttpClient::new(), &server.url).await.unwrap().assert_status(StatusCode::OK);
}

#[tokio::test]
async fn redirects_are_reported_and_not_followed() {
    let server = Server::starts().await;
    server.answers(Reply::from(302).header("location", "/elsewhere"));
    gets(&HttpClient::new(), &server.url).await.unwrap().assert_status(StatusCode::FOUND);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_an_error() {
    let server = Server::starts().await;
    server.answers(Reply::from(200).body("12345678")).answers(Reply::from(200).body("123456789"));
    let client = HttpClient::with_limits(Duration::from_secs(10), 8);
    assert_eq!(gets(&client, &server.url).await.unwrap().body, "12345678");
    assert!(matches!(gets(&client, &server.url).await, Err(HttpError::Body { .. })));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for_forever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = HttpClient::with_limits(Duration::from_millis(20), 8);
    assert!(matches!(gets(&client, &format!("http://{address}")).await, Err(HttpError::Timeout(_))));
    assert!(matches!(client.raw(&address, b"GET").await, Err(HttpError::Timeout(_))));
}

#[tokio::test]
async fn urls_that_cannot_be_requested_are_refused() {
    let client = HttpClient::new();
    assert!(matches!(gets(&client, "https://localhost").await, Err(HttpError::NobodyTrusted { .. })));
    assert!(matches!(gets(&client, "/relative").await, Err(HttpError::NotHttp { .. })));
    assert!(matches!(gets(&client, "http://a b").await, Err(HttpError::Url { .. })));
}

#[tokio::test]
async fn raw_bytes_are_answered_with_raw_bytes() {
    let server = Server::starts().await;
    let address = server.url.trim_start_matches("http://");
    let answer = HttpClient::new().raw(address, b"nonsense\r\n\r\n").await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
}
