//! What a lease promises, held against a real server: to whom it belongs, and whom it keeps out.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use honoken_database::lease::{Held, Lease};
use honoken_database::postgres;
use honoken_database::sqlite::Durability;
use honoken_database::sqlite_file::SqliteFile;
use honoken_database::statements::{Connection, ReaderPool, Readers, sql};
use honoken_test_postgres::{Database, database};

/// The lease of these tests, which lasts five seconds. None of them waits that long.
const LEASE: Lease = Lease::new("turn", "task", "baking", 5);

const TABLE: &str = "create table turn (
    task           text        primary key,
    version        bigint      not null default 1,
    fence          bigint      not null default 0,
    leased_until   timestamptz not null default '-infinity',
    holder_pid     integer,
    holder_started timestamptz
)";

/// A database of the test's own, with the row of the lease and one of another, which nothing may touch.
struct World(Database);

impl World {
    async fn new() -> Self {
        let world = Self(database().await);
        let mut session = world.session().await;
        sql(TABLE).execute(&mut session).await.unwrap();
        sql("insert into turn (task) values ('baking'), ('brewing')").execute(&mut session).await.unwrap();
        world
    }

    /// A session of a process.
    async fn session(&self) -> Connection {
        Connection::postgres(&postgres::options(self.0.url()).unwrap()).await.unwrap()
    }

    async fn execute(&self, statement: &'static str) {
        sql(statement).execute(&mut self.session().await).await.unwrap();
    }

    async fn is(&self, condition: &'static str) -> bool {
        let row = sql(condition).fetch_one(&mut self.session().await).await.unwrap();
        row.get("is").unwrap()
    }

    async fn is_held(&self) -> bool {
        let options = postgres::options(self.0.url()).unwrap();
        let readers = Readers::new(ReaderPool::Postgres(postgres::open_readers(&options, 1)));
        LEASE.is_held(&readers).await.unwrap()
    }
}

async fn take(session: &mut Connection) -> Option<Held> {
    LEASE.take(session).await.unwrap()
}

async fn renew(session: &mut Connection, held: Held) -> bool {
    LEASE.renew(session, held).await.unwrap()
}

#[tokio::test]
async fn one_session_has_it_until_it_releases_it() {
    let world = World::new().await;
    let (mut one, mut other) = (world.session().await, world.session().await);
    assert!(!world.is_held().await);
    let first = take(&mut one).await.unwrap();
    assert_eq!((first, take(&mut other).await), (Held::Fence(1), None));
    assert!(renew(&mut one, first).await && world.is_held().await);
    LEASE.release(&mut one, first).await.unwrap();
    assert!(!world.is_held().await);
    let second = take(&mut other).await.unwrap();
    assert_eq!((second, take(&mut one).await), (Held::Fence(2), None));
    // The former holder believes that it still has it.
    assert!(!renew(&mut one, first).await);
    LEASE.release(&mut one, first).await.unwrap();
    assert!(renew(&mut other, second).await && take(&mut one).await.is_none());
    assert!(world.is("select fence = 0 and holder_pid is null as is from turn where task = 'brewing'").await);
}

#[tokio::test]
async fn a_session_takes_again_the_lease_that_it_has() {
    let world = World::new().await;
    let mut session = world.session().await;
    let first = take(&mut session).await.unwrap();
    assert_eq!(take(&mut session).await, Some(Held::Fence(2)));
    assert!(!renew(&mut session, first).await);
}

#[tokio::test]
async fn the_lease_of_a_process_that_died_is_free_at_once() {
    let world = World::new().await;
    let (mut one, mut other) = (world.session().await, world.session().await);
    take(&mut one).await.unwrap();
    // The server waits until the session is gone, up to a minute.
    let ends = "select pg_terminate_backend(holder_pid, 60000) as is from turn where task = 'baking'";
    assert!(world.is(ends).await);
    assert_eq!(take(&mut other).await, Some(Held::Fence(2)));
}

#[tokio::test]
async fn the_lease_of_a_frozen_process_expires() {
    let world = World::new().await;
    let (mut frozen, mut other) = (world.session().await, world.session().await);
    let first = take(&mut frozen).await.unwrap();
    world.execute("update turn set leased_until = clock_timestamp() - interval '1 second'").await;
    assert!(!world.is_held().await);
    let second = take(&mut other).await.unwrap();
    assert_eq!(second, Held::Fence(2));
    assert!(!renew(&mut frozen, first).await && renew(&mut other, second).await);
}

#[tokio::test]
async fn an_expired_lease_that_is_renewed_first_stays() {
    let world = World::new().await;
    let (mut late, mut other) = (world.session().await, world.session().await);
    let held = take(&mut late).await.unwrap();
    world.execute("update turn set leased_until = clock_timestamp() - interval '1 second'").await;
    late.begin().await.unwrap();
    assert!(renew(&mut late, held).await);
    assert_eq!(take(&mut other).await, None, "it is renewed in a transaction that has not ended");
    late.commit().await.unwrap();
    assert_eq!(take(&mut other).await, None);
}

