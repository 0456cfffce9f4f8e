//! What never arrived, and what could not be said when it was due.

use honoken_event_store::Position;
use honoken_projections::Progress;
use honoken_pushers::feed::in_process::InProcessFeed;
use honoken_pushers::ledger::feeds;
use honoken_pushers::source::Source;

use crate::world::{
    EPOCH, Engine, Relaying, SWEEP, World, connect, eventually, hears, is_silent, jetstream, lands,
    newer_release, next, on_both_engines, ticket,
};

on_both_engines!(
    what_another_feed_said_and_nobody_heard_is_said,
    a_pass_that_stood_still_is_said_when_it_moves,
    a_pass_that_moves_by_some_events_only_is_said_as_far,
    what_an_operator_skips_says_nothing,
    what_is_held_back_stays_so_while_tables_are_filled_again,
    a_relayed_pass_that_stood_still_is_said_when_it_moves,
    a_deleted_stream_loses_nothing,
    what_the_broker_loses_is_said_again,
    what_is_on_its_way_is_left_alone,
);

/// From NATS to none: the relay's checkpoint is at the end of the log, and most of it was lost with the broker.
async fn what_another_feed_said_and_nobody_heard_is_said(engine: Engine) {
    let world = World::new(engine, &["A", "B", "C"]).await;
    world.changes("A", "1").await;
    let arrived = world.changes("B", "1").await.position;
    let newest = world.changes("A", "2").await.position.0;
    let ledger = world.ledger().await;
    ledger.enqueue(&[], &[(ticket("B"), arrived)], 1).await.unwrap();
    let relay = format!(
        "insert into feed_checkpoint (feed, epoch, position) values ('relay', '{EPOCH}', {})",
        world.head()
    );
    world.sql().await.execute(&relay).await;

    let mut feed = world.feed(&ledger);
    let received = next(&mut feed).await;
    // Not a second time while it is worked on.
    is_silent(&mut feed).await;
    assert_eq!(lands(&mut feed, &ledger, received).await, ("A".to_owned(), newest));
    is_silent(&mut feed).await;
    assert_eq!(feed.figures().borrow().swept, 1);
    assert_eq!(ledger.fed("sweep").await.unwrap(), Some(world.head()));
}

async fn a_pass_that_stood_still_is_said_when_it_moves(engine: Engine) {
    let world = World::new(engine, &["A", "B"]).await;
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    let parked = world.changes_in_the_old_way("A").await;
    let other = world.changes("B", "1").await.position.0;
    assert_eq!(hears(&mut feed, &ledger, 1).await, [("B".to_owned(), other)]);
    is_silent(&mut feed).await;
    drop(feed);
    ledger.close().await;

    // It is known behind the checkpoint, and by the next process.
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    is_silent(&mut feed).await;
    world.newer_release_retries(parked).await;
    assert_eq!(hears(&mut feed, &ledger, 1).await, [("A".to_owned(), parked.0)]);
    is_silent(&mut feed).await;
    assert_eq!(count(&world, "held_back_pass").await, 0);
}

async fn a_pass_that_moves_by_some_events_only_is_said_as_far(engine: Engine) {
    let world = World::new(engine, &["A"]).await;
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    let first = world.changes_in_the_old_way("A").await;
    is_silent(&mut feed).await;
    // Not even a newer release understands this one.
    let second = world.records("A", "7", "nothing", &serde_json::json!({})).await;
    is_silent(&mut feed).await;
    world.newer_release_retries(first).await;
    assert_eq!(hears(&mut feed, &ledger, 1).await, [("A".to_owned(), first.0)]);
    is_silent(&mut feed).await;
    world.skips(second).await;
    is_silent(&mut feed).await;
    assert_eq!(count(&world, "held_back_pass").await, 0);
}

async fn what_an_operator_skips_says_nothing(engine: Engine) {
    let world = World::new(engine, &["A"]).await;
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    let before = world.changes("A", "1").await.position.0;
    let parked = world.changes_in_the_old_way("A").await;
    assert_eq!(hears(&mut feed, &ledger, 1).await, [("A".to_owned(), before)]);
    is_silent(&mut feed).await;
    world.skips(parked).await;
    is_silent(&mut feed).await;
    assert_eq!(count(&world, "held_back_pass").await, 0);
    let behind = world.changes("A", "2").await.position.0;
    assert_eq!(hears(&mut feed, &ledger, 1).await, [("A".to_owned(), behind)]);
}

/// The file of the read model was deleted, say: nothing is parked in it, and nothing to be seen.
async fn what_is_held_back_stays_so_while_tables_are_filled_again(engine: Engine) {
    let world = World::new(engine, &["A"]).await;
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    let parked = world.changes_in_the_old_way("A").await;
    is_silent(&mut feed).await;
    feed.close().await;
    world.sql().await.execute("update feed_checkpoint set position = 0 where feed = 'sweep'").await;
    let (tell, progress) = tokio::sync::watch::channel(Progress::default());
    let source = Source::new(world.log.clone(), newer_release(), world.model.clone(), progress);
    let mut feed = InProcessFeed::new(source, ledger.clone(), SWEEP);
    is_silent(&mut feed).await;
    assert_eq!(ledger.fed("sweep").await.unwrap(), Some(Position(0)));
    assert_eq!(count(&world, "held_back_pass").await, 1);
    world.newer_release_retries(parked).await;
    tell.send_modify(|progress| progress.position = world.head());
    assert_eq!(hears(&mut feed, &ledger, 1).await, [("A".to_owned(), parked.0)]);
}

