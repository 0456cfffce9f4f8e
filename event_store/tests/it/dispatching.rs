//! From a command to committed events.

use std::sync::Arc;

use cqrs_es::persist::SemanticVersionEventUpcaster;
use honoken_domain::ids::OrganizationId;
use honoken_domain::organization::{Organization, OrganizationCommand, OrganizationError};
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Append, Committed, DispatchError, Dispatcher, EventLog, NewEvent, Position};
use serde_json::json;
use tokio::task::JoinSet;

use crate::note::{append, deadline, metadata};
use crate::snapshots::add_key;
use crate::store::Store;

on_every_engine![
    dispatch_returns_the_events_it_committed_and_where,
    what_is_not_admitted_is_not_appended_and_was_decided_on_the_newest_state,
    a_command_is_decided_on_events_of_earlier_versions,
];

on_every_engine![threads = 4; writers_that_do_not_know_of_each_other_retry_until_all_are_done];

pub(crate) fn create(name: &str) -> OrganizationCommand {
    OrganizationCommand::Create {
        organization_id: OrganizationId::parse("club").unwrap(),
        name: name.into(),
        test: false,
    }
}

async fn dispatch_returns_the_events_it_committed_and_where(store: Store) {
    let log = Arc::new(store.open().await);
    let dispatcher = Dispatcher::new(log.clone(), Upcasters::current());
    let first = dispatcher
        .dispatch::<Organization>("club", create("Club"), &(), &metadata(), deadline())
        .await
        .unwrap();
    assert_eq!((first.events.len(), first.position), (1, Position(1)));
    let again = dispatcher
        .dispatch::<Organization>("club", create("Club"), &(), &metadata(), deadline())
        .await
        .unwrap();
    assert_eq!((again.events.len(), again.position), (0, Position(1)), "nothing changed, nothing is written");
    let refused =
        dispatcher.dispatch::<Organization>("club", create("Other"), &(), &metadata(), deadline()).await;
    assert!(matches!(refused, Err(DispatchError::Refused(OrganizationError::AlreadyCreated))));
    assert_eq!(*log.head().borrow(), Position(1));
    let stored = &log.read_after(Position(0), 1).await.unwrap()[0];
    assert_eq!(stored.event.metadata, json!({ "actor": "test", "requestId": "r-1" }));
}

async fn what_is_not_admitted_is_not_appended_and_was_decided_on_the_newest_state(store: Store) {
    let log = Arc::new(store.open().await);
    // As two processes would have them.
    let [one, other] = [(); 2].map(|()| Dispatcher::new(log.clone(), Upcasters::current()));
    one.dispatch::<Organization>("club", create("Club"), &(), &metadata(), deadline()).await.unwrap();
    other.dispatch::<Organization>("club", create("Club"), &(), &metadata(), deadline()).await.unwrap();
    one.dispatch::<Organization>("club", add_key(1), &(), &metadata(), deadline()).await.unwrap();
    let mut seen = Vec::new();
    let mut adds = async |key| {
        let admits = |events: &[_]| {
            seen.push(events.len());
            Err("no")
        };
        other
            .dispatch_if::<Organization, _>("club", add_key(key), &(), &metadata(), deadline(), admits)
            .await
            .unwrap()
    };
    let known = adds(1).await.expect("there is nothing to write, as the other one has written it");
    assert_eq!((known.events.len(), known.position), (0, Position(2)));
    assert_eq!(adds(2).await.map(|committed| committed.position), Err("no"));
    assert_eq!(seen, [1, 1]);
    assert_eq!(*log.head().borrow(), Position(2));
    let admitted =
        other.dispatch_if("club", add_key(2), &(), &metadata(), deadline(), |_: &[_]| Ok::<_, ()>(())).await;
    let admitted: Committed<Organization> = admitted.unwrap().unwrap();
    assert_eq!((admitted.events.len(), admitted.position), (1, Position(3)));
}

async fn writers_that_do_not_know_of_each_other_retry_until_all_are_done(store: Store) {
    let log = Arc::new(store.open().await);
    // Two dispatchers, as two processes would have, each with locks and states of its own.
    let dispatchers = [
        Arc::new(Dispatcher::new(log.clone(), Upcasters::current())),
        Arc::new(Dispatcher::new(log.clone(), Upcasters::current())),
    ];
    dispatchers[0]
        .dispatch::<Organization>("club", create("Club"), &(), &metadata(), deadline())
        .await
        .unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..40 {
        let dispatcher = dispatchers[number % 2].clone();
        tasks.spawn(async move {
            dispatcher
                .dispatch::<Organization>("club", add_key(number), &(), &metadata(), deadline())
                .await
                .unwrap()
                .events
                .len()
        });
    }
    assert_eq!(tasks.join_all().await, vec![1; 40]);
    let stream = log.load::<Organization>("club", 0).await.unwrap();
    assert_eq!(stream.iter().map(|event| event.sequence).collect::<Vec<_>>(), (1..=41).collect::<Vec<_>>());
}

async fn a_command_is_decided_on_events_of_earlier_versions(store: Store) {
    let log = Arc::new(store.open().await);
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
    let same = dispatcher
        .dispatch::<Organization>("club", create("Club"), &(), &metadata(), deadline())
        .await
        .unwrap();
    assert_eq!((same.events.len(), same.position), (0, Position(1)), "the old event was understood");

    let ignorant = Dispatcher::new(log, Upcasters::current());
    let fault = ignorant
        .dispatch::<Organization>("club", create("Club"), &(), &metadata(), deadline())
        .await
        .unwrap_err();
    assert!(matches!(fault, DispatchError::Undecodable { sequence: 1, .. }), "{fault}");
}
