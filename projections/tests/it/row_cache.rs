//! Rows in memory are never older than the table.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use honoken_domain::ids::PassId;
use honoken_projections::ReadModel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::filling::rebuilds;
use crate::world::{Engine, LIMIT, NEVER, World, eventually, on_both_engines, ticket};

async fn read_at(model: &ReadModel, id: &PassId) -> i64 {
    model.pass_row(id).await.unwrap().unwrap().updated_at.0
}

/// The time of a state only grows, so it tells which of two is older.
async fn a_read_that_begins_after_an_answer_never_shows_an_older_state(engine: Engine) {
    const CHANGES: usize = 200;
    let world = World::new(engine).await;
    let running = world.projects().await;
    let passes = Arc::new(["A", "B", "C"].map(|serial| (ticket(serial), AtomicI64::new(0))));
    for (id, answered) in &*passes {
        let issued = world.issues(id, "0").await;
        assert!(running.projector.shows(&issued, LIMIT).await);
        answered.store(issued.aggregate.updated_at().unwrap().0, Ordering::SeqCst);
    }
    let over = CancellationToken::new();
    let mut readers = JoinSet::new();
    for reader in 0..6 {
        let (model, passes, over) = (running.model.clone(), passes.clone(), over.clone());
        readers.spawn(async move {
            let (id, answered) = &passes[reader % passes.len()];
            let (mut reads, mut last) = (0, 0);
            while !over.is_cancelled() {
                let at_least = answered.load(Ordering::SeqCst).max(last);
                last = read_at(&model, id).await;
                assert!(last >= at_least, "the state of {last} was shown after that of {at_least}");
                reads += 1;
                tokio::task::yield_now().await;
            }
            reads
        });
    }
    for change in 1..=CHANGES {
        let (id, answered) = &passes[change % passes.len()];
        let changed = world.changes(id, &change.to_string()).await;
        assert!(running.projector.shows(&changed, LIMIT).await);
        answered.store(changed.aggregate.updated_at().unwrap().0, Ordering::SeqCst);
    }
    over.cancel();
    let reads = readers.join_all().await;
    assert!(reads.iter().all(|reads| *reads > 0), "{reads:?}");
    for (id, answered) in &*passes {
        assert_eq!(read_at(&running.model, id).await, answered.load(Ordering::SeqCst));
    }
}

/// Somebody who changes the table behind the projector's back, which nobody does, shows where a row comes from.
async fn an_unchanged_row_is_read_once_where_one_process_writes(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let a = ticket("A");
    let issued = world.issues(&a, "1").await;
    assert!(running.projector.shows(&issued, LIMIT).await);
    let mut forged = issued.aggregate.updated_at().unwrap().0;
    let mut is_read_again = async || {
        let before = read_at(&running.model, &a).await;
        forged += 1;
        world.execute(&format!("update wallet_pass set updated_at = {forged}")).await;
        read_at(&running.model, &a).await != before
    };
    match engine {
        Engine::Postgres => assert!(is_read_again().await),
        // Rows are kept from the end of the projector's first turn on.
        Engine::Sqlite => eventually("a row in memory", async || !is_read_again().await).await,
    }

    let changed = world.changes(&a, "2").await;
    assert!(running.projector.shows(&changed, LIMIT).await);
    assert_eq!(read_at(&running.model, &a).await, changed.aggregate.updated_at().unwrap().0);
}

async fn rows_of_a_former_copy_are_not_kept(engine: Engine) {
    let world = World::new(engine).await;
    let a = ticket("A");
    let issued = world.issues(&a, "1").await;
    let running = world.projects().await;
    assert!(running.projector.shows(&issued, LIMIT).await);
    world.execute("update wallet_pass set updated_at = 1").await;
    assert_eq!(read_at(&running.model, &a).await, 1);
    rebuilds(&running.model, &world.log, NEVER).await;
    assert_eq!(read_at(&running.model, &a).await, issued.aggregate.updated_at().unwrap().0);
    running.stops().await;
}

on_both_engines!(
    a_read_that_begins_after_an_answer_never_shows_an_older_state,
    an_unchanged_row_is_read_once_where_one_process_writes,
    rows_of_a_former_copy_are_not_kept,
);
