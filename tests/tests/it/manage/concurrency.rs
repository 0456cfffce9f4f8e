//! Many integrators at once.

use std::collections::{HashMap, HashSet};

use futures::future::join_all;
use honoken_simulator::Package;
use honoken_tests::problem::assert_is_problem;
use honoken_tests::{Change, a_ticket};
use http::StatusCode;

use super::a_service_with_a_pass;
use crate::a_service;

const CROWD: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_changes_one_pass_is_put_in_a_row() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let calls = (0..CROWD).map(|number| {
        let integrator = integrator.clone();
        async move { (number, integrator.replace("A-1", &a_ticket(&format!("seat {number}"))).await) }
    });
    let mut done: Vec<(usize, Change)> = Vec::new();
    for (number, answer) in join_all(calls).await {
        match answer.status.as_u16() {
            200 => done.push((number, Change::read(&answer))),
            409 | 412 | 429 | 503 => drop(assert_is_problem(&answer)),
            _ => panic!("{} {}", answer.status, answer.excerpt()),
        }
    }
    assert!(!done.is_empty(), "somebody comes through");
    done.sort_by_key(|(_, change)| change.position);
    assert!(done.is_sorted_by(|(_, one), (_, next)| one.position < next.position), "positions are unique");
    assert!(
        done.is_sorted_by(|(_, one), (_, next)| one.updated_at < next.updated_at),
        "time follows the log"
    );
    let (number, last) = done.last().unwrap();
    let state = integrator.state("A-1").await;
    assert_eq!(
        state["content"]["seat"],
        format!("seat {number}"),
        "the last position is what the pass shows"
    );
    assert_eq!(state["etag"], last.etag);
    assert_eq!(state["position"], last.position);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_knows_the_current_tag_lets_one_through() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let etag = format!("\"{}\"", integrator.state("A-1").await["etag"].as_str().unwrap());
    let path = format!("{}/content", integrator.path("A-1"));
    let calls = (0..CROWD).map(|number| {
        let (integrator, etag, path) = (integrator.clone(), etag.clone(), path.clone());
        async move {
            let content = a_ticket(&format!("seat {number}")).to_string();
            integrator.request(http::Method::PUT, &path, &[("if-match", &etag)], content).await
        }
    });
    let answers = join_all(calls).await;
    let through = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    let refused = answers.iter().filter(|answer| answer.status == StatusCode::PRECONDITION_FAILED).count();
    assert_eq!((through, refused), (1, CROWD - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_sends_the_same_order_issues_one_pass() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let order = integrator.order("A-1", &a_ticket("1A"));
    let answers = join_all((0..CROWD).map(|_| integrator.issue(&order))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), CROWD - 1);
    let etags: HashSet<String> = answers.iter().map(|answer| Change::read(answer).etag).collect();
    assert_eq!(etags.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_wants_the_same_serial_number_gets_one_winner() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let orders: Vec<_> =
        (0..CROWD).map(|number| integrator.order("A-1", &a_ticket(&number.to_string()))).collect();
    let answers = join_all(orders.iter().map(|order| integrator.issue(order))).await;
    let winners: Vec<usize> = (0..CROWD).filter(|at| answers[*at].status == StatusCode::CREATED).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::CONFLICT).count(), CROWD - 1);
    assert_eq!(integrator.state("A-1").await["content"]["seat"], winners[0].to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn different_passes_do_not_wait_for_each_other_and_share_the_log() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let calls = (0..CROWD).map(|number| {
        let integrator = integrator.clone();
        async move {
            let serial = format!("C-{number}");
            [
                integrator.issues(&serial).await,
                integrator.moves_to(&serial, "2B").await,
                integrator.voids(&serial).await,
            ]
        }
    });
    let mut positions: Vec<u64> =
        join_all(calls).await.concat().iter().map(|change| change.position).collect();
    positions.sort_unstable();
    positions.dedup();
    assert_eq!(positions.len(), 3 * CROWD, "every change has a position of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_and_its_tag_belong_together_while_the_pass_is_changing() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let pass = integrator.credentials("A-1").await;
    let devices = honoken.devices();
    let changing = tokio::spawn(async move {
        let mut seats = HashMap::from([(integrator.state("A-1").await["etag"].clone(), "1A".to_owned())]);
        for number in 0..60 {
            let seat = format!("seat {number}");
            let change = integrator.moves_to("A-1", &seat).await;
            seats.insert(change.etag.into(), seat);
        }
        seats
    });
    let mut seen = Vec::new();
    while !changing.is_finished() {
        let answer = devices.get(&pass, &[]).await;
        answer.assert_status(StatusCode::OK);
        let etag = answer.header("etag").expect("an ETag").trim_matches('"').to_owned();
        let shown = Package::open(answer.body).expect("a readable pass").pass_json().clone();
        seen.push((etag, shown["eventTicket"]["auxiliaryFields"][0]["value"].clone()));
    }
    let seats = changing.await.expect("every change is answered");
    assert!(!seen.is_empty());
    for (etag, seat) in seen {
        assert_eq!(seats[&serde_json::Value::from(etag)], seat);
    }
}
