//! What one of several processes does at a time: whose turn it is, whoever dies or is frozen, and whatever the server's clock is set to.

use honoken_pushers::ledger::feeds::{COMMANDS, CheckpointError};

use crate::world::{EPOCH, Engine, World, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_the_turn_of_one_until_it_gives_it_back() {
    let world = World::new(Engine::Postgres, &[]).await;
    let (one, other) = (world.ledger_of("one").await, world.ledger_of("other").await);
    let (mut one, mut other) = (one.checkpoint(COMMANDS), other.checkpoint(COMMANDS));
    assert!(one.take_turn(EPOCH).await.unwrap());
    assert!(!other.take_turn(EPOCH).await.unwrap());
    one.hold().await.unwrap();
    one.release().await;
    assert!(other.take_turn(EPOCH).await.unwrap());
    assert!(!one.take_turn(EPOCH).await.unwrap());
    // As `kill -9` would have it: the session ends.
    drop(other);
    eventually("the turn of the other", async || one.take_turn(EPOCH).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_frozen_loses_the_turn_although_the_clock_of_the_server_was_set_back() {
    let world = World::new(Engine::Postgres, &[]).await;
    let (one, other) = (world.ledger_of("one").await, world.ledger_of("other").await);
    let (mut frozen, mut other) = (one.checkpoint(COMMANDS), other.checkpoint(COMMANDS));
    assert!(frozen.take_turn(EPOCH).await.unwrap());
    let set_back = "update feed_checkpoint set leased_until = leased_until + interval '3 hours'";
    world.sql().await.execute(set_back).await;
    assert!(!other.take_turn(EPOCH).await.unwrap(), "it may be alive");
    eventually("the turn of the other", async || other.take_turn(EPOCH).await.unwrap()).await;
    assert!(matches!(frozen.hold().await, Err(CheckpointError::Superseded)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_alive_keeps_the_turn_when_the_clock_of_the_server_is_set_forward() {
    let world = World::new(Engine::Postgres, &[]).await;
    let (one, other) = (world.ledger_of("one").await, world.ledger_of("other").await);
    let (mut one, mut other) = (one.checkpoint(COMMANDS), other.checkpoint(COMMANDS));
    assert!(one.take_turn(EPOCH).await.unwrap());
    let set_forward = "update feed_checkpoint set leased_until = leased_until - interval '3 hours'";
    world.sql().await.execute(set_forward).await;
    assert!(!other.take_turn(EPOCH).await.unwrap(), "its holder has had no time to renew it");
    one.hold().await.unwrap();
    assert!(!other.take_turn(EPOCH).await.unwrap());
}
