//! `GET …/history`: what happened to a pass, from the log.

use honoken_simulator::Answer;
use honoken_tests::problem::assert_problem;
use honoken_tests::{Integrator, a_ticket, drawing};
use http::StatusCode;
use serde_json::{Value, json};

use super::a_service_with_a_pass;

fn events(answer: &Answer) -> Vec<Value> {
    answer.assert_status(StatusCode::OK).json()["events"].as_array().expect("events").clone()
}

#[tokio::test]
async fn every_change_is_there_in_order_with_who_and_when() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    integrator.moves_to("A-1", "2B").await;
    integrator.puts_asset("A-1", "logo.png", drawing::logo(1)).await;
    integrator.voids("A-1").await;
    integrator.reinstates("A-1").await;
    integrator.merges("A-1", &json!({ "userInfo": { "points": 1 } })).await;
    let body = json!({ "pointer": "/userInfo/points", "by": 1 });
    integrator.increment("A-1", &body, Some("k")).await.assert_status(StatusCode::OK);
    integrator.draw_as("A-1", &json!({ "ticketStyle": "coupon" })).await.assert_status(StatusCode::OK);
    let last = integrator.retires("A-1").await;

    let answer = integrator.history("A-1", "").await;
    assert_eq!(answer.json()["next"], Value::Null);
    let events = events(&answer);
    let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = [
        "PassIssued",
        "PassContentChanged",
        "PassAssetsChanged",
        "PassVoided",
        "PassReinstated",
        "PassContentChanged",
        "PassContentChanged",
        "PassMetadataChanged",
        "PassRetired",
    ];
    assert_eq!(types, expected);
    for (at, event) in events.iter().enumerate() {
        let mut keys: Vec<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["actor", "data", "recordedAt", "sequence", "type", "version"]);
        assert_eq!((&event["sequence"], &event["version"]), (&json!(at + 1), &json!("1")));
        assert!(event["actor"].as_str().unwrap().starts_with("api-key:"), "{event}");
        let recorded = event["recordedAt"].as_str().unwrap();
        assert!(recorded.starts_with("20") && recorded.ends_with('Z'), "{recorded}");
        assert!(event["data"]["etag"].is_string() && event["data"]["updatedAt"].is_number(), "{event}");
    }
    assert_eq!(events[1]["data"]["content"], a_ticket("2B"));
    assert_eq!(events[8]["data"]["etag"], last.etag);
}

#[tokio::test]
async fn no_secret_is_in_a_history() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let token = integrator.credentials("A-1").await.token;
    let answer = integrator.history("A-1", "").await;
    let issued = &events(&answer)[0];
    assert_eq!(issued["data"]["serialNumber"], "A-1");
    assert_eq!(issued["data"].get("authenticationToken"), None);
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(!text.contains(&token) && !text.contains(&honoken.ready().api_key));
}

/// All pages, each of them asked for with the cursor of the one before.
async fn pages(integrator: &Integrator, limit: usize) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = integrator.history("A-1", &format!("?limit={limit}&cursor={cursor}")).await;
        pages.push(events(&answer));
        match answer.json()["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn a_long_history_comes_in_pages_that_fit_together() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    for seat in 0..119 {
        integrator.moves_to("A-1", &format!("seat {seat}")).await;
    }
    let usual = integrator.history("A-1", "").await;
    assert_eq!((events(&usual).len(), &usual.json()["next"]), (100, &json!("100")));
    for (limit, sizes) in [(50, vec![50, 50, 20]), (120, vec![120]), (60, vec![60, 60]), (500, vec![120])] {
        let pages = pages(&integrator, limit).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
        let sequences: Vec<u64> =
            pages.concat().iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
        assert_eq!(sequences, (1..=120).collect::<Vec<u64>>());
    }
}

#[tokio::test]
async fn a_page_of_large_contents_is_bounded_all_the_same() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    for at in 0..12 {
        let text = format!("{at}{}", "x".repeat(200_000));
        integrator.replaces("A-1", &json!({ "description": "Large", "userInfo": text })).await;
    }
    let pages = pages(&integrator, 500).await;
    assert!(pages.len() >= 2, "two megabytes in one page");
    assert!(pages.iter().all(|page| page.len() <= 8), "more than a megabyte and one event in a page");
    assert_eq!(pages.concat().len(), 13);
}

#[tokio::test]
async fn a_page_that_cannot_be_is_422_and_one_behind_the_end_is_empty() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    for (query, named) in [
        ("?limit=0", "limit"),
        ("?limit=501", "limit"),
        ("?limit=many", "limit"),
        ("?limit=1&limit=2", "limit"),
        ("?cursor=x", "cursor"),
        ("?cursor=-1", "cursor"),
        ("?cursor=99999999999999999999", "cursor"),
        ("?page=2", "page"),
    ] {
        let problem = assert_problem(&integrator.history("A-1", query).await, 422);
        assert!(problem["detail"].as_str().unwrap().contains(&format!("`{named}`")), "{query}: {problem}");
    }
    let behind = integrator.history("A-1", "?cursor=7").await;
    assert_eq!((events(&behind).len(), &behind.json()["next"]), (0, &Value::Null));
}
