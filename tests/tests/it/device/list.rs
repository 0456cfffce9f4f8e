//! Section 3.2: the list of passes to update, and the tag in the contract.

use std::time::Duration;

use honoken_tests::device::{device, push_token};
use honoken_tests::etag::unix_seconds;
use honoken_tests::{Change, Credentials, Honoken, Integrator, a_ticket};
use http::{Method, StatusCode};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::a_service_with_a_pass;

/// A device that holds one pass, issued and changed once.
async fn a_device_with_a_pass() -> (Honoken, Integrator, Credentials, Change) {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let answer = honoken.devices().register(&device(1), &push_token(1, 0), &pass).await;
    answer.assert_status(StatusCode::CREATED);
    let change = integrator.moves_to("A-1", "2B").await;
    (honoken, integrator, pass, change)
}

#[tokio::test]
async fn without_a_tag_every_pass_is_listed_with_a_tag_that_is_a_text() {
    let (honoken, integrator, _, change) = a_device_with_a_pass().await;
    let (serials, tag) =
        honoken.devices().lists(&device(1), integrator.pass_type_identifier(), None).await.unwrap();
    assert_eq!(serials, ["A-1"]);
    assert_eq!(tag, change.update_tag);
    let (epoch, position) = tag.split_once('-').unwrap();
    assert!(epoch.len() == 8 && epoch.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{tag}");
    assert_eq!(position, change.position.to_string());
}

#[tokio::test]
async fn with_its_own_tag_there_is_nothing_and_that_is_204() {
    let (honoken, integrator, _, change) = a_device_with_a_pass().await;
    let pass_type = integrator.pass_type_identifier();
    let answer = honoken.devices().list(&device(1), pass_type, Some(&change.update_tag)).await;
    answer.assert_status(StatusCode::NO_CONTENT).assert_no_body();
}

#[tokio::test]
async fn with_an_older_tag_what_changed_since_is_listed() {
    let (honoken, integrator, _, change) = a_device_with_a_pass().await;
    let (devices, pass_type) = (honoken.devices(), integrator.pass_type_identifier());
    let next = integrator.moves_to("A-1", "3C").await;
    let listed = devices.lists(&device(1), pass_type, Some(&change.update_tag)).await;
    assert_eq!(listed, Some((vec!["A-1".to_owned()], next.update_tag.clone())));
    assert_eq!(devices.lists(&device(1), pass_type, Some(&next.update_tag)).await, None);
}

#[tokio::test]
async fn a_pass_that_changed_several_times_is_listed_once() {
    let (honoken, integrator, _, change) = a_device_with_a_pass().await;
    for seat in ["3C", "4D", "5E"] {
        integrator.moves_to("A-1", seat).await;
    }
    let pass_type = integrator.pass_type_identifier();
    let (serials, _) =
        honoken.devices().lists(&device(1), pass_type, Some(&change.update_tag)).await.unwrap();
    assert_eq!(serials, ["A-1"]);
}

#[tokio::test]
async fn an_unknown_device_gets_204() {
    let (honoken, integrator, _, change) = a_device_with_a_pass().await;
    for stranger in [device(2), "x".to_owned(), "ü/ü".to_owned(), "%".to_owned()] {
        for since in [None, Some(change.update_tag.as_str()), Some("")] {
            let answer = honoken.devices().list(&stranger, integrator.pass_type_identifier(), since).await;
            answer.assert_status(StatusCode::NO_CONTENT).assert_no_body();
        }
    }
}

#[tokio::test]
async fn an_unknown_pass_type_gets_204_since_a_list_is_of_one_type_only() {
    let (honoken, ..) = a_device_with_a_pass().await;
    for pass_type in ["pass.com.example.other", "not-a-pass-type", "pass.", "%20"] {
        let answer = honoken.devices().list(&device(1), pass_type, None).await;
        answer.assert_status(StatusCode::NO_CONTENT).assert_no_body();
    }
}

#[tokio::test]
async fn a_list_needs_no_token_and_minds_none() {
    let (honoken, integrator, ..) = a_device_with_a_pass().await;
    let devices = honoken.devices();
    let path = format!("/devices/{}/registrations/{}", device(1), integrator.pass_type_identifier());
    for authorization in ["ApplePass nonsense", "Bearer nonsense", "Basic Og=="] {
        let answer = devices.request(Method::GET, &path, &[("authorization", authorization)], "").await;
        answer.assert_status(StatusCode::OK);
    }
}

#[tokio::test]
async fn a_tag_that_means_nothing_here_means_all() {
    let (honoken, integrator, _, change) = a_device_with_a_pass().await;
    let (epoch, position) = change.update_tag.split_once('-').unwrap();
    let foreign = if epoch == "00000000" { "11111111" } else { "00000000" };
    let meaningless = [
        String::new(),
        format!("{foreign}-{position}"),
        format!("{foreign}-0"),
        format!("{epoch}-{}", change.position + 1000),
        format!("{epoch}-{}", u64::MAX),
        format!("{epoch}-99999999999999999999999999"),
        format!("{epoch}-"),
        format!("{epoch}-x"),
        format!("{epoch}--1"),
        format!("-{position}"),
        // With a letter: an epoch may happen to have none, and a number is a time of the earlier service.
        format!("a{epoch}{position}"),
        format!("{epoch}-{position}-{position}"),
        "42".to_owned(),
        "-1".to_owned(),
        "tag".to_owned(),
        "🎫".to_owned(),
        "%00".to_owned(),
        "null".to_owned(),
        "12345678901234567890".to_owned(),
        "2026-13-45T00:00:00Z".to_owned(),
        "x".repeat(5000),
    ];
    for tag in meaningless {
        let listed = honoken.devices().lists(&device(1), integrator.pass_type_identifier(), Some(&tag)).await;
        assert_eq!(listed, Some((vec!["A-1".to_owned()], change.update_tag.clone())), "{tag:?}");
    }
}

#[tokio::test]
async fn a_query_that_cannot_be_read_means_all() {
    let (honoken, integrator, _, change) = a_device_with_a_pass().await;
    let pass_type = integrator.pass_type_identifier();
    let tag = &change.update_tag;
    for query in [
        "passesUpdatedSince",
        "passesUpdatedSince=%",
        "passesUpdatedSince=%ff%fe",
        "passesUpdatedSince=%zz",
        "&&&",
        "=",
        "other=1",
        &format!("passesupdatedsince={tag}"),
    ] {
        let path = format!("/devices/{}/registrations/{pass_type}?{query}", device(1));
        let answer = honoken.devices().request(Method::GET, &path, &[], "").await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.excerpt());
        assert_eq!(answer.json()["lastUpdated"], *tag, "{query}");
    }
}

