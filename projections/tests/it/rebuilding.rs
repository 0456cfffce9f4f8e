//! A copy of the tables is filled beside the live one, which goes on, and takes its place.

use std::sync::Arc;

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use honoken_domain::ids::UnixSeconds;
use honoken_event_store::{Append, AppendError, Epoch, EventLog, Log, LogError, Position, RecordedEvent};
use honoken_projections::updated_serials::Since;
use honoken_projections::{CopyError, CopyState, ReadModel, WALLET};
use tokio::sync::watch;

use crate::filling::{Filling, NOW};
use crate::history::history;
use crate::world::{
    Engine, Running, TICKET, World, assert_same, device, eventually, newer_release, on_both_engines,
    pass_type, soon, ticket,
};

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
    /// The filling has begun, and is not done.
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
        let running = world.projects().await;
        let filling = Filling::beside(&running.model, world.log.clone());
        let id = filling.rebuild(false).await;
        filling.reaches(id, CopyState::Live).await;
        assert_same(&world.all_tables().await, &before);
        // The projector goes on in the new copy, and what readers ask is answered from it.
        world.lives_through(&history(seed + 2, 40)).await;
        running.reaches(world.head()).await;
        assert_eq!(running.parked().await.len(), 2);
        let former = filling.copy(1).await;
        assert_eq!((former.state, former.held), (CopyState::Kept, false));
        let live = filling.copy(id).await;
        assert_eq!(live.finished_at, Some(NOW));
        assert!(live.events > 100, "{live:?}");
        let before = world.all_tables().await;
        let next = filling.rebuild(false).await;
        filling.reaches(next, CopyState::Live).await;
        assert_same(&world.all_tables().await, &before);
        filling.stops().await;
        running.stops().await;
    }
}

async fn readers_see_the_live_tables_until_the_others_take_over(engine: Engine) {
    let world = a_world_with_a_past(engine, 82).await;
    let good = world.all_tables().await;
    is_spoilt(&world).await;
    let spoilt = world.all_tables().await;
    let running = world.projects().await;
    let (log, mut halt) = Halting::new(&world.log);
    let filling = Filling::beside(&running.model, Arc::new(log));
    let id = filling.rebuild(false).await;
    halt.reach_middle().await;
    assert_same(&world.all_tables().await, &spoilt);
    halt.goes_on();
    filling.reaches(id, CopyState::Live).await;
    assert_same(&world.all_tables().await, &good);
    filling.stops().await;
    running.stops().await;
}

async fn the_live_tables_go_on_meanwhile_and_the_others_miss_nothing(engine: Engine) {
    let world = World::new(engine).await;
    world.lives_through(&history(86, 60)).await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    let (log, mut halt) = Halting::new(&world.log);
    let filling = Filling::beside(&running.model, Arc::new(log));
    let id = filling.rebuild(true).await;
    halt.reach_middle().await;
    world.lives_through(&history(87, 60)).await;
    // The rebuild stands still, and this does not.
    running.reaches(world.head()).await;
    halt.goes_on();
    filling.reaches(id, CopyState::Ready).await;
    // Held, it follows the event log.
    world.lives_through(&history(88, 60)).await;
    let head = world.head();
    eventually("the copy at the head", async || filling.copy(id).await.position >= head).await;
    assert_eq!(filling.copy(id).await.state, CopyState::Ready);
    filling.model.copies().switch().await.unwrap();
    filling.model.wishes_changed();
    filling.reaches(id, CopyState::Live).await;
    world.lives_through(&history(89, 60)).await;
    running.reaches(world.head()).await;
    assert_same(&world.tables().await, &world.projected_anew().await);
    filling.stops().await;
    running.stops().await;
}

async fn a_filling_that_dies_goes_on_where_it_was(engine: Engine) {
    let world = a_world_with_a_past(engine, 84).await;
    let good = world.all_tables().await;
    let model = world.stores.location().read_model().await;
    let (log, mut halt) = Halting::new(&world.log);
    let filling = Filling::beside(&model, Arc::new(log));
    let id = filling.rebuild(false).await;
    halt.reach_middle().await;
    filling.dies().await;
    model.close().await;
    assert_same(&world.all_tables().await, &good);

    let model = world.stores.location().read_model().await;
    let filling = Filling::beside(&model, world.log.clone());
    filling.reaches(id, CopyState::Live).await;
    assert_same(&world.all_tables().await, &good);
    filling.stops().await;
    model.close().await;
}

