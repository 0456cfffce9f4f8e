//! Several processes with one read model, on a server: one of them runs the projection, and the others watch it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Position, PostgresLog};
use honoken_projections::Part;
use tracing_subscriber::fmt::MakeWriter;

use crate::history::history;
use crate::proxy::Proxy;
use crate::world::{
    EPOCH, Engine, Location, Running, World, assert_same, content, eventually, newer_release, soon, ticket,
};

/// A process: all its connections, also those of its log, lead through its own proxy.
struct Process {
    running: Running,
    proxy: Proxy,
}

impl Process {
    async fn joins(world: &World, name: &str) -> Self {
        Self::joins_as(world, name, Part::Run, Upcasters::current()).await
    }

    async fn joins_as(world: &World, name: &str, part: Part, upcasters: Upcasters) -> Self {
        let proxy = Proxy::to(&world.stores.known_server().clone().application_name(name)).await;
        let log = Arc::new(PostgresLog::open(&proxy.options, EPOCH).await.unwrap());
        let location = Location::Server(proxy.options.clone().into());
        let running = Running::start_as(log, &location, upcasters, part).await;
        Self { running, proxy }
    }

    /// As `kill -9` would have it: nothing is given back, and the server sees the connections end.
    async fn dies(self) {
        self.running.task.abort();
        assert!(self.running.task.await.unwrap_err().is_cancelled());
        self.proxy.cuts();
    }

    async fn reaches(&self, position: Position) {
        self.running.reaches(position).await;
    }
}

impl World {
    /// The name of the process that runs the projection; empty when there is none.
    async fn holder(&self) -> Vec<String> {
        self.column(
            "select application_name from pg_stat_activity join projection_checkpoint
               on pid = holder_pid and backend_start = holder_started
             where leased_until > clock_timestamp()",
        )
        .await
    }

    /// From here on every move of the checkpoint is written down.
    async fn watches_the_checkpoint(&self) {
        self.execute(
            "create table moves (number bigint generated always as identity, before bigint, after bigint);
             create function write_down() returns trigger language plpgsql as $$
             begin
                 insert into moves (before, after) values (old.position, new.position);
                 return new;
             end $$;
             create trigger moves after update of position on projection_checkpoint
             for each row execute function write_down()",
        )
        .await;
    }

    /// Every event was applied by one process once: the checkpoint moved on from where it was, and never back.
    async fn was_applied_once(&self) {
        let moves = self.column("select before || ' ' || after from moves order by number").await;
        let moves: Vec<(u64, u64)> = moves
            .iter()
            .map(|line| {
                let (before, after) = line.split_once(' ').unwrap();
                (before.parse().unwrap(), after.parse().unwrap())
            })
            .collect();
        assert!(!moves.is_empty());
        assert!(moves.iter().all(|(before, after)| before < after), "{moves:?}");
        assert!(moves.is_sorted(), "{moves:?}");
        assert_eq!(moves.last().unwrap().1, self.head().0);
    }

    async fn is_projected_by(&self, name: &str) {
        eventually("the projection by this process", async || self.holder().await == [name]).await;
    }

    async fn is_as_if_projected_anew(&self) {
        assert_same(&self.tables().await, &self.projected_anew().await);
    }
}

/// What is logged in this thread meanwhile.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn record(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(self.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn say(&self, what: &str) -> bool {
        String::from_utf8_lossy(&self.0.lock().unwrap()).contains(what)
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// As many changes, seen one after the other, would take a watcher that asks once a second longer than it is given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_processes_projects_and_the_other_is_woken() {
    let world = World::new(Engine::Postgres).await;
    let one = Process::joins(&world, "one").await;
    world.watches_the_checkpoint().await;
    let two = Process::joins(&world, "two").await;
    world.issues(&ticket("A"), "first").await;
    soon("all of it", async {
        for seat in 0..100 {
            let changed = world.changes(&ticket("A"), &seat.to_string()).await;
            two.reaches(changed.position).await;
            one.reaches(changed.position).await;
        }
    })
    .await;
    assert_eq!(world.holder().await, ["one"]);
    assert!(two.running.model.is_projected().await.unwrap());
    world.was_applied_once().await;
    one.running.stops().await;
    two.running.stops().await;
    world.is_as_if_projected_anew().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_only_watches_never_projects() {
    let world = World::new(Engine::Postgres).await;
    let watcher = Process::joins_as(&world, "watcher", Part::Watch, Upcasters::current()).await;
    world.issues(&ticket("A"), "1").await;
    // It has looked at least once more: this position is none that it knew.
    let one = Process::joins(&world, "one").await;
    watcher.reaches(world.head()).await;
    one.running.stops().await;
    let before = watcher.running.progress().position;
    world.issues(&ticket("B"), "1").await;
    // What is not in the tables it can only have from this row, which it so has read after the event was there.
    world.set_checkpoint(before.0 - 1).await;
    let mut progress = watcher.running.projector.progress();
    soon("a look", progress.wait_for(|progress| progress.position.0 == before.0 - 1)).await.unwrap();
    assert_eq!(world.holder().await, [] as [String; 0]);
    assert!(!watcher.running.model.is_projected().await.unwrap());
    watcher.running.stops().await;
}

