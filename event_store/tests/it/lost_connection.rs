//! A connection that is lost in the middle of a commit: what an append is answered is what became of it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{
    Append, AppendError, DispatchError, Dispatcher, EventLog, LogError, Position, PostgresLog,
};

use crate::note::{Note, NoteCommand, append, deadline, metadata};
use crate::proxy::{Network, Proxy};
use crate::store::{EPOCH, Store, open};

/// An event log with one event, reached over a network of the test's own.
struct Remote {
    log: Arc<PostgresLog>,
    proxy: Proxy,
    /// The same log, reached directly.
    witness: PostgresLog,
    _store: Store,
}

async fn remote() -> Remote {
    let store = Store::postgres().await;
    let Store::Postgres(database) = &store else { unreachable!("just made") };
    let proxy = Proxy::start(database.url()).await;
    let log = Arc::new(open(proxy.url(), EPOCH).await);
    log.append(append("first", 0, &["x"])).await.unwrap();
    Remote { log, proxy, witness: open(database.url(), EPOCH).await, _store: store }
}

/// One event for each of five notes.
fn five() -> Vec<Append> {
    ["a", "b", "c", "d", "e"].iter().map(|note| append(note, 0, &["x"])).collect()
}

/// Appends that are queued before the writer, on the same thread, can take the first: they are committed together.
async fn together(log: &PostgresLog, appends: Vec<Append>) -> Vec<Result<Position, AppendError>> {
    let mut waiting: Vec<Pin<Box<_>>> = appends.into_iter().map(|one| Box::pin(log.append(one))).collect();
    std::future::poll_fn(|context| {
        for append in &mut waiting {
            assert!(append.as_mut().poll(context).is_pending());
        }
        Poll::Ready(())
    })
    .await;
    let mut outcomes = Vec::new();
    for append in waiting {
        outcomes.push(append.await);
    }
    outcomes
}

impl Remote {
    /// The streams in the order of the event log, after the first event.
    async fn streams(&self) -> Vec<String> {
        let events = self.witness.read_after(Position(1), 100).await.unwrap();
        let positions: Vec<_> = events.iter().map(|event| event.position.0).collect();
        assert_eq!(positions, (2..).take(events.len()).collect::<Vec<_>>(), "no gap");
        events.into_iter().map(|event| event.event.aggregate_id).collect()
    }
}

#[tokio::test]
async fn a_commit_that_did_not_reach_the_server_is_an_error_and_wrote_nothing() {
    let remote = remote().await;
    remote.proxy.becomes(Network::LosesCommit);
    for outcome in together(&remote.log, five()).await {
        assert!(
            matches!(outcome, Err(AppendError::Log(LogError::Unavailable { doing: "written", .. }))),
            "{outcome:?}"
        );
    }
    assert_eq!(remote.proxy.network(), Network::Works, "the commit was lost");
    assert!(remote.streams().await.is_empty());
    assert_eq!(*remote.log.head().borrow(), Position(1));

    let positions: Vec<_> =
        together(&remote.log, five()).await.into_iter().map(|outcome| outcome.unwrap().0).collect();
    assert_eq!(positions, [2, 3, 4, 5, 6], "the same log goes on, and no position was spent");
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_answered_as_what_it_was() {
    let remote = remote().await;
    remote.proxy.becomes(Network::LosesAnswer);
    let mut appends = five();
    appends.push(append("first", 0, &["stale"]));
    let outcomes = together(&remote.log, appends).await;
    let positions: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().ok().map(|p| p.0)).collect();
    assert_eq!(positions, [Some(2), Some(3), Some(4), Some(5), Some(6), None]);
    assert!(matches!(outcomes[5], Err(AppendError::Conflict)), "{:?}", outcomes[5]);
    assert_eq!(remote.proxy.network(), Network::Works, "the answer was lost");
    assert_eq!(remote.streams().await, ["a", "b", "c", "d", "e"], "once each");
    assert_eq!(*remote.log.head().borrow(), Position(6));
    assert_eq!(remote.log.append(append("a", 1, &["y"])).await.unwrap(), Position(7));
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_with_the_server_is_unknown_and_repeating_it_changes_nothing() {
    let remote = remote().await;
    remote.proxy.becomes(Network::LosesAnswerAndIsGone);
    for outcome in together(&remote.log, five()).await {
        assert!(matches!(outcome, Err(AppendError::Unknown(_))), "{outcome:?}");
    }
    assert_eq!(remote.streams().await, ["a", "b", "c", "d", "e"], "it was committed, and nobody can know");

    remote.proxy.becomes(Network::Works);
    let dispatcher = Dispatcher::new(remote.log.clone(), Upcasters::current());
    for (note, position) in ["a", "b", "c", "d", "e"].into_iter().zip(2..) {
        let again = dispatcher
            .dispatch::<Note>(note, NoteCommand::Write("x"), &(), &metadata(), deadline())
            .await
            .unwrap();
        assert_eq!((again.events.len(), again.position), (0, Position(position)), "{note}");
    }
    assert_eq!(remote.streams().await, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn a_command_whose_outcome_is_unknown_is_decided_anew_when_it_comes_again() {
    for (lost, is_there) in [(Network::LosesCommitAndIsGone, false), (Network::LosesAnswerAndIsGone, true)] {
        let remote = remote().await;
        let dispatcher = Dispatcher::new(remote.log.clone(), Upcasters::current());
        let ask = async |text| {
            dispatcher.dispatch::<Note>("n", NoteCommand::Write(text), &(), &metadata(), deadline()).await
        };
        ask("one").await.unwrap();
        remote.proxy.becomes(lost);
        let fault = ask("two").await.unwrap_err();
        assert!(matches!(fault, DispatchError::OutcomeUnknown(_)), "{lost:?}: {fault}");
        remote.proxy.becomes(Network::Works);
        let again = ask("two").await.unwrap();
        assert_eq!((again.events.is_empty(), again.position), (is_there, Position(3)), "{lost:?}");
        assert_eq!(again.aggregate.text(), Some("two"));
        assert_eq!(remote.streams().await, ["n", "n"], "{lost:?}");
    }
}
