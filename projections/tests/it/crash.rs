//! Whatever ends the projector, the tables become what the log says.

use std::sync::Arc;

use crate::history::history;
use crate::world::{Engine, World, assert_same, on_both_engines, soon, ticket};

/// Kills a projector every few commands, while they run: at once, or after it has come a little further.
async fn lives_through_crashes(engine: Engine, seed: u8) -> World {
    let world = Arc::new(World::new(engine).await);
    let history: Arc<[_]> = history(seed, 200).into();
    let (mut begin, mut deaths) = (0, 0_usize);
    while begin < history.len() {
        let end = history.len().min(begin + 1 + deaths * 5 % 9);
        let running = world.projects().await;
        let mut commands = tokio::spawn({
            let (world, history) = (world.clone(), history.clone());
            async move { world.lives_through(&history[begin..end]).await }
        });
        let target = running.progress().position.0 + ((deaths * 7 + usize::from(seed)) % 13) as u64;
        let mut progress = running.projector.progress();
        let finished = tokio::select! {
            _ = soon("progress", progress.wait_for(|progress| progress.position.0 >= target)) => None,
            outcome = &mut commands => Some(outcome),
        };
        running.dies().await;
        match finished {
            Some(outcome) => outcome.unwrap(),
            None => commands.await.unwrap(),
        }
        (begin, deaths) = (end, deaths + 1);
    }
    assert!(deaths > 20, "{deaths} crashes prove little");
    Arc::into_inner(world).unwrap()
}

async fn a_projector_that_dies_at_any_point_is_made_up_for_by_the_next(engine: Engine) {
    for seed in 0..4 {
        let world = lives_through_crashes(engine, seed).await;
        let running = world.projects().await;
        running.reaches(world.head()).await;
        running.stops().await;
        let tables = world.tables().await;
        assert!(tables["wallet_pass"].len() > 1 && tables["wallet_registration"].len() > 1, "{tables:?}");
        assert_same(&tables, &world.projected_anew().await);
    }
}

async fn a_read_model_that_was_thrown_away_comes_back_the_same(engine: Engine) {
    let world = World::new(engine).await;
    world.lives_through(&history(9, 100)).await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    running.stops().await;
    let before = world.tables().await;
    world.throws_read_model_away().await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    running.stops().await;
    assert_same(&world.tables().await, &before);
}

async fn a_projector_that_is_stopped_in_the_middle_of_the_log_ends_soon(engine: Engine) {
    let world = World::new(engine).await;
    world.lives_through(&history(3, 100)).await;
    let running = world.projects().await;
    running.stops().await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew().await);
}

/// Following on from its checkpoint, a projector would never see what the restored log has in the places of the events that it lost, would
/// mix two logs, or would leave tables with the meaning that they had.
async fn a_read_model_that_does_not_fit_the_log_is_filled_again(engine: Engine) {
    let world = World::new(engine).await;
    world.issues(&ticket("A"), "1").await;
    for (unfit, what) in [
        ("position = position + 1", "ahead of the log"),
        ("epoch = 'ffffffff'", "of another log"),
        ("version = version - 1", "under another meaning"),
    ] {
        let running = world.projects().await;
        running.reaches(world.head()).await;
        running.stops().await;
        world.execute("update wallet_pass set etag = 'left over'").await;
        world.execute(&format!("update projection_checkpoint set {unfit}")).await;
        let running = world.projects().await;
        running.reaches(world.head()).await;
        running.stops().await;
        let tables = world.tables().await;
        assert_same(&tables, &world.projected_anew().await);
        assert!(!format!("{tables:?}").contains("left over"), "{what}");
    }
}

async fn a_read_model_that_fits_the_log_is_left_as_it_is(engine: Engine) {
    let world = World::new(engine).await;
    world.issues(&ticket("A"), "1").await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    running.stops().await;
    world.execute("update wallet_pass set etag = 'left over'").await;
    world.projects().await.stops().await;
    assert!(format!("{:?}", world.tables().await).contains("left over"));
}

on_both_engines! {
    a_read_model_that_was_thrown_away_comes_back_the_same,
    a_projector_that_dies_at_any_point_is_made_up_for_by_the_next,
    a_projector_that_is_stopped_in_the_middle_of_the_log_ends_soon,
    a_read_model_that_does_not_fit_the_log_is_filled_again,
    a_read_model_that_fits_the_log_is_left_as_it_is,
}