async fn a_rebuild_is_paused_and_goes_on_and_is_cancelled(engine: Engine) {
    let world = a_world_with_a_past(engine, 70).await;
    let good = world.all_tables().await;
    let running = world.projects().await;
    let (log, mut halt) = Halting::new(&world.log);
    let filling = Filling::beside(&running.model, Arc::new(log));
    let copies = running.model.copies();
    assert!(matches!(copies.pause(true).await, Err(CopyError::NoRebuild)));
    let id = filling.rebuild(true).await;
    assert!(matches!(copies.rebuild(false, UnixSeconds(0)).await, Err(CopyError::AtWork)));
    halt.reach_middle().await;
    copies.pause(true).await.unwrap();
    halt.goes_on();
    let (before, paused) = (filling.copy(id).await.position, filling.copy(id).await.paused);
    assert!(paused && before < world.head());
    copies.pause(false).await.unwrap();
    running.model.wishes_changed();
    filling.reaches(id, CopyState::Ready).await;
    copies.cancel().await.unwrap();
    running.model.wishes_changed();
    filling.reaches(id, CopyState::Gone).await;
    assert!(matches!(copies.cancel().await, Err(CopyError::NoRebuild)));
    assert_same(&world.all_tables().await, &good);
    // Its number is not used again, and nothing of it is left.
    assert_eq!(running.model.bytes_of_copy(id).await.unwrap(), 0);
    assert!(filling.rebuild(false).await > id);
    filling.stops().await;
    running.stops().await;
}

async fn the_former_copy_catches_up_and_is_live_again(engine: Engine) {
    let world = a_world_with_a_past(engine, 72).await;
    let running = world.projects().await;
    let filling = Filling::beside(&running.model, world.log.clone());
    let copies = running.model.copies();
    assert!(matches!(copies.roll_back().await, Err(CopyError::NothingKept)));
    assert!(matches!(copies.drop_kept().await, Err(CopyError::NothingKept)));
    let id = filling.rebuild(false).await;
    filling.reaches(id, CopyState::Live).await;
    world.lives_through(&history(73, 60)).await;
    running.reaches(world.head()).await;
    let current = world.tables().await;
    copies.roll_back().await.unwrap();
    running.model.wishes_changed();
    filling.reaches(1, CopyState::Live).await;
    assert_eq!(filling.copy(id).await.state, CopyState::Kept);
    assert_same(&world.tables().await, &current);
    world.lives_through(&history(74, 60)).await;
    running.reaches(world.head()).await;

    // A former copy goes on request, or with the next rebuild.
    copies.drop_kept().await.unwrap();
    running.model.wishes_changed();
    filling.reaches(id, CopyState::Gone).await;
    let current = world.all_tables().await;
    let next = filling.rebuild(false).await;
    filling.reaches(next, CopyState::Live).await;
    assert_same(&world.all_tables().await, &current);
    assert_eq!(filling.copy(1).await.state, CopyState::Kept);
    let last = filling.rebuild(false).await;
    filling.reaches(last, CopyState::Live).await;
    filling.reaches(1, CopyState::Gone).await;
    assert_eq!(filling.copy(next).await.state, CopyState::Kept);
    filling.stops().await;
    running.stops().await;
}

