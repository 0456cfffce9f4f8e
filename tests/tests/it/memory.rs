//! Memory: whoever has not shown yet who it is gets little of it, whatever it sends and however slowly, and others find room meanwhile.

use futures::future::join_all;
use honoken_simulator::HttpClient;
use honoken_tests::drawing;
use honoken_tests::problem::assert_problem;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::wire::{Heard, Wire};
use honoken_tests::{Honoken, Serving};
use http::{Method, StatusCode};

use crate::{a_home_for_serve, a_service};

const MIB: u64 = 1024;

/// As many connections as a test opens: what each costs shows, and a machine with few open files can do it.
const MANY: usize = 600;

/// What they may take altogether: a quarter of a budget, and what a connection costs in a program that is not optimised.
const LITTLE: u64 = 40 * MIB;

async fn a_serving(home: &Honoken) -> Serving {
    home.home().serve("bounded").start().await
}

/// Sends a log from an address of this machine.
async fn logs(serving: &Serving, client: &str, bytes: usize) -> Heard {
    let body = format!(r#"{{"logs":["{}"]}}"#, "a ".repeat(bytes / 2));
    let head = format!("POST /v1/log HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut wire = Wire::from_to(client, serving.address()).await;
    wire.says(head.as_bytes()).await.expect("a connection");
    wire.says(body.as_bytes()).await.expect("a connection");
    wire.hears_answer().await.expect("an answer")
}

/// Opens connections that each say this and wait. They are all served in some way before this returns, since others are asked behind them.
async fn hold(serving: &Serving, said: &[u8]) -> Vec<Wire> {
    let mut wires = Vec::new();
    for _ in 0..MANY {
        let mut wire = Wire::to(serving.address()).await;
        wire.says(said).await.expect("a connection");
        wires.push(wire);
    }
    assert_eq!(logs(serving, "127.0.0.1", 100).await.status, 200, "small bodies wait for no large ones");
    wires
}

/// The most that the process has taken beyond `before`, looked at until it takes no more.
async fn grown(serving: &mut Serving, before: u64) -> u64 {
    let mut most = 0;
    let mut unchanged = 0;
    eventually(PATIENCE, "its memory stays as it is", async || {
        let now = serving.process().memory().saturating_sub(before);
        unchanged = if now > most { 0 } else { unchanged + 1 };
        most = most.max(now);
        (unchanged > 100).then_some(most)
    })
    .await
}

#[tokio::test]
async fn unfinished_bodies_of_one_address_take_little_and_leave_room_for_others() {
    let home = a_home_for_serve().await;
    let mut serving = a_serving(&home).await;
    logs(&serving, "127.0.0.1", 60_000).await;
    let before = serving.process().memory();
    let head = "POST /v1/log HTTP/1.1\r\nHost: h\r\nContent-Length: 64000\r\n\r\n{\"logs\":[\"";
    let wires = hold(&serving, format!("{head}{}", "a ".repeat(30_000)).as_bytes()).await;
    let grown = grown(&mut serving, before).await;
    assert!(grown < LITTLE, "{MANY} unfinished bodies took {} MiB", grown / MIB);
    assert_eq!(logs(&serving, "127.0.0.2", 60_000).await.status, 200, "another address has its own share");
    let refused = logs(&serving, "127.0.0.1", 60_000).await;
    assert!(refused.status == 503 && refused.body.contains("overloaded"), "{refused:?}");
    assert!(
        refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()),
        "{refused:?}"
    );
    drop(wires);
    eventually(PATIENCE, "there is room again", async || {
        (logs(&serving, "127.0.0.1", 60_000).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn behind_a_proxy_the_client_it_names_has_the_share() {
    let home = a_home_for_serve().await;
    let serving = home.home().serve("bounded").with_variable("RATE_LIMIT_PROXIES", "1").start().await;
    let head =
        "POST /v1/log HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.0.0.1\r\nContent-Length: 64000\r\n\r\n";
    let wires = hold(&serving, format!("{head}{}", "a ".repeat(30_000)).as_bytes()).await;
    // Without the header it is the proxy itself, with an address of its own.
    assert_eq!(logs(&serving, "127.0.0.1", 60_000).await.status, 200);
    let body = format!(r#"{{"logs":["{}"]}}"#, "a ".repeat(30_000));
    let mut wire = Wire::to(serving.address()).await;
    wire.says(head.replace("64000", &body.len().to_string()).as_bytes()).await.unwrap();
    wire.says(body.as_bytes()).await.expect("a connection");
    assert_eq!(wire.hears_answer().await.expect("an answer").status, 503);
    drop(wires);
}

#[tokio::test]
async fn half_heads_take_little() {
    let home = a_home_for_serve().await;
    let mut serving = a_serving(&home).await;
    logs(&serving, "127.0.0.1", 100).await;
    let before = serving.process().memory();
    let head = format!("GET /v1/passes/a/b HTTP/1.1\r\nHost: h\r\nX-Long: {}", "x".repeat(60_000));
    let wires = hold(&serving, head.as_bytes()).await;
    let grown = grown(&mut serving, before).await;
    assert!(grown < LITTLE, "{MANY} half heads took {} MiB", grown / MIB);
    drop(wires);
    // A whole one of that length is a request like others.
    let mut wire = Wire::from_to("127.0.0.2", serving.address()).await;
    wire.says(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(wire.hears_answer().await.expect("an answer").status, 401);
}

/// Each byte is read into a buffer, which must not be kept for it.
#[tokio::test]
async fn bytes_that_come_one_by_one_take_no_more_than_those_that_come_together() {
    let home = a_home_for_serve().await;
    let mut serving = a_serving(&home).await;
    logs(&serving, "127.0.0.1", 60_000).await;
    let before = serving.process().memory();
    let mut wires = Vec::new();
    for _ in 0..60 {
        let mut wire = Wire::to(serving.address()).await;
        wire.says(b"POST /v1/log HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n").await.unwrap();
        wires.push(wire);
    }
    for _ in 0..400 {
        for wire in &mut wires {
            wire.says(b" ").await.unwrap();
        }
        // It is answered behind them, so they have been read by then.
        assert_eq!(logs(&serving, "127.0.0.1", 10).await.status, 200);
    }
    let grown = grown(&mut serving, before).await;
    assert!(grown < LITTLE, "60 bodies of 400 bytes took {} MiB", grown / MIB);
}

#[tokio::test]
async fn large_images_that_come_together_are_looked_at_a_few_at_a_time() {
    let mut honoken = a_service().await;
    // They wait for each other, for as long as a request may take.
    let integrator = honoken.integrator().with_client(HttpClient::with_limits(PATIENCE, 1 << 20));
    let image = drawing::png(4096, 4096, 7);
    let upload = async || integrator.tries(Method::POST, "/manage/v1/blobs", &[], image.clone()).await;
    upload().await.expect("an answer").assert_status(StatusCode::CREATED);
    let before = honoken.process().memory();
    let answers = join_all((0..100).map(|_| upload())).await;
    let grown = honoken.process().memory().saturating_sub(before);
    for answer in answers {
        let answer = answer.expect("an answer");
        if answer.status != StatusCode::CREATED {
            // A slow machine has not looked at all of them in time.
            assert_problem(&answer, 503);
        }
    }
    assert!(grown < 2 * LITTLE, "100 images took {} MiB", grown / MIB);
}