/// The lease never runs out here, so that only the end of the session can be the reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_is_made_up_for_at_once() {
    let world = World::new(Engine::Postgres).await;
    let mut holder = Process::joins(&world, "0").await;
    world.watches_the_checkpoint().await;
    for death in 1..12_u8 {
        // Before the next one joins, which would be as quick to take over where nothing is left to apply.
        world.is_projected_by(&(death - 1).to_string()).await;
        let next = Process::joins(&world, &death.to_string()).await;
        let history = history(death, 30);
        let commands = world.lives_through(&history);
        let dies = async {
            let target = world.head().0 + u64::from(death * 7 % 13);
            let mut progress = holder.running.projector.progress();
            // The history may be too short for it; then it dies after all of it.
            let reached = progress.wait_for(|progress| progress.position.0 >= target);
            drop(tokio::time::timeout(std::time::Duration::from_millis(200), reached).await);
            holder.dies().await;
            world.execute("update projection_checkpoint set leased_until = 'infinity'").await;
        };
        tokio::join!(commands, dies);
        next.reaches(world.head()).await;
        holder = next;
    }
    world.was_applied_once().await;
    holder.running.stops().await;
    world.is_as_if_projected_anew().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_stopped_gives_the_projection_back() {
    let world = World::new(Engine::Postgres).await;
    let one = Process::joins(&world, "one").await;
    world.watches_the_checkpoint().await;
    let two = Process::joins(&world, "two").await;
    one.running.stops().await;
    world.is_projected_by("two").await;
    world.issues(&ticket("A"), "1").await;
    two.reaches(world.head()).await;
    two.running.stops().await;
    let free = "select cast(leased_until = '-infinity' as text) from projection_checkpoint";
    assert_eq!(world.column(free).await, ["true"]);
    world.was_applied_once().await;
}

/// Nothing is left to apply here, so nothing else is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stands_by_is_told_when_the_projection_is_given_back() {
    let world = World::new(Engine::Postgres).await;
    let one = Process::joins(&world, "one").await;
    one.reaches(world.head()).await;
    one.running.stops().await;
    let pool = sqlx::PgPool::connect_lazy_with(world.stores.known_server().clone());
    for _ in 0..10 {
        let one = Process::joins(&world, "one").await;
        let mut listener = sqlx::postgres::PgListener::connect_with(&pool).await.unwrap();
        listener.listen("honoken_read_model").await.unwrap();
        one.running.stops().await;
        let told = soon("a word about it", listener.recv()).await.unwrap();
        assert_eq!(told.payload(), world.head().to_string());
    }
}

/// One thread, so that all it says is heard.
#[tokio::test]
async fn a_process_that_was_frozen_finds_itself_superseded() {
    let lines = Lines::default();
    let _recording = lines.record();
    let world = World::new(Engine::Postgres).await;
    let frozen = Process::joins(&world, "frozen").await;
    world.watches_the_checkpoint().await;
    let other = Process::joins(&world, "other").await;
    world.lives_through(&history(60, 40)).await;
    frozen.reaches(world.head()).await;

    frozen.proxy.freezes();
    world.lives_through(&history(61, 40)).await;
    other.reaches(world.head()).await;
    assert_eq!(world.holder().await, ["other"]);

    frozen.proxy.thaws();
    world.lives_through(&history(62, 40)).await;
    frozen.reaches(world.head()).await;
    let superseded = "another process has taken over the projection";
    eventually("a word about it", async || lines.say(superseded)).await;
    assert_eq!(world.holder().await, ["other"]);
    world.was_applied_once().await;
    frozen.running.stops().await;
    assert_eq!(world.holder().await, ["other"], "it gives back nothing that is not its own");
    other.running.stops().await;
    world.is_as_if_projected_anew().await;
}

