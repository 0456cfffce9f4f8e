//! The tables are compared with fresh ones, which nothing but the event log and the decisions of operators fills.

use honoken_domain::ids::UnixSeconds;
use honoken_domain::pass::PassCommand;
use honoken_domain::upcasters::Upcasters;
use honoken_projections::{Comparison, ReadModel, compare_with_fresh};

use crate::world::{Engine, NEVER, World, on_both_engines, ticket};

async fn compares(world: &World, model: &ReadModel, cutoff: UnixSeconds) -> (Comparison, Vec<String>) {
    let mut differences = Vec::new();
    let add = |difference| differences.push(difference);
    let upcasters = Upcasters::current();
    let compared = compare_with_fresh(&*world.log, &upcasters, model, || cutoff, |_| {}, add).await.unwrap();
    (compared, differences)
}

async fn tables_equal_fresh_ones_whatever_was_purged_skipped_and_parked(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    for pass in [ticket("A"), ticket("B"), ticket("C")] {
        world.issues(&pass, "1").await;
        world.registers("phone", &pass, "aa").await;
        world.registers("old", &pass, "bb").await;
        world.unregisters("old", &pass).await;
    }
    world.asks(&ticket("C"), PassCommand::Retire).await.unwrap();
    let cutoff = world.waits(1000);
    world.unregisters("phone", &ticket("A")).await;
    let skipped = world.changes_in_the_old_way(&ticket("A"), "2").await;
    world.changes(&ticket("A"), "3").await;
    world.changes_in_the_old_way(&ticket("B"), "2").await;
    running.reaches(world.head()).await;
    running.projector.skip(skipped, "the customer called".into()).await.unwrap();
    running.projector.purge(cutoff).await.unwrap();
    let (compared, differences) = compares(&world, &running.model, cutoff).await;
    let Comparison::Compared { position, rows } = compared else { panic!("{compared:?}") };
    assert_eq!((position, differences), (world.head(), Vec::new()));
    assert!(rows > 10, "{rows}");

    // With an earlier cutoff, the rows that were purged are missing.
    let (_, differences) = compares(&world, &running.model, NEVER).await;
    assert_eq!(differences.len(), 4, "{differences:#?}");
    assert!(differences.iter().all(|difference| difference.contains("lacks a row: wallet_")));
    running.stops().await;
}

async fn tables_that_are_behind_are_compared_as_far_as_they_are(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let issued = world.issues(&ticket("A"), "1").await;
    running.reaches(issued.position).await;
    let model = running.model.clone();
    running.stops().await;
    world.changes(&ticket("A"), "2").await;
    let (compared, differences) = compares(&world, &model, NEVER).await;
    assert!(matches!(compared, Comparison::Compared { position, .. } if position == issued.position));
    assert!(differences.is_empty(), "{differences:?}");

    world.execute("update wallet_pass_content set content = '{\"seat\":\"9\"}'").await;
    world.execute("update projection_checkpoint set position = position + 7").await;
    let (_, differences) = compares(&world, &model, NEVER).await;
    assert!(differences[0].contains("and the event log ends at"), "{differences:?}");
    assert!(
        differences.iter().any(|difference| difference.contains("another content, words than")),
        "{differences:?}"
    );
    world.execute("update projection_checkpoint set epoch = 'ffffffff'").await;
    assert_eq!(compares(&world, &model, NEVER).await.0, Comparison::Foreign);
}

on_both_engines! {
    tables_equal_fresh_ones_whatever_was_purged_skipped_and_parked,
    tables_that_are_behind_are_compared_as_far_as_they_are,
}
