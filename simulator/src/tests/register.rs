use http::StatusCode;

use super::actors::{DEVICE, a_pass, a_phone, a_phone_with, list, only_complaint, rules};
use super::server::Server;
use crate::Rule;

#[tokio::test]
async fn registering_takes_200_as_well_as_201() {
    let (server, mut phone) = (Server::starts().await, a_phone());
    server.answers(200).answers(list(["1"], "a")).answers(a_pass(&server).reply());
    phone.add(a_pass(&server).bytes()).await.unwrap();
    phone.assert_content();
    assert!(phone.pass("1").unwrap().is_registered());
}

#[tokio::test]
async fn registering_takes_no_other_success_and_ends_there() {
    for status in [202, 204, 302, 304, 400, 404, 503] {
        let (server, mut phone) = (Server::starts().await, a_phone());
        server.answers(status);
        phone.add(a_pass(&server).bytes()).await.unwrap();
        let words = format!(
            "Register task (for device {DEVICE}, pass type pass.example.tests, serial number 1; with web service url \
             URL) encountered error: Unexpected response code {status}"
        );
        assert_eq!(only_complaint(&phone, &server), (Rule::UnexpectedResponseCode, words));
        assert!(!phone.pass("1").unwrap().is_registered());
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_401_to_registering_is_an_authentication_failure() {
    let (server, mut phone) = (Server::starts().await, a_phone());
    server.answers(401);
    phone.add(a_pass(&server).bytes()).await.unwrap();
    let (rule, message) = only_complaint(&phone, &server);
    assert_eq!(rule, Rule::AuthenticationFailure);
    assert!(message.ends_with("encountered error: Authentication failure"), "{message}");
}

#[tokio::test]
async fn unregistering_takes_200_and_201() {
    for status in [200, 201] {
        let server = Server::starts().await;
        let mut phone = a_phone_with(&server, &a_pass(&server)).await;
        server.answers(status);
        let removal = phone.removes("1").await.unwrap();
        phone.assert_content();
        assert_eq!(removal.status, StatusCode::from_u16(status).ok());
        let requests = server.requests();
        assert_eq!(requests[0].method, "DELETE");
        assert_eq!(requests[0].target, format!("/v1/devices/{DEVICE}/registrations/pass.example.tests/1"));
        assert!(requests[0].header("authorization").is_some() && requests[0].body.is_empty());
    }
}

#[tokio::test]
async fn unregistering_takes_neither_204_nor_404_and_the_pass_is_gone_anyway() {
    for status in [204, 404] {
        let server = Server::starts().await;
        let mut phone = a_phone_with(&server, &a_pass(&server)).await;
        server.answers(status);
        phone.removes("1").await.unwrap();
        assert_eq!(rules(&phone), [Rule::UnexpectedResponseCode]);
        assert!(phone.passes().is_empty());
    }
}

#[tokio::test]
async fn a_401_to_unregistering_is_an_authentication_failure() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(401);
    phone.removes("1").await.unwrap();
    assert_eq!(rules(&phone), [Rule::AuthenticationFailure]);
}

#[tokio::test]
async fn a_new_push_token_registers_every_pass_again() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(200).answers(204);
    let change = phone.changes_push_token("bb".repeat(32)).await;
    phone.assert_content();
    assert_eq!(change.registrations[0].status, Some(StatusCode::OK));
    let requests = server.requests();
    assert_eq!(requests[0].json()["pushToken"], "bb".repeat(32));
    assert_eq!(phone.push_token(), "bb".repeat(32));
}

#[tokio::test]
async fn a_new_push_token_answered_with_201_shows_that_the_server_forgot() {
    let server = Server::starts().await;
    let mut phone = a_phone_with(&server, &a_pass(&server)).await;
    server.answers(201).answers(204);
    phone.changes_push_token("bb".repeat(32)).await;
    assert_eq!(rules(&phone), [Rule::RegistrationForgotten]);
}
