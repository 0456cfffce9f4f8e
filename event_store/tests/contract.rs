//! What every engine of the log must keep, run against each.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use cqrs_es::persist::SemanticVersionEventUpcaster;
use honoken_domain::ids::{Digest, OrganizationId};
use honoken_domain::organization::{Organization, OrganizationCommand, OrganizationError};
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::database::{Durability, open_writer};
use honoken_event_store::{
    Append, AppendError, DispatchError, Dispatcher, Epoch, EventLog, LogError, Metadata, NewEvent, Position,
    Snapshots, SqliteLog, StoredSnapshot,
};
use serde_json::json;
use sqlx::SqliteConnection;
use tempfile::TempDir;

const EPOCH: Epoch = Epoch(0x00c0_ffee);

async fn sqlite(folder: &TempDir) -> SqliteLog {
    SqliteLog::open(&folder.path().join("events.sqlite"), EPOCH).await.unwrap()
}

fn append(stream: &str, expected_sequence: u64, events: &[&str]) -> Append {
    let event = |text: &&str| NewEvent {
        event_type: "Noted".into(),
        event_version: "1".into(),
        payload: json!({ "Noted": text }).to_string(),
    };
    Append {
        aggregate_type: "Note",
        aggregate_id: stream.into(),
        expected_sequence,
        events: events.iter().map(event).collect(),
        metadata: json!({ "requestId": "r" }).to_string(),
        recorded_at_ms: 1_700_000_000_123,
    }
}

#[tokio::test]
async fn what_is_appended_is_read_back_in_order_and_whole() {
    let folder = TempDir::new().unwrap();
    let log = sqlite(&folder).await;
    let text = "quotes \" and \\ and ü and \u{1F3AB} and \n";
    assert_eq!(log.append(append("a", 0, &["one", text])).await.unwrap(), Position(2));
    assert_eq!(log.append(append("b", 0, &["three"])).await.unwrap(), Position(3));

    let all = log.read_after(Position(0), 10).await.unwrap();
    let seen: Vec<_> =
        all.iter().map(|e| (e.position.0, e.event.aggregate_id.as_str(), e.event.sequence)).collect();
    assert_eq!(seen, [(1, "a", 1), (2, "a", 2), (3, "b", 1)]);
    assert_eq!(all[1].event.payload, json!({ "Noted": text }));
    assert_eq!(all[1].event.metadata, json!({ "requestId": "r" }));
    assert_eq!((all[1].recorded_at_ms, all[1].event.event_version.as_str()), (1_700_000_000_123, "1"));
    assert_eq!(log.read_after(Position(1), 1).await.unwrap(), all[1..2]);
    assert_eq!(log.load("Note", "a", 1).await.unwrap(), all[1..2]);
    assert_eq!(log.load("Note", "nobody", 0).await.unwrap(), []);
}

