//! States that a dispatcher holds in memory, while other processes append to the same streams: two dispatchers that share nothing but the event
//! log.

use std::sync::Arc;

use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{
    Committed, DispatchError, Dispatcher, EventLog, Position, Snapshots, StoredSnapshot,
};

use crate::note::{Note, NoteCommand, NothingToErase, append, append_payloads, deadline, metadata};
use crate::numbered::Numbered;
use crate::store::Store;

use NoteCommand::{Erase, Write};

on_every_engine![
    a_command_that_an_old_state_would_refuse_is_decided_on_what_others_appended,
    a_command_that_an_old_state_has_fulfilled_is_decided_on_what_others_appended,
    a_change_on_an_old_state_is_made_to_what_others_appended,
    a_refusal_and_an_unchanged_aggregate_are_as_of_what_others_appended,
    an_aggregate_that_did_not_exist_is_found_when_others_made_it,
];

on_both_engines![
    an_event_that_does_not_decode_is_reported_and_the_state_before_it_kept,
    a_state_in_memory_does_not_need_what_is_stored,
];

/// Two processes on one log.
async fn two(store: &Store) -> (Arc<Numbered>, Dispatcher<Numbered>, Dispatcher<Numbered>) {
    let log = Arc::new(store.open().await);
    let process = || Dispatcher::new(log.clone(), Upcasters::current());
    let (here, there) = (process(), process());
    (log, here, there)
}

async fn ask(
    process: &Dispatcher<Numbered>,
    command: NoteCommand,
) -> Result<Committed<Note>, DispatchError<NothingToErase>> {
    process.dispatch::<Note>("n", command, &(), &metadata(), deadline()).await
}

async fn a_command_that_an_old_state_would_refuse_is_decided_on_what_others_appended(store: Store) {
    let (_, here, there) = two(&store).await;
    ask(&here, Write("one")).await.unwrap();
    ask(&here, Erase).await.unwrap();
    ask(&there, Write("two")).await.unwrap();
    let erased = ask(&here, Erase).await.unwrap();
    assert_eq!((erased.events.len(), erased.position), (1, Position(4)));
}

async fn a_command_that_an_old_state_has_fulfilled_is_decided_on_what_others_appended(store: Store) {
    let (_, here, there) = two(&store).await;
    ask(&here, Write("one")).await.unwrap();
    ask(&there, Write("two")).await.unwrap();
    let again = ask(&here, Write("one")).await.unwrap();
    assert_eq!((again.events.len(), again.position), (1, Position(3)));
    assert_eq!(again.aggregate.text(), Some("one"));
}

async fn a_change_on_an_old_state_is_made_to_what_others_appended(store: Store) {
    let (log, here, there) = two(&store).await;
    ask(&here, Write("one")).await.unwrap();
    ask(&there, Write("two")).await.unwrap();
    let changed = ask(&here, Write("three")).await.unwrap();
    assert_eq!((changed.events.len(), changed.position), (1, Position(3)));
    ask(&there, Write("four")).await.unwrap();
    // The state of `here` would write, but what is there says it already.
    let unchanged = ask(&here, Write("four")).await.unwrap();
    assert_eq!((unchanged.events.len(), unchanged.position), (0, Position(4)));
    assert_eq!(*log.head().borrow(), Position(4));
}

async fn a_refusal_and_an_unchanged_aggregate_are_as_of_what_others_appended(store: Store) {
    let (log, here, there) = two(&store).await;
    ask(&here, Write("one")).await.unwrap();
    log.append(append("elsewhere", 0, &["x"])).await.unwrap();
    ask(&there, Write("two")).await.unwrap();
    ask(&there, Write("one")).await.unwrap();
    let unchanged = ask(&here, Write("one")).await.unwrap();
    assert_eq!((unchanged.events.len(), unchanged.position), (0, Position(4)), "the newest event is theirs");

    ask(&there, Erase).await.unwrap();
    let refused = ask(&here, Erase).await;
    assert!(matches!(refused, Err(DispatchError::Refused(NothingToErase))), "{refused:?}");
    assert_eq!(*log.head().borrow(), Position(5), "nobody else wrote");
}

async fn an_aggregate_that_did_not_exist_is_found_when_others_made_it(store: Store) {
    let (_, here, there) = two(&store).await;
    let refused = ask(&here, Erase).await;
    assert!(matches!(refused, Err(DispatchError::Refused(NothingToErase))), "{refused:?}");
    ask(&there, Write("one")).await.unwrap();
    let erased = ask(&here, Erase).await.unwrap();
    assert_eq!((erased.events.len(), erased.position), (1, Position(2)));
}

async fn an_event_that_does_not_decode_is_reported_and_the_state_before_it_kept(store: Store) {
    let (log, here, _) = two(&store).await;
    ask(&here, Write("one")).await.unwrap();
    let two_events = vec![r#"{"Noted":"two"}"#.into(), r#"{"Painted":"red"}"#.into()];
    log.append(append_payloads("n", 1, two_events)).await.unwrap();
    for command in [Write("one"), Write("three"), Erase] {
        let fault = ask(&here, command.clone()).await.unwrap_err();
        assert!(matches!(fault, DispatchError::Undecodable { sequence: 3, .. }), "{command:?}: {fault}");
    }
    assert_eq!(*log.head().borrow(), Position(3), "nothing is decided on half of a stream");

    store.spoil(r#"update events set payload = '{"Noted":"one"}' where position = 3"#).await;
    let unchanged = ask(&here, Write("one")).await.unwrap();
    assert_eq!((unchanged.events.len(), unchanged.position), (0, Position(3)));
}

async fn a_state_in_memory_does_not_need_what_is_stored(store: Store) {
    let (log, here, _) = two(&store).await;
    ask(&here, Write("one")).await.unwrap();
    log.append(append("n", 1, &["two"])).await.unwrap();
    // A stored state that is a lie, ahead of which only the state in memory and the events behind it are right.
    let lie =
        StoredSnapshot { sequence: 1, position: Position(1), shape: 1, state: r#"{"text":"lie"}"#.into() };
    log.store_snapshot("Note", "n".into(), lie);
    let changed = ask(&here, Write("three")).await.unwrap();
    assert_eq!((changed.events.len(), changed.position), (1, Position(3)));
    store.spoil("delete from events where sequence < 3").await;
    let unchanged = ask(&here, Write("three")).await.unwrap();
    assert_eq!((unchanged.events.len(), unchanged.position), (0, Position(3)));
}

/// In a file, which a process has for itself. On a server the process ends: `set_back.rs`.
#[tokio::test]
async fn a_state_that_is_ahead_of_a_log_that_was_set_back_is_given_up() {
    let store = Store::sqlite();
    let (log, here, _) = two(&store).await;
    ask(&here, Write("one")).await.unwrap();
    ask(&here, Write("two")).await.unwrap();
    store.spoil("delete from events where sequence = 2").await;
    let changed = ask(&here, Write("three")).await.unwrap();
    assert_eq!((changed.events.len(), changed.aggregate.text()), (1, Some("three")));
    let sequences: Vec<_> =
        log.load::<Note>("n", 0).await.unwrap().into_iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 2]);
}
