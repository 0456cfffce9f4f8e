//! Connections: how many, when, and what happens to pushes when one ends.

use std::sync::Arc;
use std::time::Duration;

use honoken_pushers::apns::{ApnsClient, InvalidOptions, Options};
use honoken_pushers::outcome::{Outcome, RetryScope};
use honoken_pushers::ports::{Apns as _, ApnsKey, Credential};
use honoken_simulator::apns::{self, Answer, FakeApns, REFUSED_STREAM, Rule};
use url::Url;

use crate::harness::{Clock, World, apns_key, assert_accepted, options_for, push};

/// Why a push is put off, and everything else of its credential with it.
#[track_caller]
fn reason_to_retry(outcome: &Outcome) -> &str {
    let Outcome::Retry { reason, scope: RetryScope::Credential, .. } = outcome else { panic!("{outcome:?}") };
    reason
}

#[tokio::test]
async fn one_connection_is_kept() {
    let world = World::new();
    for _ in 0..20 {
        assert_accepted(&[world.wake("aa").await]);
    }
    assert_accepted(&world.wake_many(150).await);
    assert_eq!(world.apns.connections().len(), 1);
    world.assert_well_behaved();
}

#[tokio::test]
async fn a_full_connection_gets_others_up_to_a_limit() {
    let world = World::with(|_| {}, |client| (client.max_streams, client.max_connections) = (10, 3));
    world.apns.latency(Duration::from_millis(30));
    assert_accepted(&world.wake_many(200).await);
    let connections = world.apns.connections();
    assert_eq!(connections.len(), 3);
    assert!(connections.iter().all(|seen| seen.most_streams <= 10), "{connections:?}");
    assert!(connections.iter().all(|seen| seen.most_streams > 1), "{connections:?}");
    world.assert_well_behaved();
    world.assert_each_woken_once(200);
}

#[tokio::test]
async fn settings_are_obeyed_and_so_are_their_changes() {
    let world = World::with(|server| server.max_streams = 3, |client| client.max_connections = 1);
    world.apns.latency(Duration::from_millis(2));
    assert_accepted(&world.wake_many(40).await);
    assert_eq!(world.apns.connections()[0].most_streams, 3);
    world.apns.max_streams(7);
    assert_accepted(&[world.wake("aa").await]);
    assert_accepted(&world.wake_many(40).await);
    assert_eq!(world.apns.connections()[0].most_streams, 7);
    world.apns.max_streams(2);
    assert_accepted(&[world.wake("aa").await]);
    world.apns.forget_received();
    assert_accepted(&world.wake_many(40).await);
    world.assert_each_woken_once(40);
    world.assert_well_behaved();
}

#[tokio::test]
async fn settings_that_change_under_pushes_in_flight_lose_none() {
    let world = World::with(|server| server.max_streams = 50, |client| client.max_connections = 1);
    world.apns.latency(Duration::from_millis(2));
    let changed = async {
        for (count, limit) in [(20, 1), (60, 100), (120, 5), (180, 0), (180, 50)] {
            world.apns.wait_for(count).await;
            world.apns.max_streams(limit);
        }
    };
    let (outcomes, ()) = tokio::join!(world.wake_many(300), changed);
    assert_accepted(&outcomes);
    world.assert_each_woken_once(300);
    world.assert_well_behaved();
}

#[tokio::test]
async fn settings_that_come_late_are_waited_for() {
    let world = World::with(|server| server.settings_delay = Duration::from_millis(100), |_| {});
    assert_accepted(&world.wake_many(30).await);
    world.assert_well_behaved();
}

#[tokio::test]
async fn what_goaway_leaves_is_sent_again_once_elsewhere() {
    let world = World::with(|_| {}, |client| client.max_connections = 1);
    assert_accepted(&[world.wake("ffffffff").await]);
    world.apns.forget_received();
    world.apns.hold();
    let disturbed = async {
        world.apns.wait_for(101).await;
        world.apns.go_away("Shutdown", 40);
        world.apns.wait_for(102).await;
        world.apns.release();
    };
    let (outcomes, ()) = tokio::join!(world.wake_many(100), disturbed);
    assert_accepted(&outcomes);
    world.assert_each_woken_once(100);
    assert_eq!(world.apns.received().len(), 140, "the 40 that were left came a second time");
    assert_eq!(world.apns.connections().len(), 2);
    world.assert_well_behaved();
}

