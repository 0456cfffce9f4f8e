//! Section 3.4: unregister.

use honoken_tests::device::{a_phone, device, push_token};
use http::{Method, StatusCode};

use super::a_service_with_a_pass;

#[tokio::test]
async fn unregistering_is_answered_with_200_and_ends_the_listing() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    devices.unregister(&device(1), &pass).await.assert_status(StatusCode::OK);
    assert_eq!(devices.lists(&device(1), integrator.pass_type_identifier(), None).await, None);
    assert_eq!(integrator.state("A-1").await["registrations"], 0);
}

#[tokio::test]
async fn unregistering_what_is_not_registered_is_200_as_well() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    devices.unregister(&device(1), &pass).await.assert_status(StatusCode::OK);
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    for _ in 0..3 {
        devices.unregister(&device(1), &pass).await.assert_status(StatusCode::OK);
    }
}

#[tokio::test]
async fn a_body_and_its_type_do_not_matter_when_unregistering() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    let path = devices.registration_path(&device(1), &pass);
    for (content_type, body) in [("application/json", "{"), ("text/plain", "goodbye")] {
        let authorization = pass.authorization();
        let headers = [("authorization", authorization.as_str()), ("content-type", content_type)];
        devices.request(Method::DELETE, &path, &headers, body).await.assert_status(StatusCode::OK);
    }
}

#[tokio::test]
async fn with_its_last_registration_the_device_is_forgotten() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    integrator.issues("A-2").await;
    let other = integrator.credentials("A-2").await;
    let (devices, storage) = (honoken.devices(), honoken.storage());
    for pass in [&pass, &other] {
        devices.register(&device(1), &push_token(1, 0), pass).await.assert_status(StatusCode::CREATED);
    }
    devices.unregister(&device(1), &pass).await.assert_status(StatusCode::OK);
    assert_eq!(storage.push_tokens(&device(1)).await, [push_token(1, 0)]);
    devices.unregister(&device(1), &other).await.assert_status(StatusCode::OK);
    assert!(storage.push_tokens(&device(1)).await.is_empty());
}

#[tokio::test]
async fn registering_after_unregistering_is_201_again_with_the_new_push_token() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    devices.unregister(&device(1), &pass).await.assert_status(StatusCode::OK);
    devices.register(&device(1), &push_token(1, 1), &pass).await.assert_status(StatusCode::CREATED);
    let stored = honoken.storage().push_tokens(&device(1)).await;
    assert_eq!(stored, [push_token(1, 1)]);
}

#[tokio::test]
async fn turning_updates_off_and_on_brings_a_phone_up_to_date() {
    let (_honoken, integrator, _) = a_service_with_a_pass().await;
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    assert_eq!(phone.turns_updates_off("A-1").await.unwrap().status, Some(StatusCode::OK));
    integrator.moves_to("A-1", "7C").await;
    assert!(phone.polls().await.is_empty());
    let installed = phone.turns_updates_on("A-1").await.unwrap();
    assert_eq!(installed.registered, Some(StatusCode::CREATED));
    assert_eq!(installed.updates.len(), 1);
    assert!(installed.updates[0].changed);
    phone.assert_content();
}

#[tokio::test]
async fn a_removed_pass_is_not_listed_any_more() {
    let (_honoken, integrator, _) = a_service_with_a_pass().await;
    integrator.issues("A-2").await;
    let mut phone = a_phone(1);
    for serial in ["A-1", "A-2"] {
        phone.add(integrator.downloads(serial).await).await.unwrap();
    }
    phone.removes("A-1").await.unwrap();
    // After an hour Wallet minds a list that names what it no longer holds.
    phone.time_passes(std::time::Duration::from_hours(2));
    integrator.moves_to("A-1", "5E").await;
    integrator.moves_to("A-2", "5F").await;
    let updates = phone.wakes().await;
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0].serial_number, "A-2");
    phone.assert_content();
}
