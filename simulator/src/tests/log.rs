use std::time::{Duration, UNIX_EPOCH};

use http::StatusCode;
use serde_json::json;

use super::actors::{a_pass, a_phone, a_phone_with, rules};
use super::pass_file::PassFile;
use super::server::Server;
use crate::Rule;

#[tokio::test]
async fn complaints_are_sent_once_in_the_words_of_wallet() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    phone.it_is(UNIX_EPOCH + Duration::from_secs(1_472_399_821));
    server.answers(401).answers(200);
    phone.refreshes("1").await.unwrap();
    assert_eq!(phone.sends_log().await, [Some(StatusCode::OK)]);
    assert!(phone.sends_log().await.is_empty());
    let sent = server.requests().remove(1);
    assert_eq!((sent.method.as_str(), sent.target.as_str()), ("POST", "/v1/log"));
    assert_eq!(sent.header("authorization"), None);
    let line = format!("[2016-08-28 15:57:01 +0000] {}", phone.complaints()[0].message);
    assert_eq!(sent.json(), json!({ "logs": [line] }));
    assert_eq!(rules(&phone), [Rule::AuthenticationFailure]);
}

#[tokio::test]
async fn a_log_that_is_refused_is_a_complaint_that_stays_on_the_phone() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(401).answers(204);
    phone.refreshes("1").await.unwrap();
    phone.sends_log().await;
    assert_eq!(rules(&phone), [Rule::AuthenticationFailure, Rule::LogRefused]);
    assert!(phone.sends_log().await.is_empty());
}

#[tokio::test]
async fn failures_to_connect_are_not_told_to_the_server() {
    let (mut phone, gone) = (a_phone(), Server::starts().await.url.clone());
    phone.add(PassFile::new(&gone, "1").bytes()).await.unwrap();
    assert_eq!(rules(&phone), [Rule::Unreachable]);
    assert!(phone.sends_log().await.is_empty());
}

#[tokio::test]
async fn each_server_is_told_about_itself_in_requests_of_bounded_size() {
    let (here, there) = (Server::starts().await, Server::starts().await);
    let mut phone = a_phone_with(&here, &a_pass(&here)).await;
    there.answers(401);
    phone.add(a_pass(&there).bytes()).await.unwrap();
    for _ in 0..51 {
        here.answers(500);
        phone.polls().await;
    }
    here.requests();
    there.requests();
    here.answers(200).answers(200);
    there.answers(200);
    assert_eq!(phone.sends_log().await.len(), 3);
    let lines = |server: &Server| -> Vec<usize> {
        server.requests().iter().map(|seen| seen.json()["logs"].as_array().unwrap().len()).collect()
    };
    assert_eq!((lines(&here), lines(&there)), (vec![50, 1], vec![1]));
}
