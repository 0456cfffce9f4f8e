//! Group commit: one task takes the appends that wait, has them committed together, and answers each.
//!
//! Everything that is the same for both engines is here: the queue, the batches, and deciding which appends are stale. An engine only says how a
//! batch gets to disk ([`Commit`]).

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use sqlx::error::BoxDynError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::error::{AppendError, LogError};
use crate::event::{Append, NewEvent};
use crate::gathering::Gathering;
use crate::position::Position;
use crate::snapshots::StoredSnapshot;
use honoken_telemetry::error_chain;

/// Appends committed with one sync at the most, so that the last of a crowd does not wait for all of it.
const BATCH: usize = 256;

/// Appends that may wait; more make their callers wait.
const QUEUE: usize = 256;

/// Between two probes of a store that has refused a change.
const BETWEEN_PROBES: Duration = Duration::from_secs(1);

/// Type and id of an aggregate, and its state.
pub(crate) type NewSnapshot = (&'static str, String, StoredSnapshot);

/// How long an engine is ready for a batch that does not come.
const LONELY: Duration = Duration::from_secs(1);

/// How a batch gets to disk.
pub(crate) trait Commit: Send + 'static {
    /// Commits the appends that are not stale, and answers every append in order, once that is on disk.
    fn commit(
        &mut self,
        appends: Vec<Append>,
        snapshots: &[NewSnapshot],
    ) -> impl Future<Output = Result<Vec<Outcome>, Failure>> + Send;

    /// Begins the next batch, as far as that can be done before it is known, while its callers decide. Gives whether it has: if nobody comes for
    /// [`LONELY`], [`stand_down`](Self::stand_down) follows. A failure shows when the batch is there.
    fn get_ready(&mut self) -> impl Future<Output = bool> + Send {
        async { false }
    }

    /// Undoes that.
    fn stand_down(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Writes about so many bytes where they do no harm, and deletes them: whether anything can be written.
    fn probe(&mut self, bytes: usize) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Ends the engine after its last batch.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// The outcome of an append whose batch was committed.
pub(crate) type Outcome = Result<Position, AppendError>;

/// The failure of a batch that could not be committed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nothing was written.
    #[error("no event was written")]
    Refused(#[source] sqlx::Error),
    /// The store did not say whether it was.
    #[error("it is not known whether the events were written")]
    Unknown(#[source] sqlx::Error),
}

/// A request to the task.
#[derive(Debug)]
enum Request {
    /// An append, and the receiver of its outcome.
    Append { append: Append, answer: oneshot::Sender<Outcome> },
    /// A snapshot, whose caller does not wait.
    Snapshot(NewSnapshot),
}

/// The way to the task. When it is closed, waiting requests are finished first.
#[derive(Debug)]
pub(crate) struct GroupCommit {
    requests: mpsc::Sender<Request>,
    task: JoinHandle<()>,
    refuses: watch::Receiver<bool>,
}

impl GroupCommit {
    pub(crate) fn start<C: Commit>(engine: C) -> Self {
        let (requests, queue) = mpsc::channel(QUEUE);
        let (refusal, refuses) = Refusal::new();
        Self { requests, task: tokio::spawn(run(engine, queue, refusal)), refuses }
    }

    /// Whether the store refused the last change, and nothing has shown since that it takes changes.
    pub(crate) fn refuses_writes(&self) -> bool {
        *self.refuses.borrow()
    }

    pub(crate) async fn append(&self, append: Append) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Append { append, answer }).await.map_err(|_| LogError::Closed)?;
        answered.await.map_err(|_| LogError::Closed)?
    }

    /// Stores a snapshot soon, if there is room for it: when there is none, some later command for the aggregate offers a newer one.
    pub(crate) fn store_snapshot(&self, snapshot: NewSnapshot) {
        let _ = self.requests.try_send(Request::Snapshot(snapshot));
    }

    /// Ends when the task does, which it never should before [`GroupCommit::close`].
    pub(crate) async fn ended(&self) {
        self.requests.closed().await;
    }

    pub(crate) async fn close(self) {
        drop(self.requests);
        if let Err(fault) = self.task.await {
            tracing::error!(error = %fault, "the writer of the event log ended with an error");
        }
    }
}

async fn run<C: Commit>(mut engine: C, mut queue: mpsc::Receiver<Request>, mut refusal: Refusal) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut gathering = Gathering::default();
    let mut is_ready = false;
    loop {
        let received = queue.recv_many(&mut batch, BATCH);
        let received = match refusal.bytes {
            Some(bytes) => {
                let Ok(received) = timeout(BETWEEN_PROBES, received).await else {
                    refusal.on_probe(&engine.probe(bytes).await);
                    continue;
                };
                received
            }
            None if is_ready => {
                let Ok(received) = timeout(LONELY, received).await else {
                    engine.stand_down().await;
                    is_ready = false;
                    continue;
                };
                received
            }
            None => received.await,
        };
        if received == 0 {
            break;
        }
        gathering.fill(&mut batch, &mut queue, BATCH).await;
        let (answering, begun) = (batch.len(), Instant::now());
        serve(&mut engine, &mut batch, &mut refusal).await;
        gathering.learn(answering, begun.elapsed(), queue.len());
        is_ready = refusal.bytes.is_none() && engine.get_ready().await;
    }
    engine.close().await;
}