/// Its lease seems to last for hours, and its session lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_frozen_is_made_up_for_although_the_clock_of_the_server_was_set_back() {
    let world = World::new(Engine::Postgres).await;
    let frozen = Process::joins(&world, "frozen").await;
    world.watches_the_checkpoint().await;
    let other = Process::joins(&world, "other").await;
    world.issues(&ticket("A"), "1").await;
    other.reaches(world.head()).await;
    frozen.proxy.freezes();
    world.execute("update projection_checkpoint set leased_until = leased_until + interval '3 hours'").await;
    world.changes(&ticket("A"), "2").await;
    other.reaches(world.head()).await;
    assert_eq!(world.holder().await, ["other"]);
    frozen.proxy.thaws();
    frozen.reaches(world.head()).await;
    world.was_applied_once().await;
    frozen.running.stops().await;
    other.running.stops().await;
}

/// The other one looks once a second whether the lease has run out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_keeps_the_projection_when_the_clock_of_the_server_is_set_forward() {
    let world = World::new(Engine::Postgres).await;
    let one = Process::joins(&world, "one").await;
    one.reaches(world.head()).await;
    let other = Process::joins(&world, "other").await;
    let fence = "select cast(fence as text) from projection_checkpoint";
    let before = world.column(fence).await;
    for _ in 0..12 {
        world.is_projected_by("one").await;
        world
            .execute("update projection_checkpoint set leased_until = leased_until - interval '3 hours'")
            .await;
    }
    world.is_projected_by("one").await;
    assert_eq!(world.column(fence).await, before, "nobody else has taken it");
    one.running.stops().await;
    other.running.stops().await;
}

/// The server ends the session of a transaction that says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_froze_inside_a_transaction_is_made_up_for() {
    let world = World::new(Engine::Postgres).await;
    let frozen = Process::joins(&world, "frozen").await;
    world.watches_the_checkpoint().await;
    let other = Process::joins(&world, "other").await;
    let mut lock = world.sql().await;
    lock.execute("begin; lock table wallet_brand_assets in exclusive mode").await;
    world.puts_brand_image("logo.png", "one").await;
    let waits = "select application_name from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'";
    eventually("the transaction", async || world.column(waits).await == ["frozen"]).await;
    frozen.proxy.freezes();
    lock.execute("rollback").await;

    world.issues(&ticket("A"), "1").await;
    other.reaches(world.head()).await;
    assert_eq!(world.holder().await, ["other"]);
    frozen.proxy.thaws();
    world.changes(&ticket("A"), "2").await;
    frozen.reaches(world.head()).await;
    assert_eq!(world.holder().await, ["other"]);
    world.was_applied_once().await;
    frozen.running.stops().await;
    other.running.stops().await;
    world.is_as_if_projected_anew().await;
}

