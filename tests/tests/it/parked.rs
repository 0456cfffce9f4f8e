//! Events that cannot be applied: one is put into the log by hand, as a newer release might have left it.

use honoken_tests::Honoken;
use honoken_tests::problem::{assert_is_problem, assert_problem};
use honoken_tests::storage::HandmadeEvent;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::a_service;

/// A service with two passes and one event that nobody knows.
async fn a_service_with_a_parked_event() -> (Honoken, u64) {
    let mut honoken = a_service().await;
    for serial in ["A-1", "A-2"] {
        honoken.integrator().issues(serial).await;
    }
    honoken.terminate().await;
    let event = HandmadeEvent {
        aggregate_type: "Mystery",
        aggregate_id: "m",
        kind: "SomethingNew",
        payload: json!({}),
    };
    let position = honoken.storage().appends(event).await;
    honoken.restart().await;
    (honoken, position)
}

#[tokio::test]
async fn an_event_that_cannot_be_applied_is_shown_to_the_operator() {
    let (honoken, position) = a_service_with_a_parked_event().await;
    let operator = honoken.operator();
    let wallet = operator.wallet_projection().await;
    assert_eq!((&wallet["parked"], &wallet["position"]), (&json!(1), &wallet["head"]));
    let parked = operator.parked().await.to_string();
    assert!(parked.contains(&position.to_string()) && parked.contains("SomethingNew"), "{parked}");
}

#[tokio::test]
async fn everything_else_goes_on_beside_it() {
    let (honoken, _) = a_service_with_a_parked_event().await;
    let integrator = honoken.integrator();
    integrator.moves_to("A-1", "2B").await;
    integrator.issues("A-3").await;
    assert_eq!(integrator.state("A-1").await["content"]["seat"], "2B");
    let ready = honoken.request(Method::GET, "/health/ready", HeaderMap::new(), "").await;
    ready.assert_status(StatusCode::OK);
}

#[tokio::test]
async fn an_event_that_still_cannot_be_applied_stays_parked() {
    let (honoken, position) = a_service_with_a_parked_event().await;
    let operator = honoken.operator();
    let answer = operator.retries(position).await;
    assert!(answer.status.is_client_error(), "{}", answer.excerpt());
    assert_is_problem(&answer);
    assert_eq!(operator.wallet_projection().await["parked"], 1);
}

#[tokio::test]
async fn an_event_is_skipped_with_a_reason_only() {
    let (honoken, position) = a_service_with_a_parked_event().await;
    let operator = honoken.operator();
    let path = format!("/admin/projections/wallet/parked/{position}/skip");
    for body in [json!({}), json!({ "reason": "" }), json!({ "reason": 7 }), json!([])] {
        assert_problem(&operator.request(Method::POST, &path, &body).await, 422);
    }
    assert_eq!(operator.wallet_projection().await["parked"], 1);
    let answer = operator.skips(position, "a test put it there").await;
    assert!(answer.status.is_success(), "{}", answer.excerpt());
    assert_eq!(operator.wallet_projection().await["parked"], 0);
    let again = operator.skips(position, "a test put it there").await;
    assert!(again.status.is_client_error(), "{}", again.excerpt());
}

#[tokio::test]
async fn later_changes_of_the_same_pass_wait_and_come_with_the_retry() {
    let mut honoken = a_service().await;
    let integrator = honoken.integrator();
    for serial in ["A-1", "A-2"] {
        integrator.issues(serial).await;
    }
    let before = integrator.state("A-1").await;
    let etag = |digit: &str| digit.repeat(64);
    let aggregate_id = format!("{}/A-1", integrator.pass_type_identifier());
    let changed = |payload: Value| HandmadeEvent {
        aggregate_type: "Pass",
        aggregate_id: &aggregate_id,
        kind: "PassContentChanged",
        payload: json!({ "PassContentChanged": payload }),
    };
    let updated_at = honoken_tests::etag::unix_seconds(&before["updatedAt"]);
    honoken.terminate().await;
    let storage = honoken.storage();
    let broken = storage.appends(changed(json!({ "content": 7 }))).await;
    let later = json!({ "content": { "seat": "later" }, "etag": etag("b"), "updatedAt": updated_at + 2 });
    storage.appends(changed(later)).await;
    honoken.restart().await;

    let (integrator, operator) = (honoken.integrator(), honoken.operator());
    assert_eq!(operator.wallet_projection().await["parked"], 2, "one cannot be applied, one waits behind it");
    assert_eq!(integrator.state("A-1").await["etag"], before["etag"], "the pass stands still");
    integrator.moves_to("A-2", "2B").await;
    let answer = integrator.replace("A-1", &json!({ "description": "x" })).await;
    assert_eq!(assert_problem(&answer, 409)["code"], "pass_parked", "a damaged pass cannot be changed");

    // An upgrade that understands the event, as far as the projection can tell.
    honoken.terminate().await;
    let repaired =
        json!({ "PassContentChanged": { "content": {}, "etag": etag("a"), "updatedAt": updated_at + 1 } });
    storage.replaces_payload(broken, &repaired).await;
    honoken.restart().await;

    let operator = honoken.operator();
    assert_eq!(
        operator.wallet_projection().await["parked"],
        2,
        "nothing is retried behind the operator's back"
    );
    let answer = operator.retries(broken).await;
    assert!(answer.status.is_success(), "{}", answer.excerpt());
    assert_eq!(operator.wallet_projection().await["parked"], 0);
    let answer = honoken.integrator().get("A-1").await;
    let state = answer.assert_status(StatusCode::OK).json();
    assert_eq!((&state["etag"], &state["content"]["seat"]), (&json!(etag("b")), &json!("later")));
}