#[tokio::test]
async fn a_clock_that_was_set_back_keeps_a_lease_no_longer_than_one_lasts() {
    let world = World::new().await;
    let (mut holder, mut other) = (world.session().await, world.session().await);
    let held = take(&mut holder).await.unwrap();
    world.execute("update turn set leased_until = leased_until + interval '3 hours'").await;
    assert_eq!(take(&mut other).await, None, "its holder may be alive");
    let shortened = "select leased_until <= clock_timestamp() + interval '5 seconds' as is
                     from turn where task = 'baking'";
    assert!(world.is(shortened).await);
    assert!(renew(&mut holder, held).await);
}

#[tokio::test]
async fn a_clock_that_was_set_forward_leaves_the_holder_time_to_renew() {
    let world = World::new().await;
    let (mut holder, mut other) = (world.session().await, world.session().await);
    let held = take(&mut holder).await.unwrap();
    world.execute("update turn set leased_until = leased_until - interval '3 hours'").await;
    assert_eq!(take(&mut other).await, None);
    assert!(world.is_held().await && renew(&mut holder, held).await);
    assert_eq!(take(&mut other).await, None);
}

#[tokio::test]
async fn in_a_copy_of_the_database_beside_the_original_the_lease_is_free() {
    let (original, copy) = (World::new().await, World::new().await);
    let mut holder = original.session().await;
    let held = take(&mut holder).await.unwrap();
    let columns =
        "select leased_until::text, holder_pid::text, holder_started::text from turn where task = 'baking'";
    let row = sql(columns).fetch_one(&mut holder).await.unwrap();
    let column = |name: &str| row.get::<String>(name).unwrap();
    let mut session = copy.session().await;
    let copied = sql(
        "update turn set fence = 1, leased_until = $1::text::timestamptz, holder_pid = $2::text::integer,
                holder_started = $3::text::timestamptz
         where task = 'baking'",
    )
    .bind(column("leased_until"))
    .bind(column("holder_pid"))
    .bind(column("holder_started"));
    assert_eq!(copied.execute(&mut session).await.unwrap(), 1);
    assert_eq!(take(&mut session).await, Some(Held::Fence(2)));
    assert!(renew(&mut holder, held).await, "the original is as it was");
}

#[tokio::test]
async fn a_release_takes_no_row_of_a_newer_one() {
    let world = World::new().await;
    let mut session = world.session().await;
    world.execute("update turn set version = 2").await;
    assert_eq!(LEASE.of_version(1).take(&mut session).await.unwrap(), None);
    for same_or_newer in [2, 3] {
        assert!(LEASE.of_version(same_or_newer).take(&mut session).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_seized_lease_is_kept_from_all_until_the_transaction_ends_and_free_behind_it() {
    let world = World::new().await;
    let (mut holder, mut operator) = (world.session().await, world.session().await);
    let held = take(&mut holder).await.unwrap();
    operator.begin().await.unwrap();
    LEASE.seize(&mut operator).await.unwrap();
    assert!(!renew(&mut holder, held).await);
    assert_eq!(take(&mut holder).await, None);
    operator.commit().await.unwrap();
    assert!(!renew(&mut holder, held).await);
    assert_eq!(take(&mut holder).await, Some(Held::Fence(3)));
}

#[tokio::test]
async fn a_paused_holder_goes_on_when_the_transaction_ends() {
    let world = World::new().await;
    let (mut holder, mut operator) = (world.session().await, world.session().await);
    let held = take(&mut holder).await.unwrap();
    operator.begin().await.unwrap();
    LEASE.pause(&mut operator).await.unwrap();
    assert!(!renew(&mut holder, held).await);
    operator.rollback().await.unwrap();
    assert!(renew(&mut holder, held).await);
}

/// The file has no table, so every statement would fail.
#[tokio::test]
async fn to_a_file_there_is_one_process() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = SqliteFile::new(&folder.path().join("turns.sqlite"), "nothing can be done");
    let mut connection = Connection::sqlite(&file, Durability::Rebuildable).await.unwrap();
    assert_eq!(LEASE.take(&mut connection).await.unwrap(), Some(Held::Alone));
    assert!(LEASE.renew(&mut connection, Held::Alone).await.unwrap());
    LEASE.seize(&mut connection).await.unwrap();
    LEASE.pause(&mut connection).await.unwrap();
    LEASE.release(&mut connection, Held::Alone).await.unwrap();
    let readers = Readers::new(ReaderPool::Sqlite(file.open_readers(1), file.clone()));
    assert!(LEASE.is_held(&readers).await.unwrap());
}
