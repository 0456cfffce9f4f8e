//! `POST …/increment`: exact, in a row, and once for each key.

use futures::future::join_all;
use honoken_simulator::Answer;
use honoken_tests::problem::{assert_points_at, assert_problem};
use honoken_tests::{Change, Honoken, Integrator};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::a_service;

const POINTER: &str = "/storeCard/primaryFields/0/value";
const CLIENTS: usize = 16;
const EACH: usize = 10;

/// A service with a store card that shows `points`.
async fn a_card(points: Value) -> (Honoken, Integrator) {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let field = json!({ "key": "points", "label": "POINTS", "value": points });
    let content = json!({ "description": "Points", "storeCard": { "primaryFields": [field] } });
    let mut order = integrator.order("C-1", &content);
    order["ticketStyle"] = json!("storeCard");
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
    (honoken, integrator)
}

async fn adds(integrator: &Integrator, by: Value, key: Option<&str>) -> Answer {
    integrator.increment("C-1", &json!({ "pointer": POINTER, "by": by }), key).await
}

/// The answer's change and value.
fn read(answer: &Answer) -> (Change, Value) {
    let change = Change::read(answer.assert_status(StatusCode::OK));
    (change, answer.json()["value"].clone())
}

async fn points(integrator: &Integrator) -> Value {
    integrator.state("C-1").await["content"].pointer(POINTER).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_number_is_added_to_and_the_answer_says_what_it_is_then() {
    let (_honoken, integrator) = a_card(json!(40)).await;
    for (by, expected) in
        [(json!(2), json!(42)), (json!(-50), json!(-8)), (json!(0.5), json!(-7.5)), (json!(7.5), json!(0))]
    {
        let (change, value) = read(&adds(&integrator, by, None).await);
        assert!(change.changed && value == expected, "{value} is not {expected}");
        assert_eq!(points(&integrator).await, expected);
    }
    let (change, value) = read(&adds(&integrator, json!(0), None).await);
    assert!(!change.changed && value == json!(0));
}

#[tokio::test]
async fn a_tenth_and_two_tenths_are_three_tenths() {
    let (_honoken, integrator) = a_card(json!(0.1)).await;
    let answer = adds(&integrator, json!(0.2), None).await;
    let text = String::from_utf8(answer.assert_status(StatusCode::OK).body.to_vec()).unwrap();
    assert!(text.contains(r#""value":0.3}"#), "{text}");
    assert_eq!(points(&integrator).await.to_string(), "0.3");
}

#[tokio::test]
async fn what_cannot_be_counted_is_422_and_changes_nothing() {
    let (_honoken, integrator) = a_card(json!(9_007_199_254_740_991_i64)).await;
    let before = integrator.state("C-1").await;
    let cases = [
        (json!({ "pointer": "/missing", "by": 1 }), "/pointer"),
        (json!({ "pointer": "/description", "by": 1 }), "/pointer"),
        (json!({ "pointer": "/storeCard", "by": 1 }), "/pointer"),
        (json!({ "pointer": "", "by": 1 }), "/pointer"),
        (json!({ "pointer": "/storeCard/primaryFields/-/value", "by": 1 }), "/pointer"),
        (json!({ "pointer": "storeCard", "by": 1 }), "/pointer"),
        (json!({ "pointer": "/a~", "by": 1 }), "/pointer"),
        (json!({ "pointer": 7, "by": 1 }), "/pointer"),
        (json!({ "by": 1 }), "/pointer"),
        (json!({ "pointer": POINTER }), "/by"),
        (json!({ "pointer": POINTER, "by": "1" }), "/by"),
        (json!({ "pointer": POINTER, "by": 1 }), "/by"),
        (json!({ "pointer": POINTER, "by": 0.5 }), "/by"),
        (json!({ "pointer": POINTER, "by": 1e300 }), "/by"),
        (json!({ "pointer": POINTER, "by": -1, "extra": 1 }), "/extra"),
        (json!([]), ""),
    ];
    for (body, pointer) in cases {
        assert_points_at(&integrator.increment("C-1", &body, None).await, pointer);
    }
    assert_eq!(integrator.state("C-1").await, before);
}

#[tokio::test]
async fn a_sum_that_the_content_may_not_have_is_the_fault_of_what_is_added() {
    let (_honoken, integrator) = a_card(json!(1)).await;
    integrator.merges("C-1", &json!({ "locations": [{ "latitude": 89, "longitude": 0 }] })).await;
    let body = json!({ "pointer": "/locations/0/latitude", "by": 2 });
    assert_points_at(&integrator.increment("C-1", &body, None).await, "/by");
}

#[tokio::test]
async fn a_key_that_cannot_be_one_is_400() {
    let (_honoken, integrator) = a_card(json!(1)).await;
    for key in ["", "x".repeat(257).as_str()] {
        assert_problem(&adds(&integrator, json!(1), Some(key)).await, 400);
    }
    assert_eq!(points(&integrator).await, json!(1));
}

#[tokio::test]
async fn the_same_key_is_carried_out_once_and_told_the_same_value() {
    let (_honoken, integrator) = a_card(json!(40)).await;
    let (first, value) = read(&adds(&integrator, json!(2), Some("sale-1")).await);
    assert!(first.changed && value == json!(42));
    adds(&integrator, json!(100), Some("sale-2")).await.assert_status(StatusCode::OK);
    let (again, value) = read(&adds(&integrator, json!(2), Some("sale-1")).await);
    assert!(!again.changed && value == json!(42), "{again:?} {value}");
    assert_eq!(points(&integrator).await, json!(142));
    // The state that the caller knew is gone by its own first try.
    let path = format!("{}/increment", integrator.path("C-1"));
    let known = format!("\"{}\"", "0".repeat(64));
    let headers = [("idempotency-key", "sale-1"), ("if-match", known.as_str())];
    let body = json!({ "pointer": POINTER, "by": 2 }).to_string();
    let (again, value) = read(&integrator.request(Method::POST, &path, &headers, body).await);
    assert!(!again.changed && value == json!(42));
}

#[tokio::test]
async fn the_same_key_with_another_body_is_409() {
    let (_honoken, integrator) = a_card(json!(40)).await;
    adds(&integrator, json!(2), Some("sale-1")).await.assert_status(StatusCode::OK);
    let problem = assert_problem(&adds(&integrator, json!(3), Some("sale-1")).await, 409);
    assert_eq!(problem["code"], "idempotency_key_reused");
    assert_eq!(points(&integrator).await, json!(42));
}

#[tokio::test]
async fn a_retry_is_known_after_a_kill_and_from_a_snapshot() {
    let (mut honoken, integrator) = a_card(json!(0)).await;
    let body = json!({ "pointer": POINTER, "by": 5 }).to_string();
    let path = format!("{}/increment", integrator.path("C-1"));
    let sent = integrator.tries(Method::POST, &path, &[("idempotency-key", "sale-1")], body.clone());
    drop(sent.await);
    honoken.kill().await;
    honoken.restart().await;
    let integrator = honoken.integrator();
    let (again, value) = read(&adds(&integrator, json!(5), Some("sale-1")).await);
    assert!(!again.changed && value == json!(5), "{again:?} {value}");
    // Far enough for the state to be stored, and the key in it.
    for at in 0..120 {
        integrator.merges("C-1", &json!({ "userInfo": { "at": at } })).await;
    }
    honoken.kill().await;
    honoken.restart().await;
    let integrator = honoken.integrator();
    let (again, value) = read(&adds(&integrator, json!(5), Some("sale-1")).await);
    assert!(!again.changed && value == json!(5), "{again:?} {value}");
    assert_eq!(points(&integrator).await, json!(5));
}

/// Whatever moment the program is killed in: a retry of each increment that was sent makes it count once, and exactly once.
#[tokio::test(flavor = "multi_thread")]
async fn an_increment_cut_off_by_a_kill_counts_once_when_it_is_sent_again() {
    let (mut honoken, _) = a_card(json!(0)).await;
    let mut sent: Vec<String> = Vec::new();
    for round in 0..4 {
        let integrator = honoken.integrator();
        let path = format!("{}/increment", integrator.path("C-1"));
        let body = json!({ "pointer": POINTER, "by": 1 }).to_string();
        let keys: Vec<String> = (0..CLIENTS).map(|client| format!("round-{round}-{client}")).collect();
        let calls =
            keys.iter().map(|key| {
                let (integrator, path, body) = (&integrator, &path, body.clone());
                async move {
                    integrator.tries(Method::POST, path, &[("idempotency-key", key)], body).await.is_ok()
                }
            });
        let mut answered: futures::stream::FuturesUnordered<_> = calls.collect();
        // The first answers are awaited, the others are cut off wherever they are.
        for _ in 0..=round {
            assert_eq!(futures::StreamExt::next(&mut answered).await, Some(true));
        }
        honoken.kill().await;
        drop(answered);
        honoken.restart().await;
        sent.extend(keys);
        let integrator = honoken.integrator();
        for key in &sent[sent.len() - CLIENTS..] {
            adds(&integrator, json!(1), Some(key)).await.assert_status(StatusCode::OK);
        }
        assert_eq!(points(&integrator).await, json!(sent.len()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_of_many_clients_add_up_exactly() {
    let (_honoken, integrator) = a_card(json!(0)).await;
    let clients = (0..CLIENTS).map(|client| {
        let integrator = integrator.clone();
        async move {
            let mut values = Vec::new();
            for at in 0..EACH {
                let key = format!("client-{client}-{at}");
                let (change, value) = read(&adds(&integrator, json!(1), Some(&key)).await);
                assert!(change.changed);
                values.push(value.as_u64().expect("an integer"));
            }
            values
        }
    });
    let mut values: Vec<u64> = join_all(clients).await.concat();
    values.sort_unstable();
    let expected: Vec<u64> = (1..=(CLIENTS * EACH) as u64).collect();
    assert_eq!(values, expected, "every sum is told once");
    assert_eq!(points(&integrator).await, json!(CLIENTS * EACH));
}
