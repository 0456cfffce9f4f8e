//! The tables are filled again while readers read and a runner runs.

use std::sync::Arc;

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Append, AppendError, Epoch, EventLog, Log, LogError, Position, RecordedEvent};
use honoken_projections::{OperationError, Progress, ReadModel, rebuild};
use tokio::sync::watch;

use crate::history::history;
use crate::proxy::Proxy;
use crate::world::{Engine, Location, NEVER, World, assert_same, on_both_engines, soon, ticket};

/// A log that is read in small portions, and stops behind the first until it is told to go on.
struct Halting {
    log: Arc<Log>,
    halted: watch::Sender<bool>,
    goes_on: watch::Receiver<bool>,
}

/// The other end of it.
struct Halt {
    halted: watch::Receiver<bool>,
    goes_on: watch::Sender<bool>,
}

impl Halting {
    fn new(log: &Arc<Log>) -> (Self, Halt) {
        let (halted, is_halted) = watch::channel(false);
        let (go_on, goes_on) = watch::channel(false);
        (Self { log: log.clone(), halted, goes_on }, Halt { halted: is_halted, goes_on: go_on })
    }
}

impl Halt {
    /// The rebuild has begun and changed tables, and is not done.
    async fn reach_middle(&mut self) {
        soon("the middle of it", self.halted.wait_for(|halted| *halted)).await.unwrap();
    }

    fn goes_on(&self) {
        self.goes_on.send_replace(true);
    }
}

impl EventLog for Halting {
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
        if position.0 > 0 {
            self.halted.send_replace(true);
            self.goes_on.clone().wait_for(|goes_on| *goes_on).await.unwrap();
        }
        self.log.read_after(position, limit.min(7)).await
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.log.head()
    }

    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }
}

type Rebuilt = Result<Progress, OperationError>;

/// A rebuild that stands in the middle.
async fn begins(world: &World, model: ReadModel) -> (tokio::task::JoinHandle<Rebuilt>, Halt) {
    let (log, mut halt) = Halting::new(&world.log);
    let task = tokio::spawn(async move { rebuild(&log, &Upcasters::current(), &model, NEVER, |_| {}).await });
    halt.reach_middle().await;
    (task, halt)
}

/// A history in which an event was skipped, and others are parked.
async fn a_world_with_a_past(engine: Engine, seed: u8) -> World {
    let world = World::new(engine).await;
    world.issues(&ticket("parked"), "1").await;
    world.issues(&ticket("skipped"), "1").await;
    world.lives_through(&history(seed, 100)).await;
    let skipped = world.changes_in_the_old_way(&ticket("skipped"), "2").await;
    world.changes_in_the_old_way(&ticket("parked"), "2").await;
    world.lives_through(&history(seed + 1, 100)).await;
    world.changes(&ticket("parked"), "3").await;
    world.changes(&ticket("skipped"), "3").await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    running.projector.skip(skipped, "the customer called".into()).await.unwrap();
    assert_eq!(running.parked().await.len(), 2);
    running.stops().await;
    world
}

/// Rows that no rebuild would leave as they are.
async fn is_spoilt(world: &World) {
    world.execute("update wallet_pass set etag = 'spoilt'").await;
    world.execute("insert into wallet_api_key (key_digest, organization_id, label) values ('left over', 'club', '')").await;
}

async fn rebuilt_tables_are_those_that_were_there(engine: Engine) {
    for seed in [80, 90] {
        let world = a_world_with_a_past(engine, seed).await;
        let before = world.all_tables().await;
        is_spoilt(&world).await;
        let model = world.stores.location().read_model().await;
        let mut reports = Vec::new();
        let report = |position| reports.push(position);
        let progress = rebuild(&*world.log, &Upcasters::current(), &model, NEVER, report).await.unwrap();
        assert_eq!(progress.position, world.head());
        assert_eq!(progress.parked.len(), 1);
        assert_same(&world.all_tables().await, &before);
        assert!(reports.is_sorted() && reports.last() == Some(&world.head()), "{reports:?}");
        model.close().await;
    }
}

