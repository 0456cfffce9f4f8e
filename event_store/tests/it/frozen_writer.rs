//! A process that is frozen while it holds the lock of the event log: a stopped machine, a network that is cut.

use honoken_database::postgres::open_writer;
use honoken_event_store::{EventLog, Position};
use sqlx::{Executor, PgConnection, PgPool};

use crate::note::append;
use crate::store::{EPOCH, Store, eventually, open, options};

/// What a writer begins with; that it is the same lock is shown by others waiting for it.
const LOCK: &str = "begin; select pg_advisory_xact_lock(29395917684303214)";

async fn writer(url: &str) -> PgConnection {
    open_writer(&options(url)).await.unwrap()
}

/// Returns when so many sessions wait for a lock of this database.
pub(crate) async fn until_waiting(witness: &PgPool, sessions: i64) {
    let waiting = "select count(*) from pg_locks join pg_database on pg_database.oid = database
                   where locktype = 'advisory' and not granted and datname = current_database()";
    eventually(|| async {
        let count: i64 = sqlx::query_scalar(waiting).fetch_one(witness).await.unwrap();
        (count == sessions).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_process_that_freezes_with_the_lock_loses_it_and_those_who_waited_go_on() {
    let store = Store::postgres().await;
    let Store::Postgres(database) = &store else { unreachable!("just made") };
    let url = database.url();
    let witness = PgPool::connect(url).await.unwrap();
    let (one, other) = (open(url, EPOCH).await, open(url, EPOCH).await);

    // The frozen process got the lock after the others had begun to wait, so that they wait longer than it may be silent.
    let mut before = writer(url).await;
    before.execute(LOCK).await.unwrap();
    let mut frozen = writer(url).await;
    let freezing = tokio::spawn(async move {
        frozen.execute(LOCK).await.unwrap();
        frozen
    });
    until_waiting(&witness, 1).await;
    let waiting = tokio::spawn(async move { one.append(append("a", 0, &["x"])).await });
    let also_waiting = tokio::spawn(async move { other.append(append("b", 0, &["x"])).await });
    until_waiting(&witness, 3).await;
    before.execute("rollback").await.unwrap();
    let mut frozen = freezing.await.unwrap();

    let mut positions = [waiting.await.unwrap().unwrap(), also_waiting.await.unwrap().unwrap()];
    positions.sort_unstable();
    assert_eq!(positions, [Position(1), Position(2)]);
    let fault = frozen.execute("commit").await.unwrap_err();
    assert!(fault.to_string().contains("idle-in-transaction timeout"), "the session is gone: {fault}");
}
