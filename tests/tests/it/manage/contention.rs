//! Many who change one pass at once, without a key: each is carried out once, and none is told to come back.

use std::time::Duration;

use futures::future::join_all;
use honoken_simulator::HttpClient;
use honoken_tests::{Change, Engine, Integrator};
use http::StatusCode;
use serde_json::{Value, json};

use crate::processes::{an_api, becomes_ready};
use crate::{a_home_for_several, a_service};

const POINTER: &str = "/storeCard/primaryFields/0/value";

/// Clients of each process.
const CLIENTS: usize = 16;

/// Increments of each client, one after the other.
const EACH: usize = 10;

/// A request is answered after thirty seconds at the latest; a client waits longer than that.
const REQUEST: Duration = Duration::from_secs(45);

async fn issues_a_card(integrator: &Integrator) {
    let field = json!({ "key": "points", "label": "POINTS", "value": 0 });
    let content = json!({ "description": "Points", "storeCard": { "primaryFields": [field] } });
    let mut order = integrator.order("C-1", &content);
    order["ticketStyle"] = json!("storeCard");
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
}

/// The sums that a client was told.
async fn adds(integrator: Integrator) -> Vec<u64> {
    let mut sums = Vec::new();
    for _ in 0..EACH {
        let answer = integrator.increment("C-1", &json!({ "pointer": POINTER, "by": 1 }), None).await;
        assert!(Change::read(answer.assert_status(StatusCode::OK)).changed);
        sums.push(answer.json()["value"].as_u64().expect("an integer"));
    }
    sums
}

/// Lets clients of all these add, and checks that every sum was told once.
async fn assert_adds_up(integrators: &[Integrator]) {
    let client = HttpClient::with_limits(REQUEST, 1 << 20);
    let clients = integrators.iter().flat_map(|integrator| std::iter::repeat_n(integrator, CLIENTS));
    let clients = clients.map(|integrator| adds(integrator.clone().with_client(client.clone())));
    let mut sums = join_all(clients).await.concat();
    sums.sort_unstable();
    let count = integrators.len() * CLIENTS * EACH;
    assert_eq!(sums, (1..=count as u64).collect::<Vec<_>>(), "every sum is told once");
    let state = integrators[0].state("C-1").await;
    assert_eq!(state["content"].pointer(POINTER), Some(&Value::from(count)));
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_without_a_key_are_all_carried_out_once() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    issues_a_card(&integrator).await;
    assert_adds_up(&[integrator]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_without_a_key_through_several_processes_are_all_carried_out_once() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let one = home.home().serve("one").start().await;
    let (two, three) = (an_api(&home, "two").await, an_api(&home, "three").await);
    for process in [&one, &two, &three] {
        becomes_ready(process).await;
    }
    let integrators = [&one, &two, &three].map(|process| process.integrator(home.ready()));
    issues_a_card(&integrators[0]).await;
    assert_adds_up(&integrators).await;
}
