use std::time::Duration;

use serde_json::json;

use super::actors::{DEVICE, a_pass, a_phone_with, list, only_complaint, rules, web_service};
use super::pass_file::PASS_TYPE;
use super::server::{Reply, Server};
use crate::{Rule, Strictness};

#[tokio::test]
async fn a_push_leads_to_the_list_and_to_the_changed_pass() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(list(["1"], "b")).answers(a_pass(&server).with("description", "newer").reply());
    let updates = phone.wakes().await;
    phone.assert_content();
    assert!(updates[0].changed);
    assert_eq!(phone.pass("1").unwrap().pass_json()["description"], "newer");
    assert_eq!(phone.tag(&web_service(&server)), Some("b"));
}

#[tokio::test]
async fn a_list_takes_200_and_204_only() {
    for status in [201, 304, 400, 401, 404, 500] {
        let server = Server::starts().await;
        let mut phone = a_phone_with(&server, &a_pass(&server)).await;
        server.answers(status);
        phone.polls().await;
        let words = format!(
            "Get serial #s task (for device {DEVICE}, pass type {PASS_TYPE}, last updated a; with web service url URL) \
             encountered error: Unexpected response code {status}"
        );
        assert_eq!(only_complaint(&phone, &server), (Rule::UnexpectedResponseCode, words));
    }
}

#[tokio::test]
async fn a_list_that_is_not_the_expected_json_is_malformed_and_its_tag_is_not_kept() {
    let bodies = [
        "",
        "no json",
        "[]",
        r#"{"lastUpdated": "b"}"#,
        r#"{"serialNumbers": null, "lastUpdated": "b"}"#,
        r#"{"serialNumbers": "1", "lastUpdated": "b"}"#,
        r#"{"serialNumbers": ["1", 2], "lastUpdated": "b"}"#,
        r#"{"serialNumbers": ["1"], "lastUpdated": 2}"#,
        r#"{"serialNumbers": ["1"], "lastUpdated": null}"#,
    ];
    for body in bodies {
        let server = Server::starts().await;
        let mut phone = a_phone_with(&server, &a_pass(&server)).await;
        server.answers(Reply::from(200).body(body));
        phone.polls().await;
        assert_eq!(rules(&phone), [Rule::MalformedResponse], "{body}");
        assert_eq!(phone.tag(&web_service(&server)), Some("a"));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_list_with_the_tag_that_was_sent_is_complained_about_and_followed() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(list(["1"], "a")).answers(a_pass(&server).with("description", "newer").reply());
    assert!(phone.wakes().await[0].changed);
    let words = format!(
        "Web service error for {PASS_TYPE} (URL): Response to 'What changed?' request included 1 serial numbers but \
         the lastUpdated tag (a) remained the same."
    );
    assert_eq!(only_complaint(&phone, &server), (Rule::SameTag, words));
}

#[tokio::test]
async fn a_list_without_a_tag_is_complained_about_and_followed_with_the_old_tag_kept() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    let newer = a_pass(&server).with("description", "newer");
    server.answers(json!({ "serialNumbers": ["1"] })).answers(newer.reply());
    assert!(phone.wakes().await[0].changed);
    assert_eq!(rules(&phone), [Rule::OmittedTag]);
    assert_eq!(phone.tag(&web_service(&server)), Some("a"));
}

#[tokio::test]
async fn an_empty_list_stores_its_tag_silently() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(list([], "b"));
    phone.polls().await;
    phone.assert_content();
    assert_eq!(phone.tag(&web_service(&server)), Some("b"));
}