async fn a_relayed_pass_that_stood_still_is_said_when_it_moves(engine: Engine) {
    let world = World::new(engine, &["A", "B"]).await;
    let server = honoken_test_nats::Server::start().await;
    let nats = connect(&server).await;
    let ledger = world.ledger().await;
    let relaying = Relaying::start(world.relay(&ledger, &nats));
    let mut feed = jetstream(&nats);
    let parked = world.changes_in_the_old_way("A").await;
    let other = world.changes("B", "1").await.position.0;
    assert_eq!(hears(&mut feed, &ledger, 1).await, [("B".to_owned(), other)]);
    is_silent(&mut feed).await;
    world.newer_release_retries(parked).await;
    let received = next(&mut feed).await;
    // On its way, it is not said a second time.
    is_silent(&mut feed).await;
    assert_eq!(lands(&mut feed, &ledger, received).await, ("A".to_owned(), parked.0));
    eventually("the end of its being held back", async || count(&world, "held_back_pass").await == 0).await;
    relaying.stops().await;
}

/// Nobody has heard of two changes when somebody deletes the stream, with the consumer.
async fn a_deleted_stream_loses_nothing(engine: Engine) {
    let world = World::new(engine, &["A", "B", "C"]).await;
    let server = honoken_test_nats::Server::start().await;
    let nats = connect(&server).await;
    let ledger = world.ledger().await;
    let relaying = Relaying::start(world.relay(&ledger, &nats));
    let mut feed = jetstream(&nats);
    world.changes("A", "1").await;
    hears(&mut feed, &ledger, 1).await;
    let second = world.changes("B", "1").await.position;
    let third = world.changes("C", "1").await.position;
    relaying.reaches(third).await;
    let taken = next(&mut feed).await;
    assert_eq!(crate::world::heard(&taken).1, second.0);
    nats.jetstream().delete_stream("HONOKEN").await.unwrap();
    drop(taken);

    let mut heard = Vec::new();
    while heard.len() < 2 {
        // The feed says once that its consumer is gone, and then has another.
        match crate::world::soon("a message", honoken_pushers::feed::Feed::next(&mut feed, 10)).await {
            Ok(all) => {
                for received in all {
                    heard.push(lands(&mut feed, &ledger, received).await);
                }
            }
            Err(fault) => assert_eq!(fault.to_string(), "asking NATS for messages"),
        }
    }
    heard.sort();
    assert_eq!(heard, [("B".to_owned(), second.0), ("C".to_owned(), third.0)]);
    assert_eq!(relaying.figures.borrow().swept, 2);
    eventually("the end of the sweep", async || ledger.fed("sweep").await.unwrap() == Some(world.head()))
        .await;
    let fourth = world.changes("A", "2").await.position.0;
    assert_eq!(hears(&mut feed, &ledger, 1).await, [("A".to_owned(), fourth)]);
    is_silent(&mut feed).await;
    relaying.stops().await;
}

/// As a broker does whose machine died: what it acknowledged is not there.
async fn what_the_broker_loses_is_said_again(engine: Engine) {
    let world = World::new(engine, &["A", "B"]).await;
    let server = honoken_test_nats::Server::start().await;
    let nats = connect(&server).await;
    let ledger = world.ledger().await;
    let relaying = Relaying::start(world.relay(&ledger, &nats));
    let lost = world.changes("A", "1").await.position;
    let kept = world.changes("B", "1").await.position;
    relaying.reaches(kept).await;
    let stream = nats.stream().await.unwrap();
    assert!(stream.delete_message(1).await.unwrap());

    let mut feed = jetstream(&nats);
    let mut heard = hears(&mut feed, &ledger, 2).await;
    heard.sort();
    assert_eq!(heard, [("A".to_owned(), lost.0), ("B".to_owned(), kept.0)]);
    is_silent(&mut feed).await;
    relaying.stops().await;
}

/// However long it takes: the stream must not fill with repetitions while nobody listens, or slowly.
async fn what_is_on_its_way_is_left_alone(engine: Engine) {
    let world = World::new(engine, &["A", "B"]).await;
    let server = honoken_test_nats::Server::start().await;
    let nats = connect(&server).await;
    let ledger = world.ledger().await;
    let relaying = Relaying::start(world.relay(&ledger, &nats));
    world.changes("A", "1").await;
    let last = world.changes("B", "1").await.position;
    relaying.reaches(last).await;
    let mut feed = jetstream(&nats);
    let first = next(&mut feed).await;
    is_silent_but_for_what_waits(&nats, 2).await;
    lands(&mut feed, &ledger, first).await;
    is_silent_but_for_what_waits(&nats, 2).await;
    hears(&mut feed, &ledger, 1).await;
    eventually("the end of the sweep", async || ledger.fed("sweep").await.unwrap() == Some(Position(last.0)))
        .await;
    is_silent_but_for_what_waits(&nats, 2).await;
    assert_eq!(ledger.fed(feeds::RELAY).await.unwrap(), Some(world.head()));
    assert_eq!(relaying.figures.borrow().swept, 0);
    relaying.stops().await;
}

/// In the time of several sweeps nothing is added to the stream.
async fn is_silent_but_for_what_waits(nats: &honoken_pushers::nats::Nats, messages: u64) {
    let mut ticks = tokio::time::interval(crate::world::SWEEP);
    for _ in 0..8 {
        ticks.tick().await;
        let stream = nats.stream().await.unwrap();
        assert_eq!(stream.cached_info().state.last_sequence, messages);
    }
}

async fn count(world: &World, table: &str) -> i64 {
    world.sql().await.count(table).await
}
