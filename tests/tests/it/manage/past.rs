//! `GET …/at`: a pass as it was, from the log.

use honoken_tests::problem::assert_problem;
use honoken_tests::{Change, Integrator, a_ticket, drawing};
use http::StatusCode;
use serde_json::{Value, json};

use super::a_service_with_a_pass;

/// The present state, without what is of the present alone.
async fn state_of(integrator: &Integrator) -> Value {
    let mut state = integrator.state("A-1").await;
    for member in ["registrations", "deliveries"] {
        state.as_object_mut().expect("an object").remove(member);
    }
    state
}

async fn past(integrator: &Integrator, query: &str) -> Value {
    integrator.past("A-1", query).await.assert_status(StatusCode::OK).json().clone()
}

/// A pass that went through changes of every kind, and its state after each, with the time before the next.
async fn a_life(integrator: &Integrator) -> Vec<Value> {
    let mut states = vec![state_of(integrator).await];
    let mut seen = async |_: Change| states.push(state_of(integrator).await);
    seen(integrator.moves_to("A-1", "2B").await).await;
    seen(integrator.puts_asset("A-1", "logo.png", drawing::logo(1)).await).await;
    seen(integrator.voids("A-1").await).await;
    seen(integrator.reinstates("A-1").await).await;
    seen(integrator.merges("A-1", &json!({ "userInfo": { "points": 1 } })).await).await;
    seen(integrator.retires("A-1").await).await;
    states
}

#[tokio::test]
async fn every_state_is_found_by_its_position_and_by_any_position_up_to_the_next() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    let states = a_life(&integrator).await;
    // Events of other passes lie between.
    integrator.issues("B-1").await;
    let head = integrator.state("B-1").await["position"].as_u64().expect("a position");
    for round in 0..2 {
        let integrator = honoken.integrator();
        for (number, state) in states.iter().enumerate() {
            let from = state["position"].as_u64().expect("a position");
            let to = states
                .get(number + 1)
                .map_or(head + 1, |next| next["position"].as_u64().expect("a position"));
            for position in [from, to - 1] {
                assert_eq!(
                    &past(&integrator, &format!("?position={position}")).await,
                    state,
                    "{round}: {position}"
                );
            }
        }
        // What is folded from the log does not need the read model as it was.
        honoken.kill().await;
        honoken.restart().await;
    }
}

#[tokio::test]
async fn a_state_is_found_by_the_time_of_its_event() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let states = a_life(&integrator).await;
    let history = integrator.history("A-1", "").await.assert_status(StatusCode::OK).json().clone();
    let events = history["events"].as_array().expect("events");
    assert_eq!(events.len(), states.len());
    for (number, event) in events.iter().enumerate() {
        let time = event["recordedAt"].as_str().expect("a time");
        // Events may share a millisecond.
        let last =
            events.iter().rposition(|other| other["recordedAt"].as_str() <= Some(time)).unwrap_or(number);
        assert_eq!(past(&integrator, &format!("?time={time}")).await, states[last], "{time}");
    }
    assert_eq!(Some(&past(&integrator, "").await), states.last());
    let of_2099 = past(&integrator, "?time=2099-01-01T00:00:00%2B01:00").await;
    assert_eq!(Some(&of_2099), states.last());
    let before = integrator.past("A-1", "?time=1999-01-01T00:00:00Z").await;
    assert_problem(&before, 404);
}

#[tokio::test]
async fn many_changes_are_folded_from_the_stored_state_and_from_the_beginning() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let mut positions = Vec::new();
    for number in 0..130 {
        let change = integrator.moves_to("A-1", &format!("{number}")).await;
        positions.push((change.position, change.etag));
    }
    for number in [0, 1, 98, 99, 100, 101, 129] {
        let (position, etag) = &positions[number];
        let state = past(&integrator, &format!("?position={position}")).await;
        assert_eq!(state["content"], a_ticket(&number.to_string()), "{number}");
        assert_eq!(
            (state["etag"].as_str(), state["position"].as_u64()),
            (Some(etag.as_str()), Some(*position)),
            "{number}"
        );
    }
}

#[tokio::test]
async fn a_moment_that_is_none_is_named() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let state = integrator.state("A-1").await;
    let issued = state["position"].as_u64().expect("a position");
    assert_problem(&integrator.past("A-1", &format!("?position={}", issued - 1)).await, 404);
    let beyond = format!("?position={}", issued + 1_000_000_000_000);
    for (query, named) in [
        ("?position=1&time=2026-11-21T10:00:00Z", "not both"),
        ("?position=0", "`position`"),
        ("?position=-1", "`position`"),
        ("?position=x", "`position`"),
        ("?position=99999999999999999999", "`position`"),
        (&beyond, "where the event log ends"),
        ("?time=yesterday", "`time`"),
        ("?time=2026-11-21", "`time`"),
        ("?when=1", "`when`"),
    ] {
        let answer = integrator.past("A-1", query).await;
        let problem = assert_problem(&answer, 422);
        assert!(
            problem["errors"][0]["detail"].as_str().expect("a detail").contains(named),
            "{query}: {problem}"
        );
    }
    assert_eq!(integrator.state("A-1").await, state);
}