#[tokio::test]
async fn a_listed_pass_that_the_phone_never_had_is_complained_about_and_not_fetched() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(list(["stranger"], "b"));
    assert!(phone.wakes().await.is_empty());
    let (rule, message) = only_complaint(&phone, &server);
    assert_eq!(rule, Rule::UnregisteredSerialNumber);
    assert!(message.ends_with("Update requested for unregistered serial number stranger"), "{message}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_listed_pass_is_forgiven_for_an_hour_after_it_was_unregistered() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    let second = super::pass_file::PassFile::new(&server.url, "2");
    server.answers(201).answers(204).answers(second.reply()).answers(200);
    phone.add(second.bytes()).await.unwrap();
    phone.removes("2").await.unwrap();
    phone.time_passes(Duration::from_secs(3_599));
    server.answers(list(["2"], "b"));
    phone.polls().await;
    phone.assert_content();
    phone.time_passes(Duration::from_secs(1));
    server.answers(list(["2"], "c"));
    phone.polls().await;
    assert_eq!(rules(&phone), [Rule::UnregisteredSerialNumber]);
}

#[tokio::test]
async fn a_push_without_news_is_spurious() {
    for nothing in [Reply::from(204), list([], "b").into()] {
        let server = Server::starts().await;
        let mut phone = a_phone_with(&server, &a_pass(&server)).await;
        server.answers(nothing);
        phone.wakes().await;
        let words = format!(
            "Web service error for {PASS_TYPE} (URL): Device received spurious push. Request for passesUpdatedSince \
             'a' returned no serial numbers. (Device = {DEVICE})"
        );
        assert_eq!(only_complaint(&phone, &server), (Rule::SpuriousPush, words));
    }
}

#[tokio::test]
async fn a_push_for_another_pass_type_does_not_wake_the_web_service() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    assert!(phone.wakes_for("pass.example.other").await.is_empty());
    server.answers(204);
    phone.wakes_for(PASS_TYPE).await;
    assert_eq!(rules(&phone), [Rule::SpuriousPush]);
}

#[tokio::test]
async fn no_news_without_a_push_is_fine() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(204);
    phone.polls().await;
    phone.assert_content();
}

#[tokio::test]
async fn a_phone_as_observed_minds_a_spurious_push_once_its_tag_is_300_seconds_old() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await.with_strictness(Strictness::AsObserved);
    phone.time_passes(Duration::from_secs(299));
    server.answers(204).answers(204);
    phone.wakes().await;
    phone.assert_content();
    phone.time_passes(Duration::from_secs(1));
    phone.wakes().await;
    assert_eq!(rules(&phone), [Rule::SpuriousPush]);
}

#[tokio::test]
async fn web_services_of_one_type_have_their_own_tags_and_are_all_asked() {
    let (here, there) = (Server::starts().await, Server::starts().await);
    let mut phone = a_phone_with(&here, &a_pass(&here)).await;
    there.answers(201).answers(list(["1"], "z")).answers(a_pass(&there).reply());
    phone.add(a_pass(&there).bytes()).await.unwrap();
    here.answers(204);
    there.answers(204);
    phone.polls().await;
    phone.assert_content();
    assert!(here.was_asked()[0].ends_with("passesUpdatedSince=a"));
    assert!(there.was_asked()[3].ends_with("passesUpdatedSince=z"));
    assert_eq!(phone.pass("1").unwrap_err(), crate::PhoneError::Ambiguous("1".to_owned()));
}

#[tokio::test]
async fn a_serial_listed_twice_is_fetched_once() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(list(["1", "1"], "b")).answers(a_pass(&server).with("description", "newer").reply());
    assert_eq!(phone.wakes().await.len(), 1);
    phone.assert_content();
}

#[tokio::test]
async fn frequent_pushes_raise_the_score_of_their_pass_type_and_polls_do_not() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    for _ in 0..5 {
        server.answers(204);
    }
    phone.polls().await;
    phone.wakes().await;
    assert!(phone.push_score(PASS_TYPE).abs() < f64::EPSILON, "the first push costs nothing");
    phone.wakes_for(PASS_TYPE).await;
    phone.wakes_for("pass.example.others").await;
    phone.time_passes(Duration::from_hours(1));
    phone.wakes().await;
    assert!((phone.push_score(PASS_TYPE) - 1.125).abs() < f64::EPSILON, "{}", phone.push_score(PASS_TYPE));
    assert!(phone.push_score("pass.example.others").abs() < f64::EPSILON);
}
