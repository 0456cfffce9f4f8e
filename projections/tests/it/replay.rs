//! Applying an event twice changes nothing.

use std::sync::Arc;

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;

use honoken_domain::ids::PassId;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Append, AppendError, Epoch, EventLog, Log, LogError, Position, RecordedEvent};
use tokio::sync::watch;

use crate::history::history;
use crate::world::{Engine, Running, World, assert_same, on_both_engines, ticket};

/// Sets the checkpoint back to each of these and lets the projector go over the same events again.
async fn changes_nothing_when_repeated_from(world: &World, positions: impl IntoIterator<Item = u64>) {
    let running = world.projects().await;
    running.reaches(world.head()).await;
    running.stops().await;
    let before = world.all_tables().await;
    for position in positions {
        world.set_checkpoint(position).await;
        // Asked before the projector starts: it may have gone on as soon as it is there.
        let kept = world.column("select cast(position as text) from projection_checkpoint").await;
        assert_eq!(kept, [position.to_string()], "it does go back");
        let running = world.projects().await;
        running.reaches(world.head()).await;
        running.stops().await;
        assert_same(&world.all_tables().await, &before);
    }
}

/// A log that ends earlier for whoever reads it, so that a repetition stops half way.
struct Shortened {
    log: Arc<Log>,
    end: u64,
}

impl EventLog for Shortened {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        self.log.append(append).await
    }

    async fn load<A: Aggregate>(&self, id: &str, after: u64) -> Result<Vec<SerializedEvent>, LogError> {
        self.log.load::<A>(id, after).await
    }

    async fn history<A: Aggregate>(
        &self,
        id: &str,
        after_sequence: u64,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        self.log.history::<A>(id, after_sequence, limit).await
    }

    async fn position_of<A: Aggregate>(&self, id: &str, sequence: u64) -> Result<Option<Position>, LogError> {
        self.log.position_of::<A>(id, sequence).await
    }

    async fn read_after(&self, position: Position, limit: u32) -> Result<Vec<RecordedEvent>, LogError> {
        let events = self.log.read_after(position, limit).await?;
        Ok(events.into_iter().filter(|event| event.position.0 <= self.end).collect())
    }

    fn head(&self) -> watch::Receiver<Position> {
        watch::channel(self.log.head().borrow().to_owned()).1
    }

    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }
}

/// Repeats the events between two positions and stops there. No row may have gone back in time meanwhile: rows of devices that left stay, and remember
/// what was applied.
async fn goes_back_nowhere_between(world: &World, begin: u64, end: u64) {
    let before = world.tables().await;
    world.set_checkpoint(begin).await;
    let log = Arc::new(Shortened { log: world.log.clone(), end });
    let running = Running::start(log, world.stores.location(), Upcasters::current()).await;
    running.reaches(Position(end)).await;
    running.stops().await;
    let meanwhile = world.tables().await;
    assert_same(&meanwhile, &before);

    let running = world.projects().await;
    running.reaches(world.head()).await;
    running.stops().await;
    assert_same(&world.tables().await, &before);
}

async fn no_row_goes_back_in_time_while_events_are_applied_again(engine: Engine) {
    for seed in 50..53 {
        let world = World::new(engine).await;
        world.lives_through(&history(seed, 120)).await;
        let head = world.head().0;
        let running = world.projects().await;
        running.reaches(world.head()).await;
        running.stops().await;
        for end in (1..head).step_by(7) {
            goes_back_nowhere_between(&world, end * 5 % head % end, end).await;
        }
    }
}

async fn events_of_every_aggregate_can_be_applied_again_from_any_position(engine: Engine) {
    for seed in 20..23 {
        let world = World::new(engine).await;
        world.lives_through(&history(seed, 120)).await;
        let head = world.head().0;
        assert!(head > 40);
        let positions = (0..12).map(|step| (step * 37 + u64::from(seed) * 11) % head);
        changes_nothing_when_repeated_from(&world, [0, head - 1].into_iter().chain(positions)).await;
    }
}

/// Everything a phone with two passes can do in four steps, each history on a phone of its own, all interleaved.
async fn every_short_history_of_a_registration_can_be_applied_again(engine: Engine) {
    let world = Arc::new(World::new(engine).await);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..6_u32.pow(4) {
        let world = world.clone();
        tasks.spawn(async move {
            for step in 0..4 {
                registration_step(&world, &format!("phone-{number}"), number / 6_u32.pow(step) % 6).await;
            }
        });
    }
    tasks.join_all().await;
    let head = world.head().0;
    let positions = (0..6).map(|step| step * head / 6);
    changes_nothing_when_repeated_from(&world, positions).await;
    for step in 1..6 {
        goes_back_nowhere_between(&world, (step - 1) * head / 7, step * head / 6).await;
    }
    assert_same(&world.tables().await, &world.projected_anew().await);
}

async fn registration_step(world: &World, phone: &str, kind: u32) {
    let pass: PassId = ticket(if kind.is_multiple_of(2) { "A" } else { "B" });
    match kind / 2 {
        0 => drop(world.registers(phone, &pass, "aa").await),
        1 => drop(world.registers(phone, &pass, "bb").await),
        _ => drop(world.unregisters(phone, &pass).await),
    }
}

async fn going_over_the_same_events_again_leaves_what_is_parked_as_it_was(engine: Engine) {
    let world = World::new(engine).await;
    world.issues(&ticket("A"), "1").await;
    world.changes(&ticket("A"), "2").await;
    let broken = world.changes_in_the_old_way(&ticket("A"), "3").await;
    world.changes(&ticket("A"), "4").await;
    changes_nothing_when_repeated_from(&world, 0..world.head().0).await;

    let running = world.projects_as(crate::world::newer_release()).await;
    assert_eq!(running.parked().await, [(broken.0, false), (broken.0 + 1, true)]);
    running.projector.retry(broken).await.unwrap();
    assert_eq!(running.parked().await, []);
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew_as(crate::world::newer_release()).await);
}

async fn going_over_the_same_events_again_leaves_out_what_was_skipped(engine: Engine) {
    let world = World::new(engine).await;
    world.issues(&ticket("A"), "1").await;
    let broken = world.changes_in_the_old_way(&ticket("A"), "2").await;
    let running = world.projects().await;
    running.reaches(broken).await;
    running.projector.skip(broken, "lost for good".into()).await.unwrap();
    running.stops().await;
    changes_nothing_when_repeated_from(&world, 0..world.head().0).await;
    assert_eq!(
        world.column("select reason from skipped_event").await,
        ["lost for good"],
        "and the reason is still known"
    );
}

on_both_engines! {
    no_row_goes_back_in_time_while_events_are_applied_again,
    events_of_every_aggregate_can_be_applied_again_from_any_position,
    every_short_history_of_a_registration_can_be_applied_again,
    going_over_the_same_events_again_leaves_what_is_parked_as_it_was,
    going_over_the_same_events_again_leaves_out_what_was_skipped,
}