async fn serve<C: Commit>(engine: &mut C, batch: &mut Vec<Request>, refusal: &mut Refusal) {
    let (mut appends, mut answers, mut snapshots) = (Vec::new(), Vec::new(), Vec::new());
    for request in batch.drain(..) {
        match request {
            Request::Append { append, answer } => {
                appends.push(append);
                answers.push(answer);
            }
            Request::Snapshot(snapshot) => snapshots.push(snapshot),
        }
    }
    let bytes = appends.iter().map(size).min().unwrap_or_default();
    let outcomes = match engine.commit(appends, &snapshots).await {
        Ok(outcomes) => {
            if outcomes.iter().any(Result::is_ok) {
                refusal.end();
            }
            outcomes
        }
        Err(failure) => {
            let (Failure::Refused(fault) | Failure::Unknown(fault)) = &failure;
            refusal.begin(fault, bytes);
            tracing::error!(
                error = error_chain(fault),
                appends = answers.len(),
                "could not append to the event log"
            );
            answers.iter().map(|_| Err(failure.shared())).collect()
        }
    };
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        // A caller that has gone away keeps its append and hears nothing of it.
        let _ = answer.send(outcome);
    }
}

/// About as many bytes as an append takes.
fn size(append: &Append) -> usize {
    let event = |event: &NewEvent| event.payload.len() + append.metadata.len();
    append.events.iter().map(event).sum()
}

/// A store that takes no changes: a full disk, a database that became read-only, a server that is unavailable.
struct Refusal {
    /// The size of the smallest append that was refused last; `None` while there is no refusal.
    bytes: Option<usize>,
    told: watch::Sender<bool>,
}

impl Refusal {
    fn new() -> (Self, watch::Receiver<bool>) {
        let (told, refuses) = watch::channel(false);
        (Self { bytes: None, told }, refuses)
    }

    /// A batch has failed. A complaint of the store about the values in it says nothing of other values.
    fn begin(&mut self, fault: &sqlx::Error, bytes: usize) {
        if !is_about_values(fault) {
            self.bytes = Some(bytes);
            self.told.send_replace(true);
        }
    }

    fn on_probe(&mut self, probed: &sqlx::Result<()>) {
        match probed {
            Ok(()) => self.end(),
            Err(fault) => tracing::debug!(error = error_chain(fault), "the event log still refuses changes"),
        }
    }

    fn end(&mut self) {
        if self.bytes.take().is_some() {
            self.told.send_replace(false);
            tracing::info!("the event log accepts changes again");
        }
    }
}

/// Whether a store refuses these values, and not any: Postgres's classes for data and constraints, SQLite's codes for constraints, types and
/// values that are too large.
fn is_about_values(fault: &sqlx::Error) -> bool {
    let database = fault.as_database_error();
    let Some(code) = database.and_then(sqlx::error::DatabaseError::code) else { return false };
    // SQLite's codes are shorter than Postgres's.
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => [18, 19, 20].contains(&(number & 0xff)),
        _ => code.starts_with("22") || code.starts_with("23"),
    }
}

impl Failure {
    /// `sqlx::Error` cannot be cloned, and every append of the batch needs one; the log output has the original.
    fn shared(&self) -> AppendError {
        match self {
            Self::Refused(fault) => LogError::Unavailable { doing: "written", source: text_of(fault) }.into(),
            Self::Unknown(fault) => AppendError::Unknown(text_of(fault)),
        }
    }
}

fn text_of(fault: &sqlx::Error) -> BoxDynError {
    error_chain(fault).into()
}

/// The last sequence of each stream that is written to; a stream that is missing here is empty.
pub(crate) type StreamHeads = HashMap<(&'static str, String), u64>;

/// Type and id of the aggregate of each append.
pub(crate) fn streams(appends: &[Append]) -> impl Iterator<Item = (&'static str, &str)> {
    appends.iter().map(|append| (append.aggregate_type, append.aggregate_id.as_str()))
}

/// An event with its place.
#[derive(Debug, Clone)]
pub(crate) struct NewRow {
    pub(crate) position: u64,
    pub(crate) aggregate_type: &'static str,
    pub(crate) aggregate_id: String,
    pub(crate) sequence: u64,
    pub(crate) event_type: String,
    pub(crate) event_version: String,
    pub(crate) payload: String,
    pub(crate) metadata: String,
    pub(crate) recorded_at_ms: i64,
}

/// The result of a batch, once it is committed.
#[derive(Debug)]
pub(crate) struct Decided {
    /// The position of the last event.
    pub(crate) head: Position,
    pub(crate) rows: Vec<NewRow>,
    pub(crate) outcomes: Vec<Outcome>,
}

/// Gives every event its place, behind `head`; an append that is stale gets a conflict and leaves the others alone.
pub(crate) fn decide(head: Position, mut heads: StreamHeads, appends: Vec<Append>) -> Decided {
    let mut position = head.0;
    let mut rows = Vec::with_capacity(appends.len());
    let mut outcomes = Vec::with_capacity(appends.len());
    for append in appends {
        let sequence = heads.entry((append.aggregate_type, append.aggregate_id.clone())).or_default();
        if *sequence != append.expected_sequence {
            outcomes.push(Err(AppendError::Conflict));
            continue;
        }
        for event in append.events {
            *sequence += 1;
            position += 1;
            rows.push(NewRow {
                position,
                aggregate_type: append.aggregate_type,
                aggregate_id: append.aggregate_id.clone(),
                sequence: *sequence,
                event_type: event.event_type,
                event_version: event.event_version,
                payload: event.payload,
                metadata: append.metadata.clone(),
                recorded_at_ms: append.recorded_at_ms,
            });
        }
        outcomes.push(Ok(Position(position)));
    }
    Decided { head: Position(position), rows, outcomes }
}
