//! Section 3.3: get the latest pass.

use std::time::{Duration, UNIX_EPOCH};

use futures::future::join_all;
use honoken_simulator::Package;
use honoken_tests::device::a_phone;
use honoken_tests::waiting::{PATIENCE, eventually};
use http::{Method, StatusCode};

use super::a_service_with_a_pass;

const CACHE_CONTROL: &str = "no-cache, no-store, must-revalidate";

fn http_date(seconds: i64) -> String {
    httpdate::fmt_http_date(
        UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).expect("a date of today")),
    )
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` as `Sunday, 06-Nov-94 08:49:37 GMT`.
fn with_two_digits_of_the_year(date: &str) -> String {
    let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let day = days.into_iter().find(|day| date.starts_with(&day[..3])).expect("a day of the week");
    format!("{day}, {}-{}-{} {}", &date[5..7], &date[8..11], &date[14..16], &date[17..])
}

/// The same as `Sun Nov  6 08:49:37 1994`.
fn as_asctime_writes(date: &str) -> String {
    let day: u8 = date[5..7].parse().expect("a day of the month");
    format!("{} {} {day:>2} {} {}", &date[..3], &date[8..11], &date[17..25], &date[12..16])
}

#[tokio::test]
async fn a_pass_comes_with_every_header_it_needs() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let change = integrator.moves_to("A-1", "2B").await;
    let answer = honoken.devices().get(&pass, &[]).await;
    answer
        .assert_status(StatusCode::OK)
        .assert_header("content-type", "application/vnd.apple.pkpass")
        .assert_header("content-length", &answer.body.len().to_string())
        .assert_header("etag", &format!("\"{}\"", change.etag))
        .assert_header("last-modified", &http_date(change.updated_at))
        .assert_header("cache-control", CACHE_CONTROL)
        .assert_header(
            "content-disposition",
            "attachment; filename=\"A-1.pkpass\"; filename*=UTF-8''A-1.pkpass",
        );
    let package = Package::open(answer.body.clone()).unwrap();
    assert_eq!(package.serial_number(), "A-1");
    assert_eq!(package.pass_type_identifier(), integrator.pass_type_identifier());
}

#[tokio::test]
async fn an_unchanged_pass_is_304_with_the_same_headers_and_no_body() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let change = integrator.moves_to("A-1", "2B").await;
    let last_modified = http_date(change.updated_at);
    let answer = honoken.devices().get(&pass, &[("if-modified-since", &last_modified)]).await;
    answer
        .assert_status(StatusCode::NOT_MODIFIED)
        .assert_header("etag", &format!("\"{}\"", change.etag))
        .assert_header("last-modified", &last_modified)
        .assert_header("cache-control", CACHE_CONTROL)
        .assert_no_body();
}

#[tokio::test]
async fn if_modified_since_is_compared_with_the_time_of_the_pass() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let change = integrator.moves_to("A-1", "2B").await;
    for (offset, status) in [(-86_400, 200), (-1, 200), (0, 304), (1, 200), (86_400, 200)] {
        let date = http_date(change.updated_at + offset);
        let answer = honoken.devices().get(&pass, &[("if-modified-since", &date)]).await;
        assert_eq!(answer.status.as_u16(), status, "{offset} s from the change");
    }
}

#[tokio::test]
async fn the_two_obsolete_forms_of_http_dates_are_read() {
    // RFC 9110 section 5.6.7: a recipient must accept all three.
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let change = integrator.moves_to("A-1", "2B").await;
    for (offset, status) in [(-86_400, StatusCode::OK), (0, StatusCode::NOT_MODIFIED)] {
        let date = http_date(change.updated_at + offset);
        for obsolete in [with_two_digits_of_the_year(&date), as_asctime_writes(&date)] {
            let answer = honoken.devices().get(&pass, &[("if-modified-since", &obsolete)]).await;
            assert_eq!(answer.status, status, "{obsolete}");
        }
    }
}

#[tokio::test]
async fn an_if_modified_since_that_cannot_be_read_is_200() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    for garbled in
        ["", "yesterday", "0", "Mon, 99 Foo 2099 99:99:99 GMT", "2099-01-01T00:00:00Z", "\"x\"", "é"]
    {
        let answer = honoken.devices().get(&pass, &[("if-modified-since", garbled)]).await;
        assert_eq!(answer.status, StatusCode::OK, "{garbled:?}");
    }
}

#[tokio::test]
async fn if_none_match_takes_lists_weak_tags_and_the_star() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let etag = integrator.state("A-1").await["etag"].as_str().unwrap().to_owned();
    let other = "0".repeat(64);
    let (matching, different) = (
        [
            format!("\"{etag}\""),
            format!("W/\"{etag}\""),
            format!("\"{other}\", \"{etag}\""),
            format!("\"a,b\" ,W/\"{etag}\",\"{other}\""),
            "*".to_owned(),
            " * ".to_owned(),
        ],
        [
            format!("\"{other}\""),
            format!("\"{other}\", W/\"{other}\""),
            format!("\"{}\"", etag.to_uppercase()),
            format!("\"{}\"", &etag[..63]),
            format!("\"x{etag}\""),
            "\"\"".to_owned(),
        ],
    );
    for (tags, status) in [(matching, StatusCode::NOT_MODIFIED), (different, StatusCode::OK)] {
        for tag in tags {
            let answer = honoken.devices().get(&pass, &[("if-none-match", &tag)]).await;
            assert_eq!(answer.status, status, "{tag}");
        }
    }
}

#[tokio::test]
async fn several_if_none_match_lines_are_one_list() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let etag = integrator.state("A-1").await["etag"].as_str().unwrap().to_owned();
    let own = format!("\"{etag}\"");
    let answer = honoken.devices().get(&pass, &[("if-none-match", "\"x\""), ("if-none-match", &own)]).await;
    answer.assert_status(StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn an_if_none_match_that_cannot_be_read_is_200() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    for garbled in ["", ",", "\"", "W/", "w/\"x\"", "tag", "'x'", "\"unclosed", "é"] {
        let answer = honoken.devices().get(&pass, &[("if-none-match", garbled)]).await;
        assert_eq!(answer.status, StatusCode::OK, "{garbled:?}");
    }
}

#[tokio::test]
async fn if_none_match_decides_alone_when_it_is_there() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let change = integrator.moves_to("A-1", "2B").await;
    let (current, stale) = (http_date(change.updated_at), http_date(change.updated_at - 60));
    let own = format!("\"{}\"", change.etag);
    for (tag, date, status) in
        [("\"another\"", &current, 200), (own.as_str(), &stale, 304), ("*", &stale, 304), ("", &current, 200)]
    {
        let headers = [("if-none-match", tag), ("if-modified-since", date.as_str())];
        let answer = honoken.devices().get(&pass, &headers).await;
        assert_eq!(answer.status.as_u16(), status, "{tag:?} with {date}");
    }
}

#[tokio::test]
async fn head_answers_as_get_without_the_body() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    let change = integrator.moves_to("A-1", "2B").await;
    let got = devices.get(&pass, &[]).await;
    let head = devices.fetch(Method::HEAD, &pass, &[]).await;
    head.assert_status(StatusCode::OK).assert_no_body();
    for name in ["content-type", "content-length", "etag", "last-modified", "cache-control"] {
        assert_eq!(head.header(name), got.header(name), "{name}");
    }
    let date = http_date(change.updated_at);
    let unchanged = devices.fetch(Method::HEAD, &pass, &[("if-modified-since", &date)]).await;
    unchanged.assert_status(StatusCode::NOT_MODIFIED).assert_header("last-modified", &date);
    let stranger = pass.with_token("wrong-wrong-wrong-wrong");
    devices
        .fetch(Method::HEAD, &stranger, &[])
        .await
        .assert_status(StatusCode::UNAUTHORIZED)
        .assert_no_body();
}

#[tokio::test]
async fn no_registration_is_needed_to_get_a_pass() {
    let (_honoken, integrator, _) = a_service_with_a_pass().await;
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    phone.turns_updates_off("A-1").await.unwrap();
    integrator.moves_to("A-1", "8H").await;
    let update = phone.refreshes("A-1").await.unwrap();
    assert!(update.changed);
    let again = phone.refreshes("A-1").await.unwrap();
    assert_eq!(again.status, Some(StatusCode::NOT_MODIFIED));
    phone.assert_content();
}

#[tokio::test]
async fn a_voided_pass_is_still_served_and_says_so() {
    let (_honoken, integrator, _) = a_service_with_a_pass().await;
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    assert_ne!(phone.pass("A-1").unwrap().pass_json()["voided"], true);
    integrator.voids("A-1").await;
    assert!(phone.wakes().await[0].changed);
    assert_eq!(phone.pass("A-1").unwrap().pass_json()["voided"], true);
    integrator.reinstates("A-1").await;
    assert!(phone.wakes().await[0].changed);
    assert_ne!(phone.pass("A-1").unwrap().pass_json()["voided"], true);
    phone.assert_content();
}

#[tokio::test]
async fn reading_never_writes() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let (devices, operator) = (honoken.devices(), honoken.operator());
    let before = operator.head().await;
    devices.get(&pass, &[]).await.assert_status(StatusCode::OK);
    devices.get(&pass, &[("if-none-match", "*")]).await.assert_status(StatusCode::NOT_MODIFIED);
    devices.fetch(Method::HEAD, &pass, &[]).await.assert_status(StatusCode::OK);
    devices.list("nobody", integrator.pass_type_identifier(), None).await;
    integrator.state("A-1").await;
    integrator.downloads("A-1").await;
    assert_eq!(operator.head().await, before);
}

#[tokio::test]
async fn first_requests_that_arrive_together_get_the_same_file() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    for seat in ["2B", "3C", "4D"] {
        integrator.moves_to("A-1", seat).await;
        let answers = join_all((0..20).map(|_| devices.get(&pass, &[]))).await;
        for answer in &answers {
            answer.assert_status(StatusCode::OK);
            assert_eq!(answer.body, answers[0].body);
        }
        assert_eq!(integrator.downloads("A-1").await, answers[0].body, "the integrator's is the same file");
    }
}

#[tokio::test]
async fn a_file_that_was_built_is_kept() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    let built = devices.get(&pass, &[]).await.body;
    // A build in another second has another signing time, and so other bytes.
    let now = tokio::time::Instant::now();
    eventually(PATIENCE, "the next second", async || {
        (now.elapsed() > Duration::from_millis(1100)).then_some(())
    })
    .await;
    assert_eq!(devices.get(&pass, &[]).await.body, built);
    assert_eq!(integrator.downloads("A-1").await, built);
}

#[tokio::test]
async fn a_pass_built_again_after_a_restart_is_the_same_to_a_phone() {
    let (mut honoken, integrator, _) = a_service_with_a_pass().await;
    let before = Package::open(integrator.downloads("A-1").await).unwrap();
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    honoken.terminate().await;
    honoken.restart().await;
    let after = Package::open(honoken.integrator().downloads("A-1").await).unwrap();
    assert_eq!(after.manifest_hash(), before.manifest_hash());
    assert_eq!(phone.refreshes("A-1").await.unwrap().status, Some(StatusCode::NOT_MODIFIED));
    phone.assert_content();
}
