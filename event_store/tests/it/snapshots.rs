//! Stored states of aggregates.

use std::sync::Arc;

use honoken_domain::ids::Digest;
use honoken_domain::organization::{Organization, OrganizationCommand, Scopes};
use honoken_domain::snapshot::Snapshot;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Dispatcher, EventLog, Position, Snapshots, StoredSnapshot};
use serde_json::json;

use crate::dispatching::create;
use crate::note::{append, deadline, metadata};
use crate::numbered::Numbered;
use crate::store::Store;

on_both_engines![
    a_snapshot_is_read_back_and_only_a_newer_one_or_another_shape_takes_its_place,
    an_aggregate_with_many_events_is_loaded_from_its_snapshot_and_the_few_events_behind_it,
    a_snapshot_that_is_not_understood_is_left_alone_and_made_anew,
];

pub(crate) fn add_key(number: usize) -> OrganizationCommand {
    OrganizationCommand::AddApiKey {
        key_digest: Digest::of(number.to_string().as_bytes()),
        label: number.to_string(),
        scopes: Scopes::default(),
        expires_at: None,
    }
}

async fn a_snapshot_is_read_back_and_only_a_newer_one_or_another_shape_takes_its_place(store: Store) {
    let log = store.open().await;
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

/// A dispatcher that holds no states yet, as after a start.
fn fresh(log: &Arc<Numbered>) -> Dispatcher<Numbered> {
    Dispatcher::new(log.clone(), Upcasters::current())
}

/// Adds this many keys, numbered on from `first`.
async fn add_keys(dispatcher: &Dispatcher<Numbered>, first: usize, keys: usize) {
    for number in first..first + keys {
        dispatcher
            .dispatch::<Organization>("club", add_key(number), &(), &metadata(), deadline())
            .await
            .unwrap();
    }
}

async fn an_aggregate_with_many_events_is_loaded_from_its_snapshot_and_the_few_events_behind_it(
    store: Store,
) {
    let log = Arc::new(store.open().await);
    let dispatcher = fresh(&log);
    dispatcher.dispatch::<Organization>("club", create("Club"), &(), &metadata(), deadline()).await.unwrap();
    add_keys(&dispatcher, 0, 250).await;
    let snapshot = log.load_snapshot("Organization", "club").await.unwrap().unwrap();
    assert!(
        (151..=250).contains(&snapshot.sequence),
        "at most 100 events are behind it: {}",
        snapshot.sequence
    );
    assert_eq!(snapshot.position, Position(snapshot.sequence));

    // What is not read cannot be missed.
    store.spoil(&format!("delete from events where sequence <= {}", snapshot.sequence)).await;
    let dispatcher = fresh(&log);
    let known =
        dispatcher.dispatch::<Organization>("club", add_key(7), &(), &metadata(), deadline()).await.unwrap();
    assert_eq!(
        (known.events.len(), known.position),
        (0, Position(251)),
        "the key is known from the snapshot"
    );
    let new = dispatcher
        .dispatch::<Organization>("club", add_key(900), &(), &metadata(), deadline())
        .await
        .unwrap();
    assert_eq!((new.events.len(), new.position), (1, Position(252)));
}

async fn a_snapshot_that_is_not_understood_is_left_alone_and_made_anew(store: Store) {
    let log = Arc::new(store.open().await);
    let dispatcher = fresh(&log);
    dispatcher.dispatch::<Organization>("club", create("Club"), &(), &metadata(), deadline()).await.unwrap();
    add_keys(&dispatcher, 0, 120).await;
    for (round, spoil) in
        ["update snapshots set shape = 99", "update snapshots set state = '{\"name\": 7}'"].iter().enumerate()
    {
        store.spoil(spoil).await;
        let dispatcher = fresh(&log);
        let known = dispatcher
            .dispatch::<Organization>("club", add_key(7), &(), &metadata(), deadline())
            .await
            .unwrap();
        assert_eq!(known.events.len(), 0, "{spoil}: the events say the same");
        add_keys(&dispatcher, 500 + 2 * round, 2).await;
        let snapshot = log.load_snapshot("Organization", "club").await.unwrap().unwrap();
        assert!(snapshot.sequence >= 122, "{spoil}: {}", snapshot.sequence);
        assert_eq!(snapshot.shape, Organization::SHAPE, "{spoil}");
    }
}
