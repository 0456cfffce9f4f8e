//! A server that goes away under a running projector, and comes back.

use honoken_domain::pass::PassCommand;
use honoken_event_store::DispatchError;
use honoken_test_postgres::Cluster;

use crate::history::history;
use crate::world::{World, assert_same, content, soon, ticket};

/// Changes the pass until the server takes it.
async fn changes_at_last(world: &World, seat: &str) {
    soon("a change", async {
        loop {
            let command = PassCommand::ReplaceContent { content: content(seat) };
            match world.asks(&ticket("A"), command).await {
                Ok(_) => break,
                Err(DispatchError::Log(_) | DispatchError::OutcomeUnknown(_)) => {}
                Err(fault) => panic!("{fault}"),
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_stopped_or_killed_is_taken_up_again() {
    let mut cluster = Cluster::start().await;
    let world = World::in_cluster(&cluster).await;
    world.issues(&ticket("A"), "0").await;
    let running = world.projects().await;
    let other = world.projects().await;
    for (round, kills) in [(1, true), (2, false), (3, true)] {
        world.lives_through(&history(round, 30)).await;
        // The projection is in the middle of it, or was a moment ago.
        if kills {
            cluster.kill().await;
        } else {
            cluster.stop().await;
        }
        let outage = world.asks(&ticket("A"), PassCommand::Void).await;
        assert!(outage.is_err(), "the server is away");
        cluster.start_again().await;
        changes_at_last(&world, &round.to_string()).await;
        running.reaches(world.head()).await;
        other.reaches(world.head()).await;
    }
    running.stops().await;
    other.stops().await;
    assert_same(&world.tables().await, &world.projected_anew().await);
}
