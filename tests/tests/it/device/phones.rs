//! Section 5: what phones do in a row, with nothing to complain about.

use honoken_simulator::WebService;
use honoken_tests::device::a_phone;
use http::StatusCode;

use super::a_service_with_a_pass;
use crate::a_service;

#[tokio::test]
async fn adding_a_pass_registers_it_and_gets_what_is_listed() {
    let (_honoken, integrator, _) = a_service_with_a_pass().await;
    let mut phone = a_phone(1);
    let installed = phone.add(integrator.downloads("A-1").await).await.unwrap();
    assert_eq!(installed.registered, Some(StatusCode::CREATED));
    assert_eq!(installed.updates.len(), 1);
    assert_eq!(installed.updates[0].status, Some(StatusCode::OK));
    assert!(!installed.updates[0].changed, "the pass is the one that was added");
    phone.assert_content();
}

#[tokio::test]
async fn a_changed_pass_reaches_the_phone() {
    let (_honoken, integrator, _) = a_service_with_a_pass().await;
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    for seat in ["2B", "3C", "4D"] {
        integrator.moves_to("A-1", seat).await;
        let updates = phone.wakes().await;
        assert!(updates.len() == 1 && updates[0].changed, "{updates:?}");
        let shown = &phone.pass("A-1").unwrap().pass_json()["eventTicket"]["auxiliaryFields"][0];
        assert_eq!(shown["value"], seat);
    }
    phone.assert_content();
}

#[tokio::test]
async fn a_second_pass_on_a_phone_with_a_tag_is_fetched_at_once() {
    let (_honoken, integrator, _) = a_service_with_a_pass().await;
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    integrator.issues("A-2").await;
    let installed = phone.add(integrator.downloads("A-2").await).await.unwrap();
    assert_eq!(installed.registered, Some(StatusCode::CREATED));
    assert_eq!(installed.updates.len(), 1);
    assert_eq!(installed.updates[0].serial_number, "A-2");
    phone.assert_content();
}

#[tokio::test]
async fn an_older_pass_added_to_a_phone_with_a_newer_tag_is_kept_up_to_date() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    for serial in ["old", "new"] {
        integrator.issues(serial).await;
    }
    let old = integrator.downloads("old").await;
    integrator.moves_to("old", "2B").await;
    let mut phone = a_phone(1);
    integrator.moves_to("new", "2C").await;
    phone.add(integrator.downloads("new").await).await.unwrap();
    // The file was mailed before the change, and the tag of the phone is newer than the change.
    let installed = phone.add(old).await.unwrap();
    assert!(installed.updates.iter().any(|update| update.serial_number == "old" && update.changed));
    assert_eq!(phone.pass("old").unwrap().pass_json()["eventTicket"]["auxiliaryFields"][0]["value"], "2B");
    phone.assert_content();
}

#[tokio::test]
async fn two_phones_with_the_same_pass_both_get_the_change() {
    let (_honoken, integrator, _) = a_service_with_a_pass().await;
    let mut phones = [a_phone(1), a_phone(2)];
    for phone in &mut phones {
        phone.add(integrator.downloads("A-1").await).await.unwrap();
    }
    integrator.moves_to("A-1", "6F").await;
    for phone in &mut phones {
        let updates = phone.wakes().await;
        assert!(updates.len() == 1 && updates[0].changed, "{updates:?}");
        phone.assert_content();
    }
}

#[tokio::test]
async fn a_phone_that_asks_without_a_push_hears_nothing_new() {
    let (_honoken, integrator, _) = a_service_with_a_pass().await;
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    for _ in 0..3 {
        assert!(phone.polls().await.is_empty());
    }
    phone.assert_content();
}

#[tokio::test]
async fn a_phone_from_an_older_service_gets_everything_once() {
    let (honoken, integrator, _) = a_service_with_a_pass().await;
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    let url = phone.pass("A-1").unwrap().web_service().unwrap().url.clone();
    assert!(url.starts_with(&honoken.ready().base_url), "{url}");
    let web_service = WebService::new(url, integrator.pass_type_identifier());
    for tag in
        ["42", "1600000000", "2020-01-01T00:00:00Z", "Wed, 01 Jan 2020 00:00:00 GMT", "ffffffff-3", "{}"]
    {
        integrator.moves_to("A-1", tag).await;
        phone.remembers_tag(&web_service, Some(tag));
        let updates = phone.wakes().await;
        assert!(updates.len() == 1 && updates[0].changed, "{tag}: {updates:?}");
        assert!(phone.tag(&web_service).unwrap().contains('-'), "the phone has a tag of ours now");
        assert!(phone.polls().await.is_empty(), "{tag}");
    }
    phone.assert_content();
}

#[tokio::test]
async fn a_phone_restored_without_its_tag_gets_everything() {
    let (_honoken, integrator, _) = a_service_with_a_pass().await;
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    let web_service = phone.pass("A-1").unwrap().web_service().unwrap().clone();
    phone.remembers_tag(&web_service, None);
    let updates = phone.polls().await;
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0].status, Some(StatusCode::NOT_MODIFIED));
    phone.assert_content();
}

#[tokio::test]
async fn the_sample_pass_of_a_newcomer_works_on_a_phone() {
    let honoken = a_service().await;
    let (integrator, serial) = (honoken.integrator(), honoken.ready().serial_number.clone());
    let mut phone = a_phone(1);
    phone.add(integrator.downloads(&serial).await).await.unwrap();
    integrator.moves_to(&serial, "1A").await;
    assert!(phone.wakes().await[0].changed);
    phone.assert_content();
}
