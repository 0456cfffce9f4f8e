//! A stream that other processes change all the time: a command is decided anew until there is no time left, and waits in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cqrs_es::persist::SerializedEvent;
use cqrs_es::{Aggregate, DomainEvent};
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{
    Append, AppendError, DispatchError, Dispatcher, Epoch, EventLog, LogError, Position, RecordedEvent,
    Snapshots, StoredSnapshot,
};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::note::{Note, NoteCommand, NoteEvent, deadline, metadata};

/// An event log that another process appends to between each reading and the append that follows, so many times.
struct Contended {
    faster: u64,
    appended: AtomicU64,
    attempts: AtomicU64,
}

impl Contended {
    fn new(faster: u64) -> Arc<Self> {
        Arc::new(Self { faster, appended: AtomicU64::new(0), attempts: AtomicU64::new(0) })
    }
}

impl EventLog for Contended {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let appended = self.appended.load(Ordering::Relaxed);
        if appended < self.faster {
            self.appended.store(appended + 1, Ordering::Relaxed);
            return Err(AppendError::Conflict);
        }
        assert_eq!(append.expected_sequence, appended, "decided on what the others appended");
        Ok(Position(appended + 1))
    }

    async fn load<A: Aggregate>(&self, id: &str, after: u64) -> Result<Vec<SerializedEvent>, LogError> {
        let event = |sequence: u64| {
            let event = NoteEvent::Noted(format!("theirs {sequence}"));
            let payload = serde_json::to_value(&event).unwrap();
            let (kind, version) = (event.event_type(), event.event_version());
            let sequence = usize::try_from(sequence).unwrap();
            SerializedEvent::new(id.into(), sequence, A::TYPE.into(), kind, version, payload, json!({}))
        };
        Ok((after + 1..=self.appended.load(Ordering::Relaxed)).map(event).collect())
    }

    async fn history<A: Aggregate>(&self, _: &str, _: u64, _: u32) -> Result<Vec<RecordedEvent>, LogError> {
        Ok(Vec::new())
    }

    async fn position_of<A: Aggregate>(&self, _: &str, sequence: u64) -> Result<Option<Position>, LogError> {
        Ok(Some(Position(sequence)))
    }

    async fn read_after(&self, _: Position, _: u32) -> Result<Vec<RecordedEvent>, LogError> {
        Ok(Vec::new())
    }

    fn head(&self) -> watch::Receiver<Position> {
        watch::channel(Position(0)).1
    }

    fn epoch(&self) -> Epoch {
        Epoch(1)
    }
}

impl Snapshots for Contended {
    async fn load_snapshot(&self, _: &str, _: &str) -> Result<Option<StoredSnapshot>, LogError> {
        Ok(None)
    }

    fn store_snapshot(&self, _: &'static str, _: String, _: StoredSnapshot) {}
}

#[tokio::test]
async fn a_command_is_decided_anew_as_often_as_it_takes() {
    let log = Contended::new(50);
    let dispatcher = Dispatcher::new(log.clone(), Upcasters::current());
    let command = NoteCommand::Write("mine");
    let committed = dispatcher.dispatch::<Note>("n", command, &(), &metadata(), deadline()).await.unwrap();
    assert_eq!((committed.events.len(), committed.position), (1, Position(51)));
    assert_eq!(committed.aggregate.text(), Some("mine"));
    assert_eq!(log.attempts.load(Ordering::Relaxed), 51);
}

#[tokio::test]
async fn a_command_is_given_up_at_its_deadline_and_not_tried_in_a_busy_loop_before() {
    let log = Contended::new(u64::MAX);
    let dispatcher = Dispatcher::new(log.clone(), Upcasters::current());
    let deadline = Instant::now() + Duration::from_secs(3);
    let command = NoteCommand::Write("mine");
    let given_up = dispatcher.dispatch::<Note>("n", command, &(), &metadata(), deadline).await;
    assert!(matches!(given_up, Err(DispatchError::Conflict)), "{given_up:?}");
    // Without pauses there would be as many as the processor can do: tens of thousands.
    let attempts = log.attempts.load(Ordering::Relaxed);
    assert!((9..2_000).contains(&attempts), "{attempts} attempts");
}