async fn readers_see_the_old_tables_until_the_new_ones_are_complete(engine: Engine) {
    let world = a_world_with_a_past(engine, 82).await;
    let good = world.all_tables().await;
    is_spoilt(&world).await;
    let spoilt = world.all_tables().await;
    let model = world.stores.location().read_model().await;
    let (task, halt) = begins(&world, model.clone()).await;
    assert_same(&world.all_tables().await, &spoilt);
    halt.goes_on();
    soon("the end of it", task).await.unwrap().unwrap();
    assert_same(&world.all_tables().await, &good);
    model.close().await;
}

async fn a_rebuild_that_dies_half_way_leaves_the_old_tables(engine: Engine) {
    let world = a_world_with_a_past(engine, 84).await;
    let good = world.all_tables().await;
    is_spoilt(&world).await;
    let spoilt = world.all_tables().await;
    let model = world.stores.location().read_model().await;
    let (task, _halt) = begins(&world, model.clone()).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_same(&world.all_tables().await, &spoilt);

    // Nothing is left that keeps the next one from it.
    rebuild(&*world.log, &Upcasters::current(), &model, NEVER, |_| {}).await.unwrap();
    assert_same(&world.all_tables().await, &good);
    model.close().await;
}

async fn a_projector_that_runs_meanwhile_goes_on_and_misses_nothing(engine: Engine) {
    let world = World::new(engine).await;
    world.lives_through(&history(86, 60)).await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    is_spoilt(&world).await;
    let (task, halt) = begins(&world, running.model.clone()).await;
    world.lives_through(&history(87, 60)).await;
    let during = world.head();
    halt.goes_on();
    let progress = soon("the end of it", task).await.unwrap().unwrap();
    assert!(progress.position >= during, "what was appended meanwhile is in");
    world.lives_through(&history(88, 60)).await;
    running.reaches(world.head()).await;
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew().await);
}

async fn a_read_model_that_was_never_filled_can_be_rebuilt(engine: Engine) {
    let world = World::new(engine).await;
    let model = world.stores.location().read_model().await;
    rebuild(&*world.log, &Upcasters::current(), &model, NEVER, |_| {}).await.unwrap();
    model.close().await;
    assert_same(&world.tables().await, &world.projected_anew().await);
}

on_both_engines! {
    rebuilt_tables_are_those_that_were_there,
    readers_see_the_old_tables_until_the_new_ones_are_complete,
    a_rebuild_that_dies_half_way_leaves_the_old_tables,
    a_projector_that_runs_meanwhile_goes_on_and_misses_nothing,
    a_read_model_that_was_never_filled_can_be_rebuilt,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_loses_its_connection_leaves_the_old_tables() {
    let world = a_world_with_a_past(Engine::Postgres, 84).await;
    is_spoilt(&world).await;
    let spoilt = world.all_tables().await;
    let proxy = Proxy::to(world.stores.known_server()).await;
    let model = Location::Server(proxy.options.clone().into()).read_model().await;
    let (task, halt) = begins(&world, model).await;
    proxy.cuts();
    halt.goes_on();
    let rebuilt = soon("the end of it", task).await.unwrap();
    assert!(matches!(rebuilt, Err(OperationError::Store(_))), "{rebuilt:?}");
    assert_same(&world.all_tables().await, &spoilt);
}

/// It stands still for longer than a transaction may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_freezes_is_given_up_and_leaves_the_old_tables() {
    let world = a_world_with_a_past(Engine::Postgres, 84).await;
    is_spoilt(&world).await;
    let spoilt = world.all_tables().await;
    let model = world.stores.location().read_model().await;
    let (task, halt) = begins(&world, model.clone()).await;
    let locked = "select cast(count(*) as text) from pg_locks where locktype = 'relation' and relation = 'wallet_pass'::regclass";
    let mut sql = world.sql().await;
    assert_ne!(sql.column(locked).await, ["0"]);
    crate::world::eventually("its end", async || sql.column(locked).await == ["0"]).await;
    halt.goes_on();
    let rebuilt = soon("the end of it", task).await.unwrap();
    assert!(matches!(rebuilt, Err(OperationError::Store(_))), "{rebuilt:?}");
    assert_same(&world.all_tables().await, &spoilt);
    model.close().await;
}