#[tokio::test]
async fn an_append_to_a_stream_that_has_grown_is_a_conflict_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let log = sqlite(&folder).await;
    log.append(append("a", 0, &["one"])).await.unwrap();
    for stale in [0, 2, 7] {
        let refused = log.append(append("a", stale, &["two", "three"])).await;
        assert!(matches!(refused, Err(AppendError::Conflict)), "expected sequence {stale}: {refused:?}");
    }
    assert_eq!(log.append(append("a", 1, &["two"])).await.unwrap(), Position(2), "no position was spent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_appends_get_gapless_positions_and_a_conflict_fails_alone() {
    let folder = TempDir::new().unwrap();
    let log = Arc::new(sqlite(&folder).await);
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..64_u32 {
        let log = log.clone();
        // Every second writer wants to be the first of the stream `shared`; one of them is.
        let stream = if writer % 2 == 0 { format!("own-{writer}") } else { "shared".to_owned() };
        tasks.spawn(async move { (stream.clone(), log.append(append(&stream, 0, &["x", "y"])).await) });
    }
    let mut ends = Vec::new();
    let mut shared = 0;
    while let Some(task) = tasks.join_next().await {
        match task.unwrap() {
            (stream, Ok(position)) => {
                shared += u32::from(stream == "shared");
                ends.push(position.0);
            }
            (stream, Err(AppendError::Conflict)) => assert_eq!(stream, "shared"),
            (_, Err(fault)) => panic!("{fault}"),
        }
    }
    assert_eq!((shared, ends.len()), (1, 33));
    ends.sort_unstable();
    assert_eq!(ends, (1..=33).map(|n| n * 2).collect::<Vec<u64>>());
    let all = log.read_after(Position(0), 1000).await.unwrap();
    assert_eq!(all.iter().map(|e| e.position.0).collect::<Vec<_>>(), (1..=66).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_never_sees_a_position_before_a_smaller_one() {
    let folder = TempDir::new().unwrap();
    let log = Arc::new(sqlite(&folder).await);
    let total = 16 * 50;
    let follower = tokio::spawn({
        let log = log.clone();
        async move {
            let (mut head, mut seen) = (log.head(), 0);
            while seen < total {
                head.wait_for(|head| head.0 > seen).await.unwrap();
                for event in log.read_after(Position(seen), 64).await.unwrap() {
                    assert_eq!(event.position.0, seen + 1);
                    seen += 1;
                }
            }
        }
    });
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..16 {
        let log = log.clone();
        writers.spawn(async move {
            for sequence in 0..50 {
                log.append(append(&writer.to_string(), sequence, &["x"])).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    follower.await.unwrap();
}

#[tokio::test]
async fn a_log_that_is_opened_again_goes_on_where_it_was() {
    let folder = TempDir::new().unwrap();
    let log = sqlite(&folder).await;
    log.append(append("a", 0, &["one"])).await.unwrap();
    log.close().await;

    let log = SqliteLog::open(&folder.path().join("events.sqlite"), Epoch(7)).await.unwrap();
    assert_eq!(log.epoch(), EPOCH, "the epoch is fixed when the log is created");
    assert_eq!(*log.head().borrow(), Position(1));
    assert_eq!(log.append(append("a", 1, &["two"])).await.unwrap(), Position(2));
}

#[tokio::test]
async fn an_epoch_is_eight_hex_digits() {
    assert_eq!(Epoch(0x1f).to_string(), "0000001f");
}

#[tokio::test]
async fn closing_the_log_finishes_what_waits() {
    let folder = TempDir::new().unwrap();
    let log = Arc::new(sqlite(&folder).await);
    let mut tasks = tokio::task::JoinSet::new();
    for stream in 0..50 {
        let log = log.clone();
        tasks.spawn(async move { log.append(append(&stream.to_string(), 0, &["x"])).await.unwrap() });
    }
    while tasks.join_next().await.is_some() {}
    Arc::into_inner(log).unwrap().close().await;
    assert_eq!(*sqlite(&folder).await.head().borrow(), Position(50));
}

#[tokio::test]
async fn a_stored_row_that_is_not_json_is_named_by_its_position() {
    let folder = TempDir::new().unwrap();
    let log = sqlite(&folder).await;
    log.append(Append {
        events: vec![NewEvent { event_type: "Noted".into(), event_version: "1".into(), payload: "{".into() }],
        ..append("a", 0, &[])
    })
    .await
    .unwrap();
    let fault = log.load("Note", "a", 0).await.unwrap_err();
    assert!(matches!(fault, LogError::Unreadable { position: Position(1), .. }), "{fault}");
}

#[tokio::test]
async fn a_reader_comes_as_far_as_to_a_row_that_is_not_json_and_can_go_on_behind_it() {
    let folder = TempDir::new().unwrap();
    let log = sqlite(&folder).await;
    let broken = NewEvent { event_type: "Noted".into(), event_version: "1".into(), payload: "{".into() };
    log.append(append("a", 0, &["one"])).await.unwrap();
    log.append(Append { events: vec![broken], ..append("b", 0, &[]) }).await.unwrap();
    log.append(append("c", 0, &["three"])).await.unwrap();

    let before = log.read_after(Position(0), 10).await.unwrap();
    assert_eq!(before.iter().map(|event| event.position.0).collect::<Vec<_>>(), [1]);
    match log.read_after(Position(1), 10).await {
        Err(LogError::Unreadable { position: Position(2), event, .. }) => {
            assert_eq!((event.aggregate_id.as_str(), event.sequence), ("b", 1));
        }
        other => panic!("{other:?}"),
    }
    let behind = log.read_after(Position(2), 10).await.unwrap();
    assert_eq!(behind.iter().map(|event| event.position.0).collect::<Vec<_>>(), [3]);
}

fn create(name: &str) -> OrganizationCommand {
    OrganizationCommand::Create { organization_id: OrganizationId::parse("club").unwrap(), name: name.into() }
}

fn add_key(number: usize) -> OrganizationCommand {
    OrganizationCommand::AddApiKey {
        key_digest: Digest::of(number.to_string().as_bytes()),
        label: number.to_string(),
    }
}

fn metadata() -> Metadata {
    Metadata { actor: "test".into(), organization: None, request_id: "r-1".into(), recorded_at_ms: 1 }
}

#[tokio::test]
async fn dispatch_returns_the_events_it_committed_and_where() {
    let folder = TempDir::new().unwrap();
    let log = Arc::new(sqlite(&folder).await);
    let dispatcher = Dispatcher::new(log.clone(), Upcasters::current());
    let first = dispatcher.dispatch::<Organization>("club", create("Club"), &(), &metadata()).await.unwrap();
    assert_eq!((first.events.len(), first.position), (1, Position(1)));
    let again = dispatcher.dispatch::<Organization>("club", create("Club"), &(), &metadata()).await.unwrap();
    assert_eq!((again.events.len(), again.position), (0, Position(1)), "nothing changed, nothing is written");
    let refused = dispatcher.dispatch::<Organization>("club", create("Other"), &(), &metadata()).await;
    assert!(matches!(refused, Err(DispatchError::Refused(OrganizationError::AlreadyCreated))));
    assert_eq!(*log.head().borrow(), Position(1));
    let stored = &log.read_after(Position(0), 1).await.unwrap()[0];
    assert_eq!(stored.event.metadata, json!({ "actor": "test", "requestId": "r-1" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_do_not_know_of_each_other_retry_until_all_are_done() {
    let folder = TempDir::new().unwrap();
    let log = Arc::new(sqlite(&folder).await);
    // Two dispatchers, as two processes would have, each with locks of its own.
    let dispatchers = [
        Arc::new(Dispatcher::new(log.clone(), Upcasters::current())),
        Arc::new(Dispatcher::new(log.clone(), Upcasters::current())),
    ];
    dispatchers[0].dispatch::<Organization>("club", create("Club"), &(), &metadata()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let dispatcher = dispatchers[number % 2].clone();
        tasks.spawn(async move {
            dispatcher
                .dispatch::<Organization>("club", add_key(number), &(), &metadata())
                .await
                .unwrap()
                .events
                .len()
        });
    }
    assert_eq!(tasks.join_all().await, vec![1; 40]);
    let stream = log.load("Organization", "club", 0).await.unwrap();
    assert_eq!(stream.iter().map(|e| e.event.sequence).collect::<Vec<_>>(), (1..=41).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_command_is_decided_on_events_of_earlier_versions() {
    let folder = TempDir::new().unwrap();
    let log = Arc::new(sqlite(&folder).await);
    let old = json!({ "OrganizationCreated": { "organizationId": "club", "title": "Club" } });
    let written = NewEvent {
        event_type: "OrganizationCreated".into(),
        event_version: "0".into(),
        payload: old.to_string(),
    };
    let first = Append { aggregate_type: "Organization", events: vec![written], ..append("club", 0, &[]) };
    log.append(first).await.unwrap();

    let upcaster = SemanticVersionEventUpcaster::new(
        "OrganizationCreated",
        "1",
        Box::new(|mut payload| {
            let event = &mut payload["OrganizationCreated"];
            event["name"] = event["title"].take();
            payload
        }),
    );
    let dispatcher = Dispatcher::new(log.clone(), Upcasters::current().with(upcaster));
    let same = dispatcher.dispatch::<Organization>("club", create("Club"), &(), &metadata()).await.unwrap();
    assert!(same.events.is_empty(), "the old event was understood");

    let ignorant = Dispatcher::new(log, Upcasters::current());
    let fault =
        ignorant.dispatch::<Organization>("club", create("Club"), &(), &metadata()).await.unwrap_err();
    assert!(matches!(fault, DispatchError::Undecodable { position: Position(1), .. }), "{fault}");
}

#[tokio::test]
async fn commands_for_different_aggregates_share_a_sync() {
    let folder = TempDir::new().unwrap();
    let log = Arc::new(sqlite(&folder).await);
    // Queued before the writer can take the first one, since nothing yields to it in between.
    let appends: Vec<_> = (0..100).map(|n| append(&n.to_string(), 0, &["x"])).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for one in appends {
        let log = log.clone();
        tasks.spawn(async move { log.append(one).await.unwrap() });
    }
    let mut head = log.head();
    let mut commits = BTreeSet::new();
    while commits.last() != Some(&100) {
        head.changed().await.unwrap();
        let position = head.borrow_and_update().0;
        commits.insert(position);
    }
    tasks.join_all().await;
    assert!(commits.len() < 20, "100 appends took {} commits", commits.len());
}

#[tokio::test]
async fn a_snapshot_is_read_back_and_only_a_newer_one_or_another_shape_takes_its_place() {
    let folder = TempDir::new().unwrap();
    let log = sqlite(&folder).await;
    let snapshot = |sequence: u64, shape: u32| StoredSnapshot {
        sequence,
        position: Position(sequence * 2),
        shape,
        state: json!({ "at": sequence }).to_string(),
    };
    assert_eq!(log.load_snapshot("Note", "a").await.unwrap(), None);
    for (offered, expected) in [
        (snapshot(100, 1), snapshot(100, 1)),
        (snapshot(50, 1), snapshot(100, 1)),
        (snapshot(60, 2), snapshot(60, 2)),
    ] {
        log.store_snapshot("Note", "a".into(), offered);
        // The writer serves in order, so an append that is answered stands behind the snapshot.
        let stream = log.head().borrow().0.to_string();
        log.append(append(&stream, 0, &["x"])).await.unwrap();
        assert_eq!(log.load_snapshot("Note", "a").await.unwrap(), Some(expected));
    }
    assert_eq!(log.load_snapshot("Note", "b").await.unwrap(), None);
}

/// Adds this many keys, numbered on from `first`.
async fn add_keys(dispatcher: &Dispatcher<SqliteLog>, first: usize, keys: usize) {
    for number in first..first + keys {
        dispatcher.dispatch::<Organization>("club", add_key(number), &(), &metadata()).await.unwrap();
    }
}

#[tokio::test]
async fn an_aggregate_with_many_events_is_loaded_from_its_snapshot_and_the_few_events_behind_it() {
    let folder = TempDir::new().unwrap();
    let log = Arc::new(sqlite(&folder).await);
    let dispatcher = Dispatcher::new(log.clone(), Upcasters::current());
    dispatcher.dispatch::<Organization>("club", create("Club"), &(), &metadata()).await.unwrap();
    add_keys(&dispatcher, 0, 250).await;
    let snapshot = log.load_snapshot("Organization", "club").await.unwrap().unwrap();
    assert!(
        (151..=250).contains(&snapshot.sequence),
        "at most 100 events are behind it: {}",
        snapshot.sequence
    );
    assert_eq!(snapshot.position, Position(snapshot.sequence));

    // What is not read cannot be missed.
    let mut raw = raw(&folder).await;
    let delete = sqlx::query("delete from events where sequence <= $1").bind(snapshot.sequence.cast_signed());
    delete.execute(&mut raw).await.unwrap();
    let known = dispatcher.dispatch::<Organization>("club", add_key(7), &(), &metadata()).await.unwrap();
    assert_eq!(
        (known.events.len(), known.position),
        (0, Position(251)),
        "the key is known from the snapshot"
    );
    let new = dispatcher.dispatch::<Organization>("club", add_key(900), &(), &metadata()).await.unwrap();
    assert_eq!((new.events.len(), new.position), (1, Position(252)));
}

#[tokio::test]
async fn a_snapshot_that_is_not_understood_is_left_alone_and_made_anew() {
    for spoil in ["update snapshots set shape = 99", "update snapshots set state = '{\"name\": 7}'"] {
        let folder = TempDir::new().unwrap();
        let log = Arc::new(sqlite(&folder).await);
        let dispatcher = Dispatcher::new(log.clone(), Upcasters::current());
        dispatcher.dispatch::<Organization>("club", create("Club"), &(), &metadata()).await.unwrap();
        add_keys(&dispatcher, 0, 120).await;
        sqlx::query(spoil).execute(&mut raw(&folder).await).await.unwrap();

        let known = dispatcher.dispatch::<Organization>("club", add_key(7), &(), &metadata()).await.unwrap();
        assert_eq!(known.events.len(), 0, "the events say the same");
        add_keys(&dispatcher, 500, 2).await;
        let snapshot = log.load_snapshot("Organization", "club").await.unwrap().unwrap();
        assert!(snapshot.sequence >= 122, "{spoil}: {}", snapshot.sequence);
    }
}

/// A connection of the test's own, for doing what the service never does.
async fn raw(folder: &TempDir) -> SqliteConnection {
    open_writer(&folder.path().join("events.sqlite"), Durability::EveryCommit).await.unwrap()
}
