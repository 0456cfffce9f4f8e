use std::time::Duration;

use http::{HeaderMap, Method};

use super::server::{Reply, Server};
use crate::HttpError;
use crate::http::Line;

fn a_line() -> Line {
    Line::new(Duration::from_secs(10), 8, None)
}

async fn gets(line: &mut Line, url: &str) -> Result<crate::Answer, HttpError> {
    line.request(Method::GET, url, HeaderMap::new(), "").await
}

#[tokio::test]
async fn paths_arrive_as_written_with_the_host_they_are_for() {
    let server = Server::starts().await;
    server.answers(200);
    gets(&mut a_line(), &format!("{}/a%2Fb?c=%20", server.url)).await.unwrap();
    let seen = server.requests().remove(0);
    assert_eq!(seen.target, "/a%2Fb?c=%20");
    assert_eq!(seen.header("host"), server.url.strip_prefix("http://"));
}

#[tokio::test]
async fn a_connection_that_the_server_closes_is_made_again() {
    let server = Server::starts().await;
    let mut line = a_line();
    for _ in 0..3 {
        server.answers(Reply::from(204).header("connection", "close"));
        assert_eq!(gets(&mut line, &server.url).await.unwrap().status, 204);
    }
    assert_eq!(server.requests().len(), 3, "nothing was asked twice");
}

#[tokio::test]
async fn one_line_may_lead_to_several_servers() {
    let (here, there) = (Server::starts().await, Server::starts().await);
    let mut line = a_line();
    for server in [&here, &there, &here] {
        server.answers(204);
        assert_eq!(gets(&mut line, &server.url).await.unwrap().status, 204);
    }
}

#[tokio::test]
async fn a_failure_costs_one_request_and_not_the_line() {
    let server = Server::starts().await;
    let mut line = a_line();
    server.answers(Reply::from(200).body("123456789")).answers(204);
    assert!(matches!(gets(&mut line, &server.url).await, Err(HttpError::Body { .. })));
    assert_eq!(gets(&mut line, &server.url).await.unwrap().status, 204);
    let nobody = gets(&mut line, "http://127.0.0.1:1").await.unwrap_err();
    assert!(nobody.is_unreachable() && nobody.told().contains("refused"), "{}", nobody.told());
    assert!(matches!(gets(&mut line, "https://127.0.0.1").await, Err(HttpError::NobodyTrusted { .. })));
}
