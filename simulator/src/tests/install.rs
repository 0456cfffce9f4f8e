use serde_json::json;

use super::actors::{DEVICE, a_pass, a_phone, a_phone_with, list, rules, web_service};
use super::pass_file::{MONDAY, PassFile, TOKEN};
use super::server::Server;
use crate::{InvalidPass, Rule, Update};
use http::StatusCode;

#[tokio::test]
async fn the_first_pass_is_registered_listed_and_fetched() {
    let (server, mut phone) = (Server::starts().await, a_phone());
    server.answers(201).answers(list(["1"], "a")).answers(a_pass(&server).reply().header("etag", "\"e\""));
    let installation = phone.add(a_pass(&server).bytes()).await.unwrap();
    phone.assert_content();
    assert_eq!(installation.registered, Some(StatusCode::CREATED));
    let update = Update { serial_number: "1".to_owned(), status: Some(StatusCode::OK), changed: false };
    assert_eq!(installation.updates, [update]);
    let device = format!("/v1/devices/{DEVICE}/registrations/pass.example.tests");
    let asked = [
        format!("POST {device}/1"),
        format!("GET {device}"),
        "GET /v1/passes/pass.example.tests/1".to_owned(),
    ];
    assert_eq!(server.was_asked(), asked);
    let pass = phone.pass("1").unwrap();
    assert_eq!((pass.last_modified(), pass.etag()), (Some(MONDAY), Some("\"e\"")));
    assert_eq!(pass.pass_json()["description"], "A ticket");
    assert_eq!(phone.tag(&web_service(&server)), Some("a"));
}

#[tokio::test]
async fn requests_carry_what_a_phone_sends_and_nothing_else() {
    let (server, mut phone) = (Server::starts().await, a_phone());
    server.answers(201).answers(list(["1"], "a")).answers(a_pass(&server).reply());
    phone.add(a_pass(&server).bytes()).await.unwrap();
    let requests = server.requests();
    let [register, listing, get] = requests.as_slice() else { panic!("{requests:?}") };
    let token = format!("ApplePass {TOKEN}");
    assert_eq!(register.header("authorization"), Some(token.as_str()));
    assert_eq!(register.header("content-type"), Some("application/json"));
    assert_eq!(register.json(), json!({ "pushToken": "aa".repeat(32) }));
    assert_eq!(listing.header("authorization"), None);
    assert_eq!(get.header("authorization"), Some(token.as_str()));
    assert_eq!(get.header("if-modified-since"), None);
    for request in &requests {
        assert!(request.header("user-agent").unwrap().starts_with("passd/1.0"));
        assert_eq!(request.header("if-none-match"), None);
    }
}

#[tokio::test]
async fn with_a_tag_the_new_pass_is_fetched_in_any_case() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    let second = PassFile::new(&server.url, "2");
    server.answers(201).answers(204).answers(second.reply());
    phone.add(second.bytes()).await.unwrap();
    phone.assert_content();
    let asked = server.was_asked();
    assert!(asked[1].ends_with("/registrations/pass.example.tests?passesUpdatedSince=a"));
    assert_eq!(asked[2..], ["GET /v1/passes/pass.example.tests/2"]);
}

#[tokio::test]
async fn without_a_tag_only_what_the_list_names_is_fetched() {
    let (server, mut phone) = (Server::starts().await, a_phone());
    server.answers(201).answers(204);
    assert!(phone.add(a_pass(&server).bytes()).await.unwrap().updates.is_empty());
    phone.assert_content();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_new_pass_that_is_also_listed_is_fetched_once_and_may_be_unchanged() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    let second = PassFile::new(&server.url, "2");
    server.answers(201).answers(list(["2"], "b")).answers(second.reply());
    phone.add(second.bytes()).await.unwrap();
    phone.assert_content();
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_pass_without_a_web_service_is_kept_and_never_asked_about() {
    let (server, mut phone) = (Server::starts().await, a_phone());
    let pass = a_pass(&server).without("webServiceURL").without("authenticationToken");
    let installation = phone.add(pass.bytes()).await.unwrap();
    assert_eq!(installation.registered, None);
    assert!(phone.wakes().await.is_empty());
    assert_eq!(phone.refreshes("1").await, Err(crate::PhoneError::NoWebService("1".to_owned())));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn an_invalid_pass_is_not_added() {
    let (server, mut phone) = (Server::starts().await, a_phone());
    assert!(matches!(phone.add(&b"no pass"[..]).await, Err(InvalidPass::NotAnArchive(_))));
    assert!(phone.passes().is_empty());
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_complained_about_once() {
    let (mut phone, gone) = (a_phone(), Server::starts().await.url.clone());
    let installation = phone.add(PassFile::new(&gone, "1").bytes()).await.unwrap();
    assert_eq!((installation.registered, rules(&phone)), (None, vec![Rule::Unreachable]));
}

#[tokio::test]
async fn an_https_address_is_refused_by_a_client_without_trust() {
    let mut phone = a_phone();
    phone.add(PassFile::new("https://127.0.0.1:1", "1").bytes()).await.unwrap();
    assert_eq!(rules(&phone), [Rule::Unreachable]);
    assert!(phone.complaints()[0].message.contains("given no certificate authority to trust"));
}

#[tokio::test]
async fn a_pass_added_again_takes_the_place_of_the_older_copy() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    let newer = a_pass(&server).with("description", "newer");
    server.answers(200).answers(204).answers(newer.reply());
    let installation = phone.add(newer.bytes()).await.unwrap();
    phone.assert_content();
    assert_eq!(installation.registered, Some(StatusCode::OK));
    assert_eq!(phone.passes().len(), 1);
}

#[tokio::test]
async fn turning_updates_off_and_on_unregisters_and_installs() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(200).answers(201).answers(204).answers(304);
    phone.turns_updates_off("1").await.unwrap();
    assert!(phone.wakes().await.is_empty());
    phone.turns_updates_on("1").await.unwrap();
    phone.assert_content();
    let methods: Vec<_> = server.requests().iter().map(|seen| seen.method.to_string()).collect();
    assert_eq!(methods, ["DELETE", "POST", "GET", "GET"]);
}

#[tokio::test]
#[should_panic(expected = "UnexpectedResponseCode: Register task")]
async fn an_unhappy_phone_fails_the_test() {
    let (server, mut phone) = (Server::starts().await, a_phone());
    server.answers(204);
    phone.add(a_pass(&server).bytes()).await.unwrap();
    phone.assert_content();
}

#[test]
fn many_phones_can_live_on_a_runtime_with_threads() {
    fn can_be_spawned(_: impl Future<Output: Send> + Send) {}
    let mut phone = a_phone();
    can_be_spawned(phone.add(Vec::new()));
    can_be_spawned(phone.wakes());
}