#[tokio::test]
async fn goaway_amid_a_burst_loses_nothing_and_wakes_nobody_twice() {
    let world = World::with(|_| {}, |client| client.max_connections = 1);
    world.apns.answer(Rule::next(3, Answer::go_away("Shutdown")).behind(20).every(50));
    assert_accepted(&world.wake_many(400).await);
    world.assert_each_woken_once(400);
    assert_eq!(world.apns.connections().len(), 4);
    world.assert_well_behaved();
}

#[tokio::test]
async fn refused_streams_are_sent_again_but_not_for_ever() {
    let world = World::new();
    assert_accepted(&[world.wake("ffffffff").await]);
    world.apns.forget_received();
    world.apns.answer(Rule::next(30, Answer::reset(REFUSED_STREAM)));
    assert_accepted(&world.wake_many(100).await);
    world.assert_each_woken_once(100);
    assert_eq!(world.apns.received().len(), 130);
    assert_eq!(world.apns.connections().len(), 1, "a refused stream is no reason for another connection");

    world.apns.forget_received();
    world.apns.answer(Rule::always(Answer::reset(REFUSED_STREAM)));
    reason_to_retry(&world.wake("aa").await);
    assert_eq!(world.apns.received().len(), 4);
}

#[tokio::test]
async fn a_connection_that_is_closed_amid_pushes_is_replaced() {
    let world = World::new();
    assert_accepted(&[world.wake("ffffffff").await]);
    world.apns.forget_received();
    world.apns.hold();
    let disturbed = async {
        world.apns.wait_for(51).await;
        world.apns.close_connections();
        world.apns.wait_for(52).await;
        world.apns.release();
    };
    let (outcomes, ()) = tokio::join!(world.wake_many(50), disturbed);
    assert_accepted(&outcomes);
    let wakes = world.apns.wakes();
    assert_eq!(wakes.len(), 50);
    assert!(
        wakes.values().all(|wakes| *wakes == 2),
        "taken by the first connection, and sent again on the second"
    );
    assert_eq!(world.apns.connections().len(), 2);
}

#[tokio::test]
async fn a_push_whose_stream_is_reset_again_and_again_is_put_off() {
    let world = World::new();
    assert_accepted(&[world.wake("bb").await]);
    world.apns.answer(Rule::always(Answer::reset(2)).for_token("aa"));
    reason_to_retry(&world.wake("aa").await);
    assert_eq!(world.apns.count(), 3);
    assert_accepted(&[world.wake("bb").await]);
    assert_eq!(world.apns.connections().len(), 1);
}

#[tokio::test]
async fn a_server_that_closes_every_connection_is_not_stormed() {
    let minute = Duration::from_mins(1);
    let world =
        World::with(|_| {}, |client| (client.first_back_off, client.longest_back_off) = (minute, minute));
    world.apns.answer(Rule::always(Answer::close()));
    for outcome in world.wake_many(200).await {
        reason_to_retry(&outcome);
    }
    assert!(world.apns.connections_begun() <= 2, "{} connections", world.apns.connections_begun());
    for outcome in world.wake_many(50).await {
        let Outcome::Retry { after: Some(after), .. } = outcome else { panic!("{outcome:?}") };
        assert!(after <= minute);
    }
    assert!(world.apns.connections_begun() <= 2, "{} connections", world.apns.connections_begun());
}

/// Connections that are of use are replaced at once, but not without a limit.
#[tokio::test]
async fn connections_that_end_after_each_push_are_rationed() {
    let world = World::with(|_| {}, |client| client.connects_in_a_row = 5);
    let mut accepted = 0;
    loop {
        match world.wake("aa").await {
            Outcome::Accepted { .. } => accepted += 1,
            outcome => {
                assert_eq!(reason_to_retry(&outcome), "too many connections failed one after the other");
                break;
            }
        }
        world.apns.close_connections();
        let closed = |apns: &FakeApns| apns.connections().iter().all(|seen| seen.over);
        world.apns.wait_until("the end of the connection", closed).await;
    }
    assert_eq!((accepted, world.apns.connections_begun()), (5, 5));
}