/// Connections are lost at any point, in one process or the other; some of them hold the transaction of a batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_lost_at_any_point_cost_nothing() {
    let world = World::new(Engine::Postgres).await;
    let processes = [Process::joins(&world, "one").await, Process::joins(&world, "two").await];
    world.watches_the_checkpoint().await;
    for round in 0..16_u8 {
        let cut = &processes[usize::from(round % 3 / 2)];
        let commands = history(70 + round, 20);
        tokio::join!(world.lives_through(&commands), async {
            let target = cut.running.progress().position.0 + 1 + u64::from(round % 5);
            let mut progress = cut.running.projector.progress();
            let reached = progress.wait_for(|progress| progress.position.0 >= target);
            drop(tokio::time::timeout(std::time::Duration::from_millis(100), reached).await);
            cut.proxy.cuts();
        });
    }
    for process in &processes {
        process.reaches(world.head()).await;
    }
    world.was_applied_once().await;
    for process in processes {
        process.running.stops().await;
    }
    world.is_as_if_projected_anew().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_tables_mean_something_older_stands_back() {
    let world = World::new(Engine::Postgres).await;
    let newer = Process::joins(&world, "newer").await;
    newer.reaches(world.head()).await;
    newer.running.stops().await;
    world.execute("update projection_checkpoint set version = version + 1").await;
    world.execute("insert into wallet_api_key (key_digest, organization_id, label) values ('left over', 'club', '')").await;

    world.issues(&ticket("A"), "1").await;
    let older = Process::joins(&world, "older").await;
    let mut progress = older.running.projector.progress();
    world.set_checkpoint(2).await;
    soon("a look", progress.wait_for(|progress| progress.position.0 == 2)).await.unwrap();
    assert_eq!(world.holder().await, [] as [String; 0]);
    assert!(world.tables().await["wallet_api_key"][0].contains("left over"));

    world.execute("update projection_checkpoint set version = version - 2").await;
    older.reaches(world.head()).await;
    assert_eq!(world.holder().await, ["older"]);
    older.running.stops().await;
    world.is_as_if_projected_anew().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_another_log_are_emptied_by_who_projects_and_nobody_else() {
    let world = World::new(Engine::Postgres).await;
    let one = Process::joins(&world, "one").await;
    one.reaches(world.head()).await;
    world.execute("update projection_checkpoint set epoch = 'ffffffff'").await;
    world.execute("insert into wallet_api_key (key_digest, organization_id, label) values ('left over', 'club', '')").await;
    let two = Process::joins(&world, "two").await;
    world.issues(&ticket("A"), "1").await;
    two.reaches(world.head()).await;
    assert_eq!(world.holder().await, ["one"]);
    assert!(world.tables().await["wallet_api_key"][0].contains("left over"));

    one.dies().await;
    world.is_projected_by("two").await;
    world.changes(&ticket("A"), "2").await;
    two.reaches(world.head()).await;
    two.running.stops().await;
    world.is_as_if_projected_anew().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_may_ask_any_process_and_the_one_that_projects_notices() {
    let world = World::new(Engine::Postgres).await;
    let projecting = Process::joins(&world, "projecting").await;
    world.watches_the_checkpoint().await;
    let newer = Process::joins_as(&world, "newer", Part::Watch, newer_release()).await;
    for serial in ["A", "B"] {
        world.issues(&ticket(serial), "1").await;
    }
    let retried = world.changes_in_the_old_way(&ticket("A"), "2").await;
    let skipped = world.changes_in_the_old_way(&ticket("B"), "2").await;
    world.changes(&ticket("A"), "3").await;
    let behind = world.changes(&ticket("B"), "3").await;
    newer.reaches(behind.position).await;
    assert_eq!(newer.running.parked().await.len(), 4);

    newer.running.projector.retry(retried).await.unwrap();
    newer.running.projector.skip(skipped, "the customer called".into()).await.unwrap();
    for process in [&newer, &projecting] {
        let mut progress = process.running.projector.progress();
        soon("the news", progress.wait_for(|progress| progress.parked.is_empty())).await.unwrap();
        assert!(process.running.projector.shows(&behind, crate::world::LIMIT).await);
    }
    let last = world.changes(&ticket("B"), "4").await;
    assert!(projecting.running.projector.shows(&last, crate::world::LIMIT).await);
    let document = newer.running.model.pass_document(&ticket("B")).await.unwrap().unwrap();
    assert_eq!(document.content, content("4"));
    assert_eq!(world.holder().await, ["projecting"]);
    world.was_applied_once().await;
    newer.running.stops().await;
    projecting.running.stops().await;
}

/// The lease never runs out here, and its session lives: whoever was asked to wait takes up again what is still its own.
#[tokio::test]
async fn a_process_that_was_kept_from_projecting_for_a_while_goes_on() {
    let lines = Lines::default();
    let _recording = lines.record();
    let world = World::new(Engine::Postgres).await;
    let one = Process::joins(&world, "one").await;
    one.reaches(world.head()).await;
    let mut other = world.sql().await;
    // As an operator's request in another process does.
    other.execute("begin; update projection_checkpoint set leased_until = 'infinity'").await;
    world.issues(&ticket("A"), "1").await;
    eventually("a word about it", async || lines.say("another process")).await;
    other.execute("commit").await;
    one.reaches(world.head()).await;
    one.running.stops().await;
    world.is_as_if_projected_anew().await;
}
