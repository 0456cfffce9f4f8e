//! An event log on a server that is set back under the processes that have it open: a fail-over to an older copy, a backup that was restored.

use std::collections::BTreeSet;

use honoken_event_store::{Epoch, EventLog, Position, PostgresLog};
use tokio::time::timeout;

use crate::note::append;
use crate::store::{EPOCH, PATIENCE, Store, open};

/// The epoch that processes get for an event log that is new or was set back.
const FRESH: [Epoch; 2] = [Epoch(1), Epoch(2)];

async fn a_log_of_three(store: &Store) -> [PostgresLog; 2] {
    let Store::Postgres(database) = store else { unreachable!("just made") };
    open(database.url(), EPOCH).await.close().await;
    let logs = [open(database.url(), FRESH[0]).await, open(database.url(), FRESH[1]).await];
    for stream in ["one", "two", "three"] {
        logs[0].append(append(stream, 0, &["text"])).await.unwrap();
    }
    let mut heard = logs[1].head();
    timeout(PATIENCE, heard.wait_for(|head| *head == Position(3))).await.unwrap().unwrap();
    logs
}

/// Every process that had seen a lost event ends, and the event log has one new epoch.
async fn assert_noticed(store: &Store, logs: [PostgresLog; 2], head: Position) {
    for log in &logs {
        timeout(PATIENCE, log.ended()).await.expect("it notices");
        assert_eq!(log.epoch(), EPOCH, "what has begun ends as it was");
    }
    let Store::Postgres(database) = store else { unreachable!("just made") };
    let again = open(database.url(), Epoch(7)).await;
    assert!(FRESH.contains(&again.epoch()), "one of them has changed it: {}", again.epoch());
    assert_eq!(*again.head().borrow(), head);
    let next = again.append(append("next", 0, &["text"])).await.unwrap();
    assert_eq!(next, Position(head.0 + 1), "positions of the lost future are given out again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_its_end_gets_another_epoch_and_whoever_had_seen_it_ends() {
    let store = Store::postgres().await;
    let logs = a_log_of_three(&store).await;
    store.spoil("delete from events where position > 1").await;
    assert_noticed(&store, logs, Position(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_everything_is_noticed_too() {
    let store = Store::postgres().await;
    let logs = a_log_of_three(&store).await;
    store.spoil("truncate events").await;
    assert_noticed(&store, logs, Position(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_has_grown_beyond_where_it_was_is_known_by_what_it_lacks() {
    let store = Store::postgres().await;
    let logs = a_log_of_three(&store).await;
    // In one transaction: no process ever sees it shorter.
    let other = |position: u64| {
        format!("({position}, 'Note', 'other-{position}', 1, 'Noted', '1', '{{}}', '{{}}', 0)")
    };
    let others: Vec<_> = (3..9).map(other).collect();
    store
        .spoil(&format!(
            "begin;
             delete from events where position > 2;
             insert into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at)
             values {};
             commit",
            others.join(", ")
        ))
        .await;
    assert_noticed(&store, logs, Position(8)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_appended_to_a_log_that_was_set_back() {
    let store = Store::postgres().await;
    let [log, _] = a_log_of_three(&store).await;
    store.spoil("delete from events where position > 1").await;
    // It may have noticed by then or not.
    let refused = log.append(append("four", 0, &["text"])).await;
    assert!(refused.is_err(), "{refused:?}");
    timeout(PATIENCE, log.ended()).await.expect("it notices");
    let left: BTreeSet<_> =
        log.read_after(Position(0), 9).await.unwrap().iter().map(|event| event.position).collect();
    assert_eq!(left, BTreeSet::from([Position(1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_was_changed_by_somebody_else_ends_whoever_has_the_old_one() {
    let store = Store::postgres().await;
    let logs = a_log_of_three(&store).await;
    store.spoil("update log set epoch = '0000beef'").await;
    for log in &logs {
        timeout(PATIENCE, log.ended()).await.expect("it notices");
    }
    let Store::Postgres(database) = &store else { unreachable!("just made") };
    assert_eq!(
        open(database.url(), Epoch(7)).await.epoch(),
        Epoch(0xbeef),
        "nobody has changed it once more"
    );
}
