//! The log was restored from a backup: it is shorter than what was said of it.

use honoken_event_store::{Epoch, Position};
use honoken_pushers::ledger::feeds;

use crate::world::{Engine, World, hears, is_silent, on_both_engines, ticket};

on_both_engines!(
    a_ledger_follows_the_log_back,
    a_feed_finds_that_the_log_is_another,
    a_feed_finds_that_the_log_is_shorter,
);

async fn a_ledger_follows_the_log_back(engine: Engine) {
    let world = World::new(engine, &["A", "B"]).await;
    let early = world.changes("A", "1").await.position;
    world.changes("B", "1").await;
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    hears(&mut feed, &ledger, 2).await;
    is_silent(&mut feed).await;
    feed.close().await;

    let restored = Epoch(0x0bad_beef);
    assert!(ledger.follow_log(restored, early).await.unwrap());
    assert_eq!(ledger.fed(feeds::IN_PROCESS).await.unwrap(), Some(early));
    assert_eq!(ledger.fed("sweep").await.unwrap(), Some(early));
    let woken = ledger.push_watermarks(&[ticket("A"), ticket("B")]).await.unwrap();
    assert_eq!((woken[&ticket("A")], woken[&ticket("B")]), (early, early));
    assert!(!ledger.follow_log(restored, Position(1)).await.unwrap(), "it is about this log now");
    assert_eq!(ledger.fed(feeds::IN_PROCESS).await.unwrap(), Some(early));
}

/// Nobody has told the ledger.
async fn a_feed_finds_that_the_log_is_another(engine: Engine) {
    a_feed_finds_its_place(engine, "epoch = 'ffffffff', position = 100000").await;
}

async fn a_feed_finds_that_the_log_is_shorter(engine: Engine) {
    a_feed_finds_its_place(engine, "position = 100000").await;
}

async fn a_feed_finds_its_place(engine: Engine, of_another_log: &str) {
    let world = World::new(engine, &["A"]).await;
    world.changes("A", "1").await;
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    hears(&mut feed, &ledger, 1).await;
    is_silent(&mut feed).await;
    feed.close().await;
    let mut sql = world.sql().await;
    sql.execute(&format!("update feed_checkpoint set {of_another_log}")).await;
    sql.execute("update woken set position = 100000").await;

    let mut feed = world.feed(&ledger);
    is_silent(&mut feed).await;
    assert_eq!(ledger.fed(feeds::IN_PROCESS).await.unwrap(), Some(world.head()));
    let position = world.changes("A", "2").await.position.0;
    assert_eq!(hears(&mut feed, &ledger, 1).await, [("A".to_owned(), position)]);
    is_silent(&mut feed).await;
    assert_eq!(ledger.fed("sweep").await.unwrap(), Some(world.head()));
}
