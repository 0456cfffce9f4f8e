//! `?urgent=true`: phones are woken at once, whichever change it is. It goes into the metadata of the event, where the relay finds it.

use honoken_tests::problem::assert_problem;
use honoken_tests::storage::{Part, Storage};
use honoken_tests::{Change, a_ticket, drawing};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::a_service_with_a_pass;

/// What the metadata of the last event of the pass says about urgency.
async fn said(storage: &Storage) -> Value {
    let sql = "select cast(metadata as text) from events where aggregate_type = $1 and aggregate_id like $2 order by sequence";
    let metadata = storage.reads(Part::Log, sql, &["Pass", "%/A-1"]).await;
    let last: Value = serde_json::from_str(metadata.last().expect("the pass was issued")).expect("JSON");
    last.get("urgent").cloned().unwrap_or_default()
}

#[tokio::test]
async fn every_change_may_be_urgent_and_says_so_in_its_metadata() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let storage = honoken.home().storage();
    let (pass, json) = (integrator.path("A-1"), [("content-type", "application/json")]);
    let increment = json!({ "pointer": "/userInfo/n", "by": 1 }).to_string();
    let changes: [(Method, &str, Vec<u8>); 9] = [
        (Method::PUT, "/content", json!({ "description": "a", "userInfo": { "n": 1 } }).to_string().into()),
        (Method::PATCH, "/content", json!({ "seat": "2B" }).to_string().into()),
        (Method::POST, "/increment", increment.into()),
        (Method::PATCH, "", json!({ "ticketStyle": "generic" }).to_string().into()),
        (Method::PUT, "/assets/logo.png", drawing::logo(7)),
        (Method::DELETE, "/assets/logo.png", Vec::new()),
        (Method::POST, "/void", Vec::new()),
        (Method::POST, "/reinstate", Vec::new()),
        (Method::DELETE, "", Vec::new()),
    ];
    for (method, path, body) in changes {
        let path = format!("{pass}{path}?urgent=true");
        let headers = if path.contains("/assets/") { &[][..] } else { &json };
        let answer = integrator.request(method.clone(), &path, headers, body).await;
        let change = Change::read(answer.assert_status(StatusCode::OK));
        assert!(change.changed, "{method} {path}");
        assert_eq!(said(&storage).await, "true", "{method} {path}");
    }
}

#[tokio::test]
async fn a_change_that_is_not_urgent_says_nothing_about_it() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let storage = honoken.home().storage();
    integrator.moves_to("A-1", "2B").await;
    assert_eq!(said(&storage).await, Value::Null);
    let path = format!("{}/void?urgent=false", integrator.path("A-1"));
    let answer = integrator.request(Method::POST, &path, &[], "").await;
    assert!(Change::read(answer.assert_status(StatusCode::OK)).changed);
    assert_eq!(said(&storage).await, Value::Null);
}

#[tokio::test]
async fn anything_but_true_or_false_is_refused_and_changes_nothing() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    let (pass, content) = (integrator.path("A-1"), a_ticket("9Z").to_string());
    for query in ["urgent=yes", "urgent", "urgent=1", "urgent=true&urgent=true", "urgnet=true"] {
        for (method, path) in [(Method::PUT, "/content"), (Method::POST, "/void"), (Method::DELETE, "")] {
            let path = format!("{pass}{path}?{query}");
            let answer = integrator.request(method, &path, &[], content.clone()).await;
            let problem = assert_problem(&answer, 422);
            assert!(problem["detail"].as_str().unwrap().contains("urg"), "{path}: {problem}");
        }
    }
    assert_eq!(integrator.state("A-1").await, before);
}
