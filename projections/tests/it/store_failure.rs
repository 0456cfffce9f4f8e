//! A store that is away for a while costs time and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;

use honoken_domain::pass::{Pass, PassCommand};
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{
    Append, AppendError, DispatchError, Epoch, EventLog, Log, LogError, Position, RecordedEvent,
};
use honoken_projections::OperationError;
use tokio::sync::watch;

use crate::history::history;
use crate::world::{
    Engine, LIMIT, Running, World, assert_same, content, newer_release, on_both_engines, ticket,
};

/// Long enough for the projector to have tried; a test that relies on it can only pass too easily, never fail without cause.
const A_MOMENT: Duration = Duration::from_millis(200);

async fn a_read_model_that_is_locked_by_somebody_else_is_waited_for(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    let mut other = world.sql().await;
    other
        .execute(match engine {
            Engine::Sqlite => "begin exclusive",
            Engine::Postgres => "begin; lock table wallet_pass in exclusive mode",
        })
        .await;
    let issued = world.issues(&ticket("A"), "1").await;
    assert!(!running.projector.shows(&issued, A_MOMENT).await);
    assert_eq!(running.model.pass_row(&ticket("A")).await.unwrap(), None, "readers are not held up");
    other.execute("rollback").await;
    assert!(running.projector.shows(&issued, LIMIT).await);
    running.stops().await;
}

async fn a_read_model_that_cannot_be_written_stalls_the_projection_and_parks_nothing(engine: Engine) {
    let world = World::new(engine).await;
    world.lives_through(&history(40, 40)).await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    let before = world.head();
    world.execute("alter table wallet_pass rename to wallet_pass_away").await;
    world.issues(&ticket("new"), "1").await;
    world.lives_through(&history(41, 40)).await;
    let last = world.changes(&ticket("new"), "2").await;
    assert!(!running.projector.shows(&last, A_MOMENT).await);
    assert_eq!(running.progress().position, before, "a batch is applied as a whole or not at all");
    assert_eq!(running.parked().await, [], "the event is not to blame");
    world.execute("alter table wallet_pass_away rename to wallet_pass").await;
    assert!(running.projector.shows(&last, LIMIT).await);
    assert_eq!(running.parked().await, []);
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew().await);
}

async fn a_projector_that_stands_still_can_be_stopped(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    world.execute("alter table wallet_pass rename to wallet_pass_away").await;
    let issued = world.issues(&ticket("A"), "1").await;
    assert!(!running.projector.shows(&issued, A_MOMENT).await);
    running.stops().await;
}

/// The driver cannot say how far a failed commit came. Here the parked event was resumed, and the runner was not told.
async fn after_a_failure_the_projector_believes_the_file_and_not_its_memory(engine: Engine) {
    let world = World::new(engine).await;
    world.issues(&ticket("A"), "1").await;
    let broken = world.changes_in_the_old_way(&ticket("A"), "2").await;
    let running = world.projects().await;
    running.reaches(broken).await;
    assert!(!running.progress().parked.is_empty());

    world.execute("alter table wallet_pass rename to wallet_pass_away").await;
    let other = world.issues(&ticket("B"), "1").await;
    assert!(!running.projector.shows(&other, A_MOMENT).await);
    world.execute("delete from parked_event").await;
    world.execute("alter table wallet_pass_away rename to wallet_pass").await;

    let last = world.changes(&ticket("A"), "3").await;
    running.reaches(last.position).await;
    assert_eq!(running.parked().await, [], "it waits for nothing, so nobody could ever retry or skip it");
    assert!(running.projector.shows(&last, LIMIT).await);
    assert_eq!(running.model.pass_document(&ticket("A")).await.unwrap().unwrap().content, content("3"));
    running.stops().await;
}

