use std::time::Duration;

use super::actors::{a_pass, a_phone_with, list, only_complaint, rules};
use super::pass_file::{MONDAY, PASS_TYPE};
use super::server::{Reply, Server};
use crate::{Rule, Strictness};

#[tokio::test]
async fn last_modified_is_echoed_byte_for_byte() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    let newer = a_pass(&server).with("description", "newer");
    server.answers(newer.reply().header("last-modified", "some  Opaque=text")).answers(304);
    phone.refreshes("1").await.unwrap();
    let unchanged = phone.refreshes("1").await.unwrap();
    phone.assert_content();
    assert!(!unchanged.changed);
    let sent: Vec<_> =
        server.requests().iter().map(|seen| seen.header("if-modified-since").unwrap().to_owned()).collect();
    assert_eq!(sent, [MONDAY, "some  Opaque=text"]);
}

#[tokio::test]
async fn getting_a_pass_takes_200_and_304_only() {
    for status in [201, 204, 302, 404, 410, 500] {
        let server = Server::starts().await;
        let mut phone = a_phone_with(&server, &a_pass(&server)).await;
        server.answers(Reply::from(status).header("location", "/elsewhere"));
        phone.refreshes("1").await.unwrap();
        let words = format!(
            "Get pass task (pass type {PASS_TYPE}, serial number 1, if-modified-since {MONDAY}; with web service url \
             URL) encountered error: Unexpected response code {status}"
        );
        assert_eq!(only_complaint(&phone, &server), (Rule::UnexpectedResponseCode, words));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_401_to_getting_a_pass_is_an_authentication_failure() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(401);
    phone.refreshes("1").await.unwrap();
    assert_eq!(rules(&phone), [Rule::AuthenticationFailure]);
}

#[tokio::test]
async fn the_content_type_of_a_pass_is_required_and_may_have_parameters() {
    let newer = |server: &Server| a_pass(server).with("description", "newer").reply();
    for (content_type, complaints) in [
        ("Application/vnd.apple.pkpass; q=1", vec![]),
        ("application/zip", vec![Rule::WrongContentType]),
        ("application/vnd.apple.pkpasses", vec![Rule::WrongContentType]),
    ] {
        let server = Server::starts().await;
        let mut phone = a_phone_with(&server, &a_pass(&server)).await;
        server.answers(newer(&server).header("content-type", content_type));
        let update = phone.refreshes("1").await.unwrap();
        assert_eq!(rules(&phone), complaints);
        assert_eq!(update.changed, complaints.is_empty());
    }
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(newer(&server).without_header("content-type"));
    phone.refreshes("1").await.unwrap();
    assert_eq!(rules(&phone), [Rule::WrongContentType]);
}

#[tokio::test]
async fn a_pass_without_last_modified_is_taken_and_complained_about() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(a_pass(&server).with("description", "newer").reply().without_header("last-modified"));
    assert!(phone.refreshes("1").await.unwrap().changed);
    let (rule, message) = only_complaint(&phone, &server);
    assert_eq!(rule, Rule::MissingLastModified);
    assert!(message.ends_with("did not provide a 'last-modified' header."), "{message}");
    assert_eq!(phone.pass("1").unwrap().last_modified(), None);
}

#[tokio::test]
async fn a_pass_that_wallet_would_not_take_in_leaves_the_older_one() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(a_pass(&server).with_unlisted_file("pass.json", b"{}").reply());
    assert!(!phone.refreshes("1").await.unwrap().changed);
    assert_eq!(rules(&phone), [Rule::InvalidPass]);
    assert_eq!(phone.pass("1").unwrap().pass_json()["description"], "A ticket");
}

#[tokio::test]
async fn another_pass_than_the_requested_one_is_dropped() {
    for (key, words) in [
        ("serialNumber", "Requested serial number 1, received serial number other"),
        ("passTypeIdentifier", "Requested pass of type pass.example.tests, received pass of type other"),
    ] {
        let server = Server::starts().await;
        let mut phone = a_phone_with(&server, &a_pass(&server)).await;
        server.answers(a_pass(&server).with(key, "other").reply());
        assert!(!phone.refreshes("1").await.unwrap().changed);
        let (rule, message) = only_complaint(&phone, &server);
        assert_eq!(rule, Rule::WrongPass);
        assert!(message.ends_with(words), "{message}");
    }
}

#[tokio::test]
async fn the_same_pass_again_in_spite_of_if_modified_since_is_complained_about() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    // Another signature makes other bytes, and still the same pass.
    server.answers(a_pass(&server).with_unlisted_file("signature", b"somebody's").reply());
    assert!(!phone.refreshes("1").await.unwrap().changed);
    let words = format!(
        "Web service error for {PASS_TYPE} (URL): Server ignored the 'if-modified-since' header ({MONDAY}) and \
         returned the full unchanged pass data for serial number '1'."
    );
    assert_eq!(only_complaint(&phone, &server), (Rule::IgnoredIfModifiedSince, words));
}

#[tokio::test]
async fn a_listed_pass_that_is_unchanged_is_complained_about() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(list(["1"], "b")).answers(304);
    phone.wakes().await;
    let words = format!(
        "Web service error for {PASS_TYPE} (URL): Server requested update to serial number '1', but the pass was \
         unchanged."
    );
    assert_eq!(only_complaint(&phone, &server), (Rule::UnchangedUpdate, words));
}

#[tokio::test]
async fn a_listed_pass_sent_unchanged_is_complained_about_twice_over() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(list(["1"], "b")).answers(a_pass(&server).reply());
    phone.wakes().await;
    assert_eq!(rules(&phone), [Rule::IgnoredIfModifiedSince, Rule::UnchangedUpdate]);
}

#[tokio::test]
async fn an_unchanged_pass_on_a_list_without_a_tag_is_fine() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    phone.remembers_tag(&super::actors::web_service(&server), None);
    server.answers(list(["1"], "b")).answers(304);
    phone.wakes().await;
    phone.assert_content();
    assert!(server.was_asked()[0].ends_with("/registrations/pass.example.tests"));
}

#[tokio::test]
async fn a_phone_as_observed_minds_an_unchanged_pass_once_its_copy_is_300_seconds_old() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await.with_strictness(Strictness::AsObserved);
    phone.time_passes(Duration::from_secs(299));
    server.answers(list(["1"], "b")).answers(304).answers(list(["1"], "c")).answers(304);
    phone.wakes().await;
    phone.assert_content();
    phone.time_passes(Duration::from_secs(1));
    phone.wakes().await;
    assert_eq!(rules(&phone), [Rule::UnchangedUpdate]);
}

#[tokio::test]
async fn a_changed_pass_is_a_fresh_copy() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await.with_strictness(Strictness::AsObserved);
    phone.time_passes(Duration::from_mins(5));
    server
        .answers(a_pass(&server).with("description", "newer").reply())
        .answers(list(["1"], "b"))
        .answers(304);
    assert!(phone.refreshes("1").await.unwrap().changed);
    phone.wakes().await;
    phone.assert_content();
}

#[tokio::test]
async fn an_update_must_not_change_the_authentication_token() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server
        .answers(a_pass(&server).with("authenticationToken", "another-token-of-enough").reply())
        .answers(304);
    assert!(phone.refreshes("1").await.unwrap().changed);
    phone.refreshes("1").await.unwrap();
    assert_eq!(rules(&phone), [Rule::AuthenticationTokenChanged]);
    let used = server.requests()[1].header("authorization").map(ToOwned::to_owned);
    assert_eq!(used.as_deref(), Some("ApplePass another-token-of-enough"));
}
