//! Events that cannot be applied: one is put into the log by hand, as a newer release might have left it.

use honoken_tests::problem::{assert_is_problem, assert_problem};
use honoken_tests::{Honoken, storage};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::a_service;

struct Event<'a> {
    aggregate_type: &'a str,
    aggregate_id: &'a str,
    kind: &'a str,
    payload: Value,
}

/// Appends an event to the log of a service that stands still and gives its position.
async fn appends(log: &mut SqliteConnection, event: Event<'_>) -> u64 {
    let position: i64 = sqlx::query_scalar(
        "insert into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
                             metadata, recorded_at)
         select (select max(position) + 1 from events), $1, $2,
                (select coalesce(max(sequence), 0) + 1 from events where aggregate_type = $1 and aggregate_id = $2),
                $3, '1', $4, '{}', 0
         returning position",
    )
    .bind(event.aggregate_type)
    .bind(event.aggregate_id)
    .bind(event.kind)
    .bind(event.payload.to_string())
    .fetch_one(log)
    .await
    .expect("the log takes the event");
    u64::try_from(position).expect("a position")
}

/// A service with two passes and one event that nobody knows.
async fn a_service_with_a_parked_event() -> (Honoken, u64) {
    let mut honoken = a_service().await;
    for serial in ["A-1", "A-2"] {
        honoken.integrator().issues(serial).await;
    }
    honoken.terminate().await;
    let mut log = storage::writes(&storage::log_file(&honoken.home().data_dir()).await).await;
    let event =
        Event { aggregate_type: "Mystery", aggregate_id: "m", kind: "SomethingNew", payload: json!({}) };
    let position = appends(&mut log, event).await;
    log.close().await.expect("the log closes");
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
    let changed = |payload: Value| Event {
        aggregate_type: "Pass",
        aggregate_id: &aggregate_id,
        kind: "PassContentChanged",
        payload: json!({ "PassContentChanged": payload }),
    };
    let updated_at = honoken_tests::etag::unix_seconds(&before["updatedAt"]);
    honoken.terminate().await;
    let log_file = storage::log_file(&honoken.home().data_dir()).await;
    let mut log = storage::writes(&log_file).await;
    let broken = appends(&mut log, changed(json!({ "content": 7 }))).await;
    let later = json!({ "content": { "seat": "later" }, "etag": etag("b"), "updatedAt": updated_at + 2 });
    appends(&mut log, changed(later)).await;
    log.close().await.unwrap();
    honoken.restart().await;

    let (integrator, operator) = (honoken.integrator(), honoken.operator());
    assert_eq!(operator.wallet_projection().await["parked"], 2, "one cannot be applied, one waits behind it");
    assert_eq!(integrator.state("A-1").await["etag"], before["etag"], "the pass stands still");
    integrator.moves_to("A-2", "2B").await;
    let answer = integrator.replace("A-1", &json!({ "description": "x" })).await;
    assert!(answer.status.is_server_error(), "a damaged pass cannot be changed: {}", answer.excerpt());
    assert_is_problem(&answer);

    // An upgrade that understands the event, as far as the projection can tell.
    honoken.terminate().await;
    let repaired =
        json!({ "PassContentChanged": { "content": {}, "etag": etag("a"), "updatedAt": updated_at + 1 } });
    let mut log = storage::writes(&log_file).await;
    sqlx::query("update events set payload = $1 where position = $2")
        .bind(repaired.to_string())
        .bind(i64::try_from(broken).unwrap())
        .execute(&mut log)
        .await
        .unwrap();
    log.close().await.unwrap();
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