async fn a_log_that_fails_for_a_while_keeps_what_it_acknowledged_and_nothing_else(engine: Engine) {
    let world = World::new(engine).await;
    world.issues(&ticket("A"), "1").await;
    let mut acknowledged = vec!["1".to_owned()];
    let mut refused = 0;
    let mut other = world.log_sql().await;
    for turn in 2..10 {
        let (from, to) = if turn % 2 == 0 { ("events", "away") } else { ("away", "events") };
        other.execute(&format!("alter table {from} rename to {to}")).await;
        let seat = turn.to_string();
        match world.asks(&ticket("A"), PassCommand::ReplaceContent { content: content(&seat) }).await {
            Ok(_) => acknowledged.push(seat),
            Err(DispatchError::Log(_)) => refused += 1,
            Err(fault) => panic!("{fault}"),
        }
    }
    assert_eq!((acknowledged.len(), refused), (5, 4));
    let stream = world.log.load::<Pass>(&ticket("A").to_string(), 0).await.unwrap();
    let seats: Vec<_> = stream
        .iter()
        .map(|event| {
            let (_, event) = event.payload.as_object().unwrap().iter().next().unwrap();
            event["content"]["seat"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(seats, acknowledged);
    let all = world.log.read_after(Position(0), 100).await.unwrap();
    assert_eq!(all.last().unwrap().position, world.head());
    let running = world.projects_as(newer_release()).await;
    running.reaches(world.head()).await;
    running.stops().await;
}

async fn a_retry_that_the_store_refuses_changes_nothing_and_can_be_repeated(engine: Engine) {
    let world = World::new(engine).await;
    world.issues(&ticket("A"), "1").await;
    let broken = world.changes_in_the_old_way(&ticket("A"), "2").await;
    let behind = world.changes(&ticket("A"), "3").await;
    let running = world.projects().await;
    running.reaches(behind.position).await;
    running.stops().await;

    let running = world.projects_as(newer_release()).await;
    let before = world.all_tables().await;
    // The parked event changes this table; the one that is written after it is there.
    world.execute("alter table wallet_pass_content rename to wallet_pass_content_away").await;
    for _ in 0..2 {
        let retried = running.projector.retry(broken).await;
        assert!(matches!(retried, Err(OperationError::Store(_))), "{retried:?}");
        let skipped = running.projector.skip(broken, "no".into()).await;
        assert!(matches!(skipped, Err(OperationError::Store(_))), "{skipped:?}");
    }
    world.execute("alter table wallet_pass_content_away rename to wallet_pass_content").await;
    assert_same(&world.all_tables().await, &before);
    running.projector.retry(broken).await.unwrap();
    assert!(running.projector.shows(&behind, LIMIT).await);
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew_as(newer_release()).await);
}

/// A log with a bad connection: some readings fail, and nobody is ever woken.
struct Flaky {
    log: Arc<Log>,
    readings: AtomicU32,
    fails_every: u32,
    silence: watch::Sender<Position>,
}

impl EventLog for Flaky {
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
        if self.readings.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.fails_every) {
            return Err(LogError::Unavailable { doing: "read", source: sqlx::Error::PoolTimedOut.into() });
        }
        self.log.read_after(position, limit).await
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.silence.subscribe()
    }

    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }
}

async fn a_log_that_fails_now_and_then_and_wakes_nobody_is_followed_all_the_same(engine: Engine) {
    let world = World::new(engine).await;
    let running = follows_a_flaky_log(&world, 5).await;
    world.issues(&ticket("A"), "1").await;
    world.changes_in_the_old_way(&ticket("A"), "2").await;
    world.issues(&ticket("B"), "1").await;
    running.reaches(world.head()).await;
    let last = world.changes(&ticket("B"), "2").await;
    assert!(running.projector.shows(&last, LIMIT).await);
    assert_eq!(running.parked().await.len(), 1, "only what is broken is parked");
    running.stops().await;
    let anew = world.projected_anew().await;
    assert_same(&world.tables().await, &anew);
}

async fn a_wake_up_that_was_lost_is_made_up_for_by_asking_now_and_then(engine: Engine) {
    let world = World::new(engine).await;
    let running = follows_a_flaky_log(&world, u32::MAX).await;
    running.reaches(world.head()).await;
    world.issues(&ticket("A"), "1").await;
    for seat in ["2", "3"] {
        let changed = world.changes(&ticket("A"), seat).await;
        assert!(running.projector.shows(&changed, LIMIT).await);
    }
    running.stops().await;
}

async fn follows_a_flaky_log(world: &World, fails_every: u32) -> Running {
    let silence = watch::channel(Position(0)).0;
    let log = Flaky { log: world.log.clone(), readings: AtomicU32::new(1), fails_every, silence };
    Running::start(Arc::new(log), world.stores.location(), Upcasters::current()).await
}

on_both_engines! {
    a_read_model_that_is_locked_by_somebody_else_is_waited_for,
    a_read_model_that_cannot_be_written_stalls_the_projection_and_parks_nothing,
    a_projector_that_stands_still_can_be_stopped,
    after_a_failure_the_projector_believes_the_file_and_not_its_memory,
    a_log_that_fails_for_a_while_keeps_what_it_acknowledged_and_nothing_else,
    a_retry_that_the_store_refuses_changes_nothing_and_can_be_repeated,
    a_log_that_fails_now_and_then_and_wakes_nobody_is_followed_all_the_same,
    a_wake_up_that_was_lost_is_made_up_for_by_asking_now_and_then,
}
