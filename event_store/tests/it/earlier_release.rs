//! A process of an earlier release beside this one: it asks for the heads and inserts by itself, under the same lock.

use std::sync::Arc;

use honoken_event_store::{AppendError, EventLog, Position};
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;

use crate::note::{Note, append};
use crate::store::{EPOCH, Store, open};

/// Appends of each side, one at a time.
const APPENDS: u64 = 200;

/// What the earlier release begins with.
const BEGIN: &str = "begin isolation level read committed; select pg_advisory_xact_lock(29395917684303214)";

/// Appends one event as the earlier release did; the stream is at `sequence` already when it gives nothing.
async fn append_as_before(connection: &mut PgConnection, note: &str, sequence: i64) -> Option<Position> {
    connection.execute(BEGIN).await.unwrap();
    let heads = "select (select coalesce(max(position), 0) from events),
                        (select coalesce(max(sequence), 0) from events where aggregate_type = 'Note' and aggregate_id = $1)";
    let (head, of_stream): (i64, i64) =
        sqlx::query_as(heads).bind(note).fetch_one(&mut *connection).await.unwrap();
    if of_stream != sequence {
        connection.execute("rollback").await.unwrap();
        return None;
    }
    sqlx::query(
        "insert into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at)
         values ($1, 'Note', $2, $3, 'Noted', '1', '{\"Noted\": \"before\"}', '{}', 0)",
    )
    .bind(head + 1)
    .bind(note)
    .bind(sequence + 1)
    .execute(&mut *connection)
    .await
    .unwrap();
    connection.execute("commit").await.unwrap();
    Some(Position(head.cast_unsigned() + 1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_earlier_release_and_this_one_append_to_one_log() {
    let store = Store::postgres().await;
    let Store::Postgres(database) = &store else { unreachable!("just made") };
    let log = Arc::new(open(database.url(), EPOCH).await);
    let mut earlier = PgConnection::connect(database.url()).await.unwrap();
    let mut sides = JoinSet::new();
    // The first two have a stream of their own, and meet at a third.
    sides.spawn(async move {
        let mut positions = Vec::new();
        for sequence in 0..APPENDS.cast_signed() {
            positions.push(append_as_before(&mut earlier, "earlier", sequence).await.unwrap());
            positions.extend(append_as_before(&mut earlier, "shared", sequence).await);
        }
        positions
    });
    let this = log.clone();
    sides.spawn(async move {
        let mut positions = Vec::new();
        for sequence in 0..APPENDS {
            positions.push(this.append(append("this", sequence, &["x"])).await.unwrap());
            match this.append(append("shared", sequence, &["x"])).await {
                Ok(position) => positions.push(position),
                Err(AppendError::Conflict) => {}
                Err(fault) => panic!("{fault}"),
            }
        }
        positions
    });
    let mut positions: Vec<_> =
        sides.join_all().await.into_iter().flatten().map(|position| position.0).collect();
    positions.sort_unstable();
    assert_eq!(positions, (1..=positions.len() as u64).collect::<Vec<_>>(), "no gap, and none twice");
    let shared = log.load::<Note>("shared", 0).await.unwrap();
    let sequences: Vec<_> = shared.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=shared.len()).collect::<Vec<_>>());
    assert_eq!(positions.len(), 2 * usize::try_from(APPENDS).unwrap() + shared.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_heads_are_read_behind_the_lock_whatever_level_of_isolation_the_server_prefers() {
    let store = Store::postgres().await;
    let Store::Postgres(database) = &store else { unreachable!("just made") };
    store
        .spoil(
            "do $$ begin
                 execute format('alter database %I set default_transaction_isolation = serializable', current_database());
             end $$",
        )
        .await;
    let mut writers = JoinSet::new();
    for process in 0..4 {
        let log = open(database.url(), EPOCH).await;
        writers.spawn(async move {
            for sequence in 0..50 {
                log.append(append(&process.to_string(), sequence, &["x"])).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    assert_eq!(*open(database.url(), EPOCH).await.head().borrow(), Position(200));
}
