//! Section 3.1: register.

use futures::future::join_all;
use honoken_tests::device::{a_phone, device, push_token};
use honoken_tests::problem::assert_problem;
use http::StatusCode;
use serde_json::json;

use super::a_service_with_a_pass;

#[tokio::test]
async fn a_new_registration_is_answered_with_201() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let answer = honoken.devices().register(&device(1), &push_token(1, 0), &pass).await;
    answer.assert_status(StatusCode::CREATED);
    assert_eq!(integrator.state("A-1").await["registrations"], 1);
}

#[tokio::test]
async fn registering_twice_answers_200() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    for _ in 0..2 {
        devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::OK);
    }
    assert_eq!(integrator.state("A-1").await["registrations"], 1);
}

#[tokio::test]
async fn registering_again_stores_the_new_push_token_on_the_200_path() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    devices.register(&device(1), &push_token(1, 1), &pass).await.assert_status(StatusCode::OK);
    let stored = honoken.storage().push_tokens(&device(1)).await;
    assert_eq!(stored, [push_token(1, 1)]);
}

#[tokio::test]
async fn a_new_push_token_counts_for_every_pass_of_the_device() {
    let (honoken, integrator, _) = a_service_with_a_pass().await;
    integrator.issues("A-2").await;
    let mut phone = a_phone(1);
    for serial in ["A-1", "A-2"] {
        phone.add(integrator.downloads(serial).await).await.unwrap();
    }
    let change = phone.changes_push_token(push_token(1, 7)).await;
    let statuses: Vec<_> = change.registrations.iter().map(|registration| registration.status).collect();
    assert_eq!(statuses, [Some(StatusCode::OK), Some(StatusCode::OK)]);
    phone.assert_content();
    let stored = honoken.storage().push_tokens(&device(1)).await;
    assert_eq!(stored, [push_token(1, 7)]);
}

#[tokio::test]
async fn a_registration_is_listed_right_after_its_answer() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    for number in 0..20 {
        devices
            .register(&device(number), &push_token(number, 0), &pass)
            .await
            .assert_status(StatusCode::CREATED);
        let (serials, _) =
            devices.lists(&device(number), integrator.pass_type_identifier(), None).await.unwrap();
        assert_eq!(serials, ["A-1"]);
    }
}

#[tokio::test]
async fn two_devices_may_hold_the_same_pass() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    for number in [1, 2] {
        devices
            .register(&device(number), &push_token(number, 0), &pass)
            .await
            .assert_status(StatusCode::CREATED);
    }
    assert_eq!(integrator.state("A-1").await["registrations"], 2);
    devices.unregister(&device(1), &pass).await.assert_status(StatusCode::OK);
    assert_eq!(integrator.state("A-1").await["registrations"], 1);
    let pass_type = integrator.pass_type_identifier();
    assert_eq!(devices.lists(&device(1), pass_type, None).await, None);
    assert!(devices.lists(&device(2), pass_type, None).await.is_some());
}

#[tokio::test]
async fn duplicates_that_arrive_together_are_one_registration() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let (devices, device, push_token) = (honoken.devices(), device(1), push_token(1, 0));
    let answers = join_all((0..20).map(|_| devices.register(&device, &push_token, &pass))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    let mut expected = vec![200; 19];
    expected.push(201);
    assert_eq!(statuses, expected);
    assert_eq!(integrator.state("A-1").await["registrations"], 1);
}

#[tokio::test]
async fn duplicates_with_different_push_tokens_leave_one_of_them() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    let tokens: Vec<String> = (0..20).map(|renewal| push_token(1, renewal)).collect();
    let device = device(1);
    let answers = join_all(tokens.iter().map(|token| devices.register(&device, token, &pass))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count(), 1);
    assert!(answers.iter().all(|answer| answer.status.is_success()));
    let stored = honoken.storage().push_tokens(&device).await;
    assert!(stored.len() == 1 && tokens.contains(&stored[0]), "{stored:?}");
    assert_eq!(integrator.state("A-1").await["registrations"], 1);
}

#[tokio::test]
async fn a_malformed_body_is_400_and_registers_nothing() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let malformed = [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "\"token\"".to_owned(),
        "{}".to_owned(),
        json!({ "pushToken": null }).to_string(),
        json!({ "pushToken": 7 }).to_string(),
        json!({ "pushToken": "" }).to_string(),
        json!({ "pushToken": ["a"] }).to_string(),
        json!({ "pushToken": "a\nb" }).to_string(),
        json!({ "pushtoken": push_token(1, 0) }).to_string(),
        format!("{{\"pushToken\":\"{}\"}} trailing", push_token(1, 0)),
        "{\"pushToken\":\"a\",\"pushToken\":\"b\"}".to_owned(),
    ];
    for body in malformed {
        let answer =
            honoken.devices().register_with(&device(1), &pass, &pass.authorization(), body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.excerpt());
        assert_problem(&answer, 400);
    }
    assert_eq!(integrator.state("A-1").await["registrations"], 0);
}

#[tokio::test]
async fn a_push_token_is_whatever_the_phone_says() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    for (number, token) in ["a", "with a space", "ü/../🎫?#", "0", &"x".repeat(1000)].into_iter().enumerate()
    {
        let answer = honoken.devices().register(&device(number), token, &pass).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{token:?}: {}", answer.excerpt());
        let stored = honoken.storage().push_tokens(&device(number)).await;
        assert_eq!(stored, [token]);
    }
}

#[tokio::test]
async fn registering_a_voided_pass_works_because_phones_still_hold_it() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    integrator.voids("A-1").await;
    let answer = honoken.devices().register(&device(1), &push_token(1, 0), &pass).await;
    answer.assert_status(StatusCode::CREATED);
}
