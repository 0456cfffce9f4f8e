//! From the stream to whoever works on it.

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::Config;
use honoken_pushers::feed::Feed;
use honoken_pushers::nats::stream::{CONTENT_CHANGED, STREAM};
use honoken_test_nats::Server;
use tokio::time::Instant;

use crate::world::{
    Engine, Relaying, World, connect, eventually, heard, hears, is_silent, jetstream, lands, next, soon,
};

/// A world whose relay has said one change of each ticket, and the broker.
async fn world(tickets: &[&str]) -> (World, Server, Relaying) {
    let world = World::new(Engine::Sqlite, tickets).await;
    let server = Server::start().await;
    let nats = connect(&server).await;
    for serial in tickets {
        world.changes(serial, "1").await;
    }
    let ledger = world.ledger().await;
    let relaying = Relaying::start(world.relay(&ledger, &nats));
    relaying.reaches(world.head()).await;
    (world, server, relaying)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_handed_back_comes_again() {
    let (world, server, relaying) = world(&["A"]).await;
    let (nats, ledger) = (connect(&server).await, world.ledger().await);
    let mut feed = jetstream(&nats);
    let first = next(&mut feed).await;
    assert_eq!(first.attempt, 1);
    assert!(first.request_id.as_deref().unwrap().starts_with("r-"));
    let (since, rest) = (Instant::now(), Duration::from_millis(300));
    feed.nak(first.receipt, rest).await.unwrap();
    let second = next(&mut feed).await;
    assert!(second.attempt >= 2 && since.elapsed() >= rest, "{} {:?}", second.attempt, since.elapsed());
    lands(&mut feed, &ledger, second).await;
    is_silent(&mut feed).await;
    relaying.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_message_is_handed_out_as_that_and_ends() {
    let (world, server, relaying) = world(&["A"]).await;
    let (nats, ledger) = (connect(&server).await, world.ledger().await);
    let mut feed = jetstream(&nats);
    hears(&mut feed, &ledger, 1).await;
    let garbage = format!("{{\"eventId\": {}", "x".repeat(100_000));
    nats.jetstream().publish(CONTENT_CHANGED, garbage.into()).await.unwrap().await.unwrap();
    let received = next(&mut feed).await;
    let text = received.message.unwrap_err();
    assert!(text.starts_with("{\"eventId\": xxx") && text.len() < 5000, "{text}");
    feed.term(received.receipt).await.unwrap();
    is_silent(&mut feed).await;
    let stream = nats.stream().await.unwrap();
    let consumer = stream.get_consumer::<pull::Config>("pusher").await.unwrap();
    assert_eq!(consumer.cached_info().num_ack_pending, 0);
    relaying.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_worked_on_for_long_does_not_come_again() {
    let (world, server, relaying) = world(&["A"]).await;
    let (nats, ledger) = (connect(&server).await, world.ledger().await);
    let (mut feed, mut other) = (jetstream(&nats), jetstream(&nats));
    assert!(tokio::time::timeout(Duration::from_millis(1), other.next(1)).await.is_err_and(|_| true));
    let received = next(&mut feed).await;
    feed.nak(received.receipt, Duration::ZERO).await.unwrap();
    // Half a minute is long for a test. The feeds have their consumer already.
    let stream = nats.stream().await.unwrap();
    let consumer = stream.get_consumer::<pull::Config>("pusher").await.unwrap();
    let mut config = consumer.cached_info().config.clone();
    config.ack_wait = Duration::from_millis(400);
    stream.create_consumer(config).await.unwrap();
    let received = next(&mut feed).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..30 {
        ticks.tick().await;
        feed.in_progress(&received.receipt).await.unwrap();
    }
    let info = consumer.get_info().await.unwrap();
    assert_eq!((info.num_ack_pending, info.delivered.consumer_sequence), (1, 2), "handed out twice so far");
    // Nobody speaks of it any more, as if the process had died.
    drop(received);
    let again = next(&mut feed).await;
    assert_eq!(again.attempt, 3);
    lands(&mut feed, &ledger, again).await;
    relaying.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_share_the_messages() {
    let serials: Vec<String> = (0..60).map(|serial| serial.to_string()).collect();
    let serials: Vec<&str> = serials.iter().map(String::as_str).collect();
    let (world, server, relaying) = world(&serials).await;
    let ledger = world.ledger().await;
    let (one, other) = (connect(&server).await, connect(&server).await);
    let mut feeds = [jetstream(&one), jetstream(&other)];
    let mut all = Vec::new();
    let mut shares = [0, 0];
    for turn in 0..6 {
        let feed = &mut feeds[turn % 2];
        for received in soon("messages", feed.next(10)).await.unwrap() {
            shares[turn % 2] += 1;
            all.push(lands(feed, &ledger, received).await);
        }
    }
    assert_eq!(shares, [30, 30]);
    let positions: Vec<_> = all.iter().map(|(_, position)| *position).collect();
    assert!(positions.is_sorted_by(|one, next| one < next), "{positions:?}");
    relaying.stops().await;
}

/// What there is comes at once, however much more was asked for, and what comes later when it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_more() {
    let (world, server, relaying) = world(&["A", "B", "C"]).await;
    let (nats, ledger) = (connect(&server).await, world.ledger().await);
    let mut feed = jetstream(&nats);
    let since = Instant::now();
    let mut all = Vec::new();
    while all.len() < 3 {
        for received in soon("messages", feed.next(500)).await.unwrap() {
            all.push(lands(&mut feed, &ledger, received).await);
        }
    }
    for seat in 0..20 {
        let seat = seat.to_string();
        let (heard, _) = tokio::join!(soon("a message", feed.next(500)), world.changes("A", &seat));
        for received in heard.unwrap() {
            lands(&mut feed, &ledger, received).await;
        }
    }
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    relaying.stops().await;
}

/// A call that is given up half way has not taken what it asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_given_up_loses_nothing() {
    let (world, server, relaying) = world(&["A"]).await;
    let (nats, ledger) = (connect(&server).await, world.ledger().await);
    let mut feed = jetstream(&nats);
    hears(&mut feed, &ledger, 1).await;
    let mut expected = Vec::new();
    let mut all = Vec::new();
    for seat in 0..40_u64 {
        expected.push(world.changes("A", &seat.to_string()).await.position.0);
        let given = tokio::time::timeout(Duration::from_micros(seat * 100), feed.next(2)).await;
        for received in given.into_iter().flat_map(Result::unwrap) {
            all.push(lands(&mut feed, &ledger, received).await.1);
        }
    }
    while all.len() < 40 {
        let received = next(&mut feed).await;
        assert_eq!(received.attempt, 1);
        all.push(lands(&mut feed, &ledger, received).await.1);
    }
    assert_eq!(all, expected);
    relaying.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_somebody_deletes_is_made_again() {
    let (world, server, relaying) = world(&["A"]).await;
    let (nats, ledger) = (connect(&server).await, world.ledger().await);
    let mut feed = jetstream(&nats);
    hears(&mut feed, &ledger, 1).await;
    is_silent(&mut feed).await;
    nats.stream().await.unwrap().delete_consumer("pusher").await.unwrap();
    let position = world.changes("A", "2").await.position.0;
    let mut all = Vec::new();
    while all.last().is_none_or(|(_, last)| *last < position) {
        match soon("a message", feed.next(10)).await {
            // From the beginning: the ledger knows what it has.
            Ok(received) => all.extend(received.iter().map(heard)),
            Err(fault) => assert_eq!(fault.to_string(), "asking NATS for messages"),
        }
    }
    relaying.stops().await;
}

/// Somebody has made the stream before, for other subjects and by his own limits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_there_keeps_its_limits_and_takes_what_is_said() {
    let server = Server::start().await;
    let nats = connect(&server).await;
    nats.connected().await;
    let config = Config {
        name: STREAM.into(),
        subjects: vec!["honoken.pass.*".into(), "other".into()],
        max_messages: 77,
        duplicate_window: Duration::from_secs(10),
        ..Config::default()
    };
    nats.jetstream().create_stream(config).await.unwrap();
    let stream = nats.stream().await.unwrap();
    let config = &stream.cached_info().config;
    assert_eq!(
        config.subjects,
        ["honoken.pass.*", "other", "honoken.command.pass.update_requested", "honoken.command.refused"]
    );
    assert_eq!((config.max_messages, config.max_bytes), (77, -1));
    assert_eq!(config.duplicate_window, Duration::from_mins(2));

    let open = Config { max_messages: -1, ..config.clone() };
    nats.jetstream().update_stream(open).await.unwrap();
    let stream = nats.stream().await.unwrap();
    let config = &stream.cached_info().config;
    assert!(config.max_bytes > 0 && !config.max_age.is_zero(), "{config:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_cannot_be_changed_is_told_of() {
    let server = Server::start().await;
    let nats = connect(&server).await;
    nats.connected().await;
    let stream = nats.stream().await.unwrap();
    let wrong = async_nats::jetstream::consumer::push::Config {
        durable_name: Some("pusher".into()),
        deliver_subject: "somewhere".into(),
        ..Default::default()
    };
    stream.create_consumer(wrong).await.unwrap();
    let mut feed = jetstream(&nats);
    let fault = soon("an error", feed.next(1)).await.unwrap_err();
    let why = std::error::Error::source(&fault).unwrap().to_string();
    assert!(
        why.contains("the consumer pusher of the JetStream stream HONOKEN") && why.contains("delete it"),
        "{why}"
    );
    stream.delete_consumer("pusher").await.unwrap();
    is_silent(&mut feed).await;
}

/// The connection comes back by itself, and the feed with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_goes_on_when_the_broker_is_back() {
    let (world, mut server, relaying) = world(&["A"]).await;
    let (nats, ledger) = (connect(&server).await, world.ledger().await);
    let mut feed = jetstream(&nats);
    hears(&mut feed, &ledger, 1).await;
    is_silent(&mut feed).await;
    server.stop().await;
    // A server that is stopped in order says so to whoever waits.
    match soon("the end", feed.next(1)).await {
        Ok(received) => panic!("{received:?}"),
        Err(fault) => assert_eq!(fault.to_string(), "asking NATS for messages"),
    }
    eventually("the loss", async || !nats.is_connected()).await;
    is_silent(&mut feed).await;
    server.start_again().await;
    let position = world.changes("A", "2").await.position.0;
    let mut all = hears(&mut feed, &ledger, 1).await;
    while all.last().is_none_or(|(_, last)| *last < position) {
        all.extend(hears(&mut feed, &ledger, 1).await);
    }
    relaying.stops().await;
}