async fn a_copy_is_compared_with_the_live_one_at_one_position(engine: Engine) {
    let world = a_world_with_a_past(engine, 76).await;
    let running = world.projects().await;
    let filling = Filling::beside(&running.model, world.log.clone());
    let id = filling.rebuild(true).await;
    filling.reaches(id, CopyState::Ready).await;
    let compares = async || {
        let before = filling.copy(id).await.comparison;
        running.model.copies().compare().await.unwrap();
        running.model.wishes_changed();
        eventually("a comparison", async || filling.copy(id).await.comparison != before).await;
        filling.copy(id).await.comparison.unwrap()
    };
    let same = compares().await;
    assert_eq!((same.position, same.different), (world.head().0, 0), "{same:?}");
    assert!(same.rows > 20, "{same:?}");
    is_spoilt(&world).await;
    let spoilt = compares().await;
    let passes = world.column("select serial_number from wallet_pass").await.len() as u64;
    assert_eq!(spoilt.different, passes + 1, "{spoilt:?}");
    assert_eq!(spoilt.first[0], "wallet_api_key left over");
    assert!(spoilt.first.len() == 20 || spoilt.first.len() as u64 == spoilt.different);
    filling.stops().await;
    running.stops().await;
}

/// This release does not know an event that the projector of the live copy did.
async fn a_copy_in_which_more_is_parked_does_not_take_over(engine: Engine) {
    let world = World::new(engine).await;
    world.issues(&ticket("A"), "1").await;
    let old = world.changes_in_the_old_way(&ticket("A"), "2").await;
    let running = Running::start(world.log.clone(), world.stores.location(), newer_release()).await;
    running.reaches(world.head()).await;
    assert_eq!(running.parked().await, []);
    let filling = Filling::beside(&running.model, world.log.clone());
    let id = filling.rebuild(false).await;
    eventually("a note", async || filling.copy(id).await.note.is_some()).await;
    let copy = filling.copy(id).await;
    let note = copy.note.unwrap_or_default();
    assert!(note.contains(&format!("the first at position {old}")), "{note}");
    assert_eq!((copy.state, world.stores.location().live_copy().await), (CopyState::Ready, 1));
    filling.stops().await;
    running.stops().await;
}

async fn what_is_skipped_meanwhile_is_skipped_in_the_copy(engine: Engine) {
    let world = World::new(engine).await;
    world.issues(&ticket("A"), "1").await;
    let old = world.changes_in_the_old_way(&ticket("A"), "2").await;
    world.changes(&ticket("A"), "3").await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    let filling = Filling::beside(&running.model, world.log.clone());
    let id = filling.rebuild(true).await;
    filling.reaches(id, CopyState::Ready).await;
    running.projector.skip(old, "it was a mistake".into()).await.unwrap();
    running.model.copies().switch().await.unwrap();
    running.model.wishes_changed();
    filling.reaches(id, CopyState::Live).await;
    assert_eq!(running.model.parked_events(WALLET, 9).await.unwrap(), []);
    assert_eq!(running.model.skipped_events(WALLET).await.unwrap(), [old].into());
    filling.stops().await;
    running.stops().await;
}

/// The tables are those of the release before: it had another version of them.
async fn are_of_the_release_before(world: &World) {
    world.execute("update projection_checkpoint set version = version - 1").await;
    let mut directory = world.stores.location().copies_sql().await;
    directory.execute("update read_model_copy set version = version - 1").await;
    directory.close().await;
}

async fn tables_of_another_version_are_read_until_a_copy_of_this_one_has_caught_up(engine: Engine) {
    let world = a_world_with_a_past(engine, 60).await;
    let before = world.tables().await;
    are_of_the_release_before(&world).await;
    world.lives_through(&history(61, 20)).await;

    let running = world.projects().await;
    let (log, mut halt) = Halting::new(&world.log);
    let filling = Filling::beside(&running.model, Arc::new(log));
    halt.reach_middle().await;
    assert_same(&world.tables().await, &before);
    assert!(!*running.projector.leads().borrow(), "it does not write tables of another version");
    assert!(running.progress().position < world.head());
    halt.goes_on();
    filling.reaches(2, CopyState::Live).await;
    running.reaches(world.head()).await;
    eventually("the end of the former version", async || filling.copy(1).await.state == CopyState::Kept)
        .await;
    let current = world.all_tables().await;
    let id = filling.rebuild(false).await;
    filling.reaches(id, CopyState::Live).await;
    assert_same(&world.all_tables().await, &current);
    filling.reaches(1, CopyState::Gone).await;
    filling.stops().await;
    running.stops().await;
}