#[tokio::test]
async fn further_parameters_do_not_disturb_the_tag() {
    let (honoken, integrator, _, change) = a_device_with_a_pass().await;
    let (pass_type, tag) = (integrator.pass_type_identifier(), &change.update_tag);
    let path = format!("/devices/{}/registrations/{pass_type}?a=b&passesUpdatedSince={tag}&c", device(1));
    let answer = honoken.devices().request(Method::GET, &path, &[], "").await;
    answer.assert_status(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn ten_digits_are_unix_seconds_from_an_older_service() {
    let (honoken, integrator, _, change) = a_device_with_a_pass().await;
    assert_dates_work(&honoken, &integrator, &change, |seconds| format!("{seconds:010}")).await;
}

#[tokio::test]
async fn an_http_date_works_as_a_tag() {
    let (honoken, integrator, _, change) = a_device_with_a_pass().await;
    let http_date = |seconds: i64| {
        let since_epoch = Duration::from_secs(u64::try_from(seconds).unwrap());
        httpdate::fmt_http_date(std::time::UNIX_EPOCH + since_epoch)
    };
    assert_dates_work(&honoken, &integrator, &change, http_date).await;
}

#[tokio::test]
async fn an_rfc_3339_date_works_as_a_tag() {
    let (honoken, integrator, _, change) = a_device_with_a_pass().await;
    let rfc_3339 = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap().format(&Rfc3339).unwrap();
    assert_dates_work(&honoken, &integrator, &change, rfc_3339).await;
    let in_berlin =
        |seconds| rfc_3339(seconds + 3600).strip_suffix('Z').map(|local| format!("{local}+01:00")).unwrap();
    assert_dates_work(&honoken, &integrator, &change, in_berlin).await;
}

/// A date before the last change lists the pass, that very second and later ones do not.
async fn assert_dates_work(
    honoken: &Honoken,
    integrator: &Integrator,
    change: &Change,
    write: impl Fn(i64) -> String,
) {
    let (devices, pass_type) = (honoken.devices(), integrator.pass_type_identifier());
    for (offset, is_listed) in [(-86_400, true), (-1, true), (0, false), (1, false), (86_400, false)] {
        let tag = write(change.updated_at + offset);
        let listed = devices.lists(&device(1), pass_type, Some(&tag)).await;
        let expected = is_listed.then(|| (vec!["A-1".to_owned()], change.update_tag.clone()));
        assert_eq!(listed, expected, "{tag:?}, {offset} s from the change");
    }
}

#[tokio::test]
async fn of_many_passes_only_the_changed_ones_are_listed() {
    let (honoken, integrator, ..) = a_device_with_a_pass().await;
    let (devices, pass_type) = (honoken.devices(), integrator.pass_type_identifier());
    let serials: Vec<String> = (0..30).map(|number| format!("M-{number:02}")).collect();
    for serial in &serials {
        integrator.issues(serial).await;
        let pass = integrator.credentials(serial).await;
        devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    }
    let (all, tag) = devices.lists(&device(1), pass_type, None).await.unwrap();
    assert_eq!(all.len(), 31);
    for serial in ["M-03", "M-17", "M-29"] {
        integrator.moves_to(serial, "9Z").await;
    }
    let (changed, tag) = devices.lists(&device(1), pass_type, Some(&tag)).await.unwrap();
    assert_eq!(changed, ["M-03", "M-17", "M-29"]);
    integrator.voids("M-03").await;
    let (changed, _) = devices.lists(&device(1), pass_type, Some(&tag)).await.unwrap();
    assert_eq!(changed, ["M-03"]);
}

#[tokio::test]
async fn a_change_of_somebody_elses_pass_is_not_listed() {
    let (honoken, integrator, _, change) = a_device_with_a_pass().await;
    integrator.issues("B-1").await;
    integrator.moves_to("B-1", "9Z").await;
    let pass_type = integrator.pass_type_identifier();
    assert_eq!(honoken.devices().lists(&device(1), pass_type, Some(&change.update_tag)).await, None);
}

#[tokio::test]
async fn a_tag_never_goes_back() {
    let (honoken, integrator, _, mut last) = a_device_with_a_pass().await;
    let (devices, pass_type) = (honoken.devices(), integrator.pass_type_identifier());
    for seat in 0..10 {
        let change = integrator.replaces("A-1", &a_ticket(&seat.to_string())).await;
        let (_, tag) = devices.lists(&device(1), pass_type, Some(&last.update_tag)).await.unwrap();
        assert_eq!(tag, change.update_tag);
        assert!(change.position > last.position);
        last = change;
    }
}

#[tokio::test]
async fn a_command_that_changes_nothing_lists_nothing() {
    let (honoken, integrator, _, change) = a_device_with_a_pass().await;
    integrator.replace("A-1", &a_ticket("2B")).await.assert_status(StatusCode::OK);
    integrator.reinstate("A-1").await.assert_status(StatusCode::OK);
    let pass_type = integrator.pass_type_identifier();
    assert_eq!(honoken.devices().lists(&device(1), pass_type, Some(&change.update_tag)).await, None);
    assert_eq!(unix_seconds(&integrator.state("A-1").await["updatedAt"]), change.updated_at);
}
