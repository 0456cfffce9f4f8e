//! Six changes inside a second: none hidden from date or tag.

use honoken_tests::device::a_phone;
use honoken_tests::etag::unix_seconds;
use honoken_tests::{Change, Honoken, Integrator, a_ticket, device};
use http::StatusCode;

use crate::a_service;

const SEATS: [&str; 6] = ["1A", "2B", "3C", "4D", "5E", "6F"];

async fn a_service_with_a_pass() -> (Honoken, Integrator) {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues_with("A-1", &a_ticket("0")).await;
    (honoken, integrator)
}

#[tokio::test]
async fn a_phone_that_asks_after_each_of_six_changes_gets_each() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    let mut dates = Vec::new();
    for seat in SEATS {
        integrator.moves_to("A-1", seat).await;
        let updates = phone.wakes().await;
        assert!(updates.len() == 1 && updates[0].changed, "{seat}: {updates:?}");
        let pass = phone.pass("A-1").unwrap();
        assert_eq!(pass.pass_json()["eventTicket"]["auxiliaryFields"][0]["value"], seat);
        dates.push(httpdate::parse_http_date(pass.last_modified().unwrap()).unwrap());
    }
    assert!(dates.is_sorted_by(|one, next| one < next), "Last-Modified grows with every change: {dates:?}");
    phone.assert_content();
}

#[tokio::test]
async fn every_one_of_six_changes_is_told_from_the_next_by_tag_date_and_etag() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let pass = integrator.credentials("A-1").await;
    let (devices, phone) = (honoken.devices(), device::device(1));
    devices.register(&phone, &device::push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    let mut changes: Vec<Change> = Vec::new();
    let mut dates: Vec<String> = Vec::new();
    for seat in SEATS {
        let change = integrator.moves_to("A-1", seat).await;
        let state = integrator.state("A-1").await;
        assert_eq!(state["content"]["seat"], seat);
        assert_eq!(state["etag"], change.etag);
        assert_eq!(unix_seconds(&state["updatedAt"]), change.updated_at);
        let got = devices.get(&pass, &[]).await;
        dates.push(got.header("last-modified").unwrap().to_owned());
        changes.push(change);
    }
    assert!(changes.is_sorted_by(|one, next| one.updated_at < next.updated_at), "{changes:?}");
    let pass_type = integrator.pass_type_identifier();
    for (at, (change, date)) in changes.iter().zip(&dates).enumerate() {
        let is_last = at + 1 == changes.len();
        let listed = devices.lists(&phone, pass_type, Some(&change.update_tag)).await;
        assert_eq!(listed.is_none(), is_last, "tag of change {at}");
        let not_modified = devices.get(&pass, &[("if-modified-since", date)]).await;
        assert_eq!(not_modified.status == StatusCode::NOT_MODIFIED, is_last, "date of change {at}");
        let etag = format!("\"{}\"", change.etag);
        let unchanged = devices.get(&pass, &[("if-none-match", &etag)]).await;
        assert_eq!(unchanged.status == StatusCode::NOT_MODIFIED, is_last, "ETag of change {at}");
    }
}

#[tokio::test]
async fn going_back_and_forth_inside_a_second_is_a_new_state_each_time() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let mut etags = Vec::new();
    for round in 0..6 {
        let change = integrator.moves_to("A-1", ["one", "other"][round % 2]).await;
        integrator.state("A-1").await;
        assert!(!etags.contains(&change.etag), "a tag is never used twice");
        etags.push(change.etag);
    }
}