#[tokio::test]
async fn a_server_that_was_away_is_found_again() {
    let world = World::new();
    world.apns.refuse_connections(true);
    let (first, others) = (world.wake("aa").await, world.wake_many(30).await);
    reason_to_retry(&first);
    for outcome in &others {
        reason_to_retry(outcome);
    }
    assert!(world.apns.connections_begun() <= 2, "{} connections", world.apns.connections_begun());
    world.apns.refuse_connections(false);
    let found = async {
        while !matches!(world.wake("aa").await, Outcome::Accepted { .. }) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found).await.expect("the back-off ends");
    assert!(world.apns.connections_begun() <= 4, "{} connections", world.apns.connections_begun());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_so() {
    let gone = World::new();
    let options = options_for(&gone.apns);
    let World { apns, credential, clock, .. } = gone;
    apns.stop();
    let client = ApnsClient::new(options, Arc::new(clock)).unwrap();
    let outcome = client.push(&credential, &push("aa")).await;
    assert!(reason_to_retry(&outcome).starts_with("no connection to APNs"), "{outcome:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up() {
    let patience = Duration::from_secs(1);
    let world = World::with(|_| {}, |client| (client.time_limit, client.max_connections) = (patience, 1));
    assert_accepted(&[world.wake("bb").await]);
    world.apns.answer(Rule::always(Answer::silence()).for_token("aa"));
    let outcome = world.wake("aa").await;
    assert!(reason_to_retry(&outcome).starts_with("no answer within"), "{outcome:?}");
    // The connection has answered `PING`, so it is the push that was at fault.
    world.apns.wait_until("a ping", |apns| apns.connections()[0].pings == 1).await;
    assert_accepted(&[world.wake("bb").await]);
    assert_eq!(world.apns.connections().len(), 1);
}

#[tokio::test]
async fn a_connection_that_is_dead_is_found_out_and_replaced() {
    let impatient = |client: &mut Options| {
        client.time_limit = Duration::from_secs(1);
        client.ping_limit = Duration::from_millis(50);
        client.max_connections = 1;
    };
    let world = World::with(|_| {}, impatient);
    assert_accepted(&[world.wake("bb").await]);
    world.apns.answer_pings(false);
    world.apns.answer(Rule::next(1, Answer::silence()));
    reason_to_retry(&world.wake("aa").await);
    assert_accepted(&[world.wake("aa").await]);
    let connections = world.apns.connections();
    assert_eq!(connections.len(), 2);
    assert_eq!(connections[0].pings, 1);
}

#[tokio::test]
async fn an_idle_connection_is_pinged() {
    let world = World::with(|_| {}, |client| client.ping_after = Duration::from_millis(30));
    assert_accepted(&[world.wake("aa").await]);
    world.apns.wait_until("three pings", |apns| apns.connections()[0].pings >= 3).await;
    assert_accepted(&[world.wake("aa").await]);
    assert_eq!(world.apns.connections().len(), 1);
}

#[tokio::test]
async fn a_server_of_http_1_is_refused() {
    let world = World::with(|server| server.http_1 = true, |_| {});
    reason_to_retry(&world.wake("aa").await);
    assert_eq!(world.apns.count(), 0);
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused() {
    let world = World::new();
    let stranger = apns::Authority::new().unwrap();
    let options = Options { ca_pem: Some(stranger.pem().unwrap().into_bytes()), ..options_for(&world.apns) };
    let client = ApnsClient::new(options, Arc::new(Clock::at_start())).unwrap();
    let outcome = client.push(&world.credential, &push("aa")).await;
    assert!(reason_to_retry(&outcome).starts_with("no TLS with APNs"), "{outcome:?}");
}

#[tokio::test]
async fn each_key_has_connections_of_its_own() {
    let (other, known) = apns_key("KEY7654321");
    let world = World::with(|server| server.keys.push(known), |_| {});
    assert_accepted(&[
        world.wake("aa").await,
        world.client.push(&other, &push("aa")).await,
        world.wake("aa").await,
    ]);
    let connections: Vec<u64> = world.apns.received().iter().map(|received| received.connection).collect();
    assert_eq!(connections, [1, 2, 1]);
}

#[tokio::test]
async fn closing_ends_every_connection_and_every_push() {
    let world = World::new();
    assert_accepted(&[world.wake("aa").await]);
    world.apns.hold();
    let closed = async {
        world.apns.wait_for(2).await;
        world.client.close().await;
    };
    let (outcome, ()) = tokio::join!(world.wake("aa"), closed);
    reason_to_retry(&outcome);
    reason_to_retry(&world.wake("aa").await);
    world.apns.wait_until("the end", |apns| apns.connections().iter().all(|seen| seen.over)).await;
    assert_eq!(world.apns.connections_begun(), 1);
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start() {
    let new = |options| ApnsClient::new(options, Arc::new(Clock::at_start())).map(drop);
    let plain = Options { endpoint: Url::parse("http://127.0.0.1:1").unwrap(), ..Options::default() };
    assert!(matches!(new(plain), Err(InvalidOptions::Endpoint)));
    let nobody = Options { ca_pem: Some(b"no certificate".to_vec()), ..Options::default() };
    assert!(matches!(new(nobody), Err(InvalidOptions::CertificateAuthorities)));
}

#[tokio::test]
async fn a_key_that_was_replaced_gives_up_its_connections() {
    let world = World::new();
    assert_accepted(&[world.wake("aa").await]);
    let Credential::Key(old) = &world.credential else { panic!("a key") };
    let new = Credential::Key(Arc::new(ApnsKey {
        team_id: old.team_id.clone(),
        key_id: old.key_id.clone(),
        key: old.key.clone(),
        revision: "2".to_owned(),
    }));
    assert_accepted(&[world.client.push(&new, &push("aa")).await]);
    world.apns.wait_until("the end of the first", |apns| apns.connections()[0].over).await;
    assert_accepted(&[world.client.push(&new, &push("aa")).await]);
    assert_eq!(world.apns.connections().len(), 2);
    world.assert_well_behaved();
}

/// What a server sends that speaks no HTTP/2 in spite of what TLS said, or leaves in the middle of it.
#[tokio::test]
async fn nonsense_from_a_server_ends_in_a_retry() {
    let world = World::new();
    for answer in [
        Answer::accepted().header("x", &"y".repeat(60_000)),
        Answer::refused(500, "").header("retry-after", "\u{7f}\u{80}"),
        Answer::refused(999, "x"),
        Answer::reset(0xdead),
        Answer::go_away(""),
        Answer::close(),
    ] {
        world.apns.answer(Rule::next(8, answer.clone()));
        let outcome = world.wake("aa").await;
        assert!(
            matches!(outcome, Outcome::Retry { .. } | Outcome::Refused { .. }),
            "{answer:?}: {outcome:?}"
        );
        world.apns.answer_normally();
    }
}

/// The sender rests for longer than this between two tries, so what it tries with is never told to wait instead.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_tried_again_after_five_seconds_at_the_latest() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let trusted = FakeApns::start(apns::Options::default()).expect("a server whose certificate is at hand");
    let options = Options {
        endpoint: Url::parse(&format!("https://{}", closed.expect("a port"))).expect("a URL"),
        ca_pem: Some(trusted.ca_pem().as_bytes().to_vec()),
        ..Options::default()
    };
    let client = ApnsClient::new(options, Arc::new(Clock::at_start())).expect("a client");
    let (credential, _) = apns_key("KEY1234567");
    let mut tries = 0;
    for _ in 0..20 {
        let Outcome::Retry { after: Some(after), scope: RetryScope::Credential, .. } =
            client.push(&credential, &push("aa")).await
        else {
            continue;
        };
        assert!(after <= Duration::from_secs(5), "{after:?}");
        tries += 1;
        tokio::time::advance(after).await;
    }
    assert!(tries >= 10, "{tries} of 20 were told when to try again");
}