on_both_engines! {
    tables_of_another_version_are_read_until_a_copy_of_this_one_has_caught_up,
    rebuilt_tables_are_those_that_were_there,
    readers_see_the_live_tables_until_the_others_take_over,
    the_live_tables_go_on_meanwhile_and_the_others_miss_nothing,
    a_filling_that_dies_goes_on_where_it_was,
    a_rebuild_is_paused_and_goes_on_and_is_cancelled,
    the_former_copy_catches_up_and_is_live_again,
    a_copy_is_compared_with_the_live_one_at_one_position,
    a_copy_in_which_more_is_parked_does_not_take_over,
    what_is_skipped_meanwhile_is_skipped_in_the_copy,
}

/// Another process reads the former copy for a while. Nothing is promised beyond it, and it follows soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_follow_a_switch_and_promise_nothing_that_another_cannot_show() {
    let world = World::new(Engine::Postgres).await;
    let pass = ticket("A");
    world.issues(&pass, "1").await;
    world.registers("phone", &pass, "aa").await;
    let one = world.projects().await;
    one.reaches(world.head()).await;
    // It says that it reads, and is frozen then.
    let other = world.stores.location().read_model().await;
    let says = tokio::spawn({
        let other = other.clone();
        async move { other.keep_reporting().await }
    });
    eventually("its word", async || {
        let mut directory = world.stores.location().copies_sql().await;
        let said = directory.count("read_model_reader").await;
        directory.close().await;
        said == 2
    })
    .await;
    says.abort();
    let filling = Filling::beside(&one.model, world.log.clone());
    let id = filling.rebuild(false).await;
    filling.reaches(id, CopyState::Live).await;
    world.changes(&pass, "2").await;
    let changed = world.head();
    let asks = async |model: &ReadModel| {
        let ticket_type = pass_type(TICKET);
        model.serials_updated_since(&device("phone"), &ticket_type, Since::Nothing).await.unwrap()
    };
    eventually("the change in the new copy", async || {
        let mut sql = world.sql().await;
        let position = sql.column("select cast(position as text) from projection_checkpoint").await;
        sql.close().await;
        position == [changed.to_string()]
    })
    .await;
    let answer = asks(&one.model).await.expect("the pass has changed");
    assert!(answer.up_to < changed, "{answer:?}: the other process cannot show it");
    assert!(one.progress().position < changed);
    // After five seconds without a word it does not count, and it does not read any more.
    one.reaches(changed).await;
    assert_eq!(asks(&one.model).await.expect("it has changed").up_to, changed);
    let refused = other.serials_updated_since(&device("phone"), &pass_type(TICKET), Since::Nothing).await;
    assert!(refused.is_err(), "{refused:?}");
    other.close().await;
    filling.stops().await;
    one.stops().await;
}

/// A process of the release before reads its own copy, which nobody writes any more here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_versions_are_read_beside_each_other_and_the_slower_one_is_waited_for() {
    let world = World::new(Engine::Postgres).await;
    let pass = ticket("A");
    world.issues(&pass, "1").await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    running.stops().await;
    are_of_the_release_before(&world).await;
    let before = world.head();
    // A process of that release says so.
    let mut directory = world.stores.location().copies_sql().await;
    let reads = "insert into read_model_reader (process, copy, version, seen_at)
                 select 'older', copy, version, clock_timestamp() + interval '1 hour' from read_model_copy";
    directory.execute(reads).await;

    let running = world.projects().await;
    let filling = Filling::beside(&running.model, world.log.clone());
    filling.reaches(2, CopyState::Live).await;
    let changed = world.changes(&pass, "2").await;
    let row = async || running.model.pass_row(&pass).await.unwrap().unwrap().updated_at;
    eventually("the change in the new copy", async || Some(row().await) == changed.aggregate.updated_at())
        .await;
    assert_eq!(filling.copy(1).await.state, CopyState::Live, "it is read");
    assert_eq!(running.progress().position, before, "nothing is promised beyond it");
    directory.execute("delete from read_model_reader where process = 'older'").await;
    directory.close().await;
    running.reaches(world.head()).await;
    assert_eq!(filling.copy(1).await.state, CopyState::Kept);
    filling.stops().await;
    running.stops().await;
}
