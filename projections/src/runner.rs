//! Follows the log: a batch of events and the checkpoint in one transaction.
//!
//! Whatever kills the process, the tables and the checkpoint agree: after a restart the runner reads on from the checkpoint, and an event
//! that is read twice finds its sequence in the row already.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::Aggregate;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Committed, EventLog, LogError, Position, RecordedEvent};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::apply::{ApplyError, apply};
use crate::parked::{self, AggregateKey};
use crate::read_model::ReadModel;

/// The name under which this projection keeps its checkpoint; frozen.
pub const WALLET: &str = "wallet";

/// Raised when the tables change their meaning; a rebuild follows.
pub const VERSION: i64 = 1;

/// Events applied in one transaction at the most.
const BATCH: u32 = 250;

/// Asks the log without having been woken, in case a wake-up was lost.
const POLL: Duration = Duration::from_secs(1);

/// Waits after a failure, from the first to the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How far the read model is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything up to here is visible, but for what is parked.
    pub position: Position,
    /// Aggregates whose rows stand still because an event of theirs is parked.
    pub parked: Arc<BTreeSet<AggregateKey>>,
}

/// Why an operator's request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// No event at this position is parked, or it waits behind another one.
    #[error(
        "no event at this position can be retried or skipped: it is not parked, or it waits behind an earlier one"
    )]
    NotParked,
    /// It was tried and failed again.
    #[error("the event could still not be applied: {0}")]
    StillUnappliable(String),
    /// The store is away.
    #[error("the read model could not be written")]
    Store(#[source] sqlx::Error),
    /// The log is away.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The projector has been stopped.
    #[error("the projector is not running")]
    Stopped,
}

enum Operation {
    Retry { position: Position, answer: oneshot::Sender<Result<(), OperationError>> },
    Skip { position: Position, reason: String, answer: oneshot::Sender<Result<(), OperationError>> },
}

/// The handle on a running projector. Clones speak to the same one.
#[derive(Debug, Clone)]
pub struct Projector {
    progress: watch::Receiver<Progress>,
    operations: mpsc::Sender<Operation>,
}

impl Projector {
    /// Starts following the log; the returned future does the work and ends after `stop`.
    ///
    /// # Errors
    /// When the checkpoint cannot be read, or is of another log than this one.
    pub async fn start<L: EventLog>(
        log: Arc<L>,
        upcasters: Upcasters,
        read_model: ReadModel,
        stop: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), sqlx::Error> {
        let mut connection = read_model.open_writer().await?;
        let progress = load_progress(&mut connection).await?;
        let head = *log.head().borrow();
        if progress.position > head {
            return Err(ahead_of_the_log(progress.position, head));
        }
        let (progress_sender, progress_receiver) = watch::channel(progress);
        let (operations, requests) = mpsc::channel(16);
        let runner = Runner {
            log,
            upcasters,
            read_model,
            connection: Some(connection),
            progress: progress_sender,
            behind: 0,
        };
        let handle = Self { progress: progress_receiver, operations };
        Ok((handle, runner.run(requests, stop)))
    }

    /// How far the read model is; changes wake whoever waits.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Waits until readers see what a command led to, but no longer than `limit`. `false` when they do not: it takes longer, or an event of
    /// the aggregate is parked.
    pub async fn shows<A: Aggregate>(&self, committed: &Committed<A>, limit: Duration) -> bool {
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|progress| progress.position >= committed.position);
        match tokio::time::timeout(limit, reached).await {
            Ok(Ok(progress)) => {
                !progress.parked.contains(&(A::TYPE.to_owned(), committed.aggregate_id.clone()))
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Tries a parked event again, and then those that wait behind it.
    pub async fn retry(&self, position: Position) -> Result<(), OperationError> {
        self.ask(|answer| Operation::Retry { position, answer }).await
    }

    /// Does without a parked event, for a reason that is kept, and applies those that wait behind it. The log still has it: commands for an
    /// aggregate with an event that does not decode go on failing.
    pub async fn skip(&self, position: Position, reason: String) -> Result<(), OperationError> {
        self.ask(|answer| Operation::Skip { position, reason, answer }).await
    }

    async fn ask(
        &self,
        operation: impl FnOnce(oneshot::Sender<Result<(), OperationError>>) -> Operation,
    ) -> Result<(), OperationError> {
        let (answer, answered) = oneshot::channel();
        self.operations.send(operation(answer)).await.map_err(|_| OperationError::Stopped)?;
        answered.await.map_err(|_| OperationError::Stopped)?
    }
}

struct Runner<L> {
    log: Arc<L>,
    upcasters: Upcasters,
    read_model: ReadModel,
    /// `None` after a failure, until it has been opened again.
    connection: Option<SqliteConnection>,
    progress: watch::Sender<Progress>,
    /// Failures in a row.
    behind: u32,
}

/// Why a batch was given up.
enum BatchError {
    /// One of its events cannot be applied: the batch is done again event by event.
    Unappliable,
    Store(sqlx::Error),
}

impl From<sqlx::Error> for BatchError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Store(fault)
    }
}

impl<L: EventLog> Runner<L> {
    async fn run(mut self, mut operations: mpsc::Receiver<Operation>, stop: CancellationToken) {
        let mut head = self.log.head();
        loop {
            let wait = match self.catch_up(&mut operations, &stop).await {
                Ok(()) => {
                    self.behind = 0;
                    POLL
                }
                Err(fault) => {
                    let wait = BACK_OFF.1.min(BACK_OFF.0 * 2_u32.saturating_pow(self.behind));
                    self.behind += 1;
                    tracing::error!(error = %fault, source = ?fault.source(), "the projection stands still, next try in {wait:?}");
                    wait
                }
            };
            let position = self.progress.borrow().position;
            tokio::select! {
                () = stop.cancelled() => break,
                // Without a handle there is nobody left to ask; the log is followed all the same.
                Some(operation) = operations.recv() => self.operate(operation).await,
                () = grown_beyond(&mut head, position), if self.behind == 0 => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        if let Some(connection) = self.connection
            && let Err(fault) = connection.close().await
        {
            tracing::error!(error = %fault, "the read model did not close cleanly");
        }
    }

    /// Applies what the log has. Operators get their turn between batches: the end of the log may be long in coming.
    async fn catch_up(
        &mut self,
        operations: &mut mpsc::Receiver<Operation>,
        stop: &CancellationToken,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        while !stop.is_cancelled() {
            if let Ok(operation) = operations.try_recv() {
                self.operate(operation).await;
            }
            let position = self.position().await?;
            let events = read(&*self.log, position, BATCH).await?;
            if events.is_empty() {
                break;
            }
            let last = events.last().map_or(position, |event| event.position);
            match self.apply_batch(events).await {
                Ok(()) => {}
                Err(BatchError::Unappliable) => self.apply_one_by_one(last).await?,
                Err(BatchError::Store(fault)) => return Err(fault.into()),
            }
        }
        Ok(())
    }

    /// The usual way: all events in one transaction.
    async fn apply_batch(&mut self, events: Vec<RecordedEvent>) -> Result<(), BatchError> {
        let mut connection = self.take_connection().await?;
        let before = self.progress.borrow().clone();
        let applied = apply_all(&mut connection, &self.upcasters, events, before).await;
        self.keep(connection, &applied).await;
        self.progress.send_replace(applied?);
        Ok(())
    }

    /// The slow way, when an event up to `last` cannot be applied: each in a transaction of its own, and that one is parked.
    async fn apply_one_by_one(
        &mut self,
        last: Position,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        loop {
            let position = self.position().await?;
            let next = read(&*self.log, position, 1).await?;
            let Some(recorded) = next.first().filter(|event| event.position <= last).cloned() else {
                return Ok(());
            };
            match self.apply_batch(next).await {
                Ok(()) => {}
                Err(BatchError::Store(fault)) => return Err(fault.into()),
                Err(BatchError::Unappliable) => self.park(recorded).await?,
            }
        }
    }

    async fn park(&mut self, recorded: RecordedEvent) -> sqlx::Result<()> {
        let mut connection = self.take_connection().await?;
        let parked = park_one(&mut connection, &self.upcasters, recorded).await;
        self.keep(connection, &parked).await;
        self.progress.send_replace(parked?);
        Ok(())
    }

    async fn operate(&mut self, operation: Operation) {
        let (outcome, answer) = match operation {
            Operation::Retry { position, answer } => (self.resume(position, None).await, answer),
            Operation::Skip { position, reason, answer } => {
                (self.resume(position, Some(&reason)).await, answer)
            }
        };
        // An operator that has gone away sees the outcome in the list of parked events.
        let _ = answer.send(outcome);
    }

    /// Lets an aggregate go on: without the parked event when there is a reason to skip it, else with it.
    async fn resume(&mut self, position: Position, skip: Option<&str>) -> Result<(), OperationError> {
        let mut connection = self.take_connection().await.map_err(OperationError::Store)?;
        let resumed = resume(&mut connection, &*self.log, &self.upcasters, position, skip).await;
        self.keep(connection, &resumed).await;
        let (progress, outcome) = resumed?;
        self.progress.send_replace(progress);
        outcome
    }

    /// How far the file is.
    async fn position(&mut self) -> sqlx::Result<Position> {
        self.connection = Some(self.take_connection().await?);
        Ok(self.progress.borrow().position)
    }

    /// The connection. After a failure it is a new one, and the file is asked what it holds, since the driver cannot say how far a
    /// failed commit came.
    async fn take_connection(&mut self) -> sqlx::Result<SqliteConnection> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let mut connection = self.read_model.open_writer().await?;
        let progress = load_progress(&mut connection).await?;
        self.progress.send_if_modified(|known| std::mem::replace(known, progress.clone()) != progress);
        Ok(connection)
    }

    /// Keeps the connection after a success. After a failure it is given up: what it holds open is rolled back with it.
    async fn keep<T, E>(&mut self, connection: SqliteConnection, outcome: &Result<T, E>) {
        if outcome.is_ok() {
            self.connection = Some(connection);
        } else if let Err(fault) = connection.close().await {
            tracing::debug!(error = %fault, "a broken connection did not close");
        }
    }
}

/// A log only grows, so it was restored from a backup. What it has gained since then would never be read.
fn ahead_of_the_log(position: Position, head: Position) -> sqlx::Error {
    let sentence = format!(
        "the read model, at position {position}, is ahead of the log, which ends at {head}: the log was restored from a backup; \
         remove the read model, it is filled again from the log"
    );
    sqlx::Error::Configuration(sentence.into())
}

/// Reads on in the log. An event whose row is not even JSON comes without a payload, so that it is parked like any other that does not
/// decode.
async fn read<L: EventLog>(log: &L, position: Position, limit: u32) -> Result<Vec<RecordedEvent>, LogError> {
    match log.read_after(position, limit).await {
        Err(LogError::Unreadable { position, event, .. }) => {
            Ok(vec![RecordedEvent { position, recorded_at_ms: 0, event: *event }])
        }
        outcome => outcome,
    }
}

async fn load_progress(connection: &mut SqliteConnection) -> sqlx::Result<Progress> {
    let position: Option<i64> =
        sqlx::query_scalar("select position from projection_checkpoint where projection = $1")
            .bind(WALLET)
            .fetch_optional(&mut *connection)
            .await?;
    let parked = parked::aggregates(connection, WALLET).await?;
    Ok(Progress {
        position: Position(position.unwrap_or_default().cast_unsigned()),
        parked: Arc::new(parked),
    })
}

async fn apply_all(
    connection: &mut SqliteConnection,
    upcasters: &Upcasters,
    events: Vec<RecordedEvent>,
    before: Progress,
) -> Result<Progress, BatchError> {
    let mut position = before.position;
    let mut transaction = connection.begin_with("begin immediate").await?;
    let skipped = parked::skipped_after(&mut transaction, WALLET, position).await?;
    for recorded in events {
        position = recorded.position;
        if skipped.contains(&position) {
            continue;
        }
        if before.parked.contains(&key_of(&recorded))
            && parked::holds_up(&mut transaction, WALLET, &recorded).await?
        {
            parked::park(&mut transaction, WALLET, &recorded, "waits behind an earlier event", true).await?;
            continue;
        }
        apply(&mut transaction, upcast(upcasters, recorded)).await.map_err(|fault| match fault {
            ApplyError::Unappliable(_) => BatchError::Unappliable,
            ApplyError::Store(fault) => BatchError::Store(fault),
        })?;
    }
    set_checkpoint(&mut transaction, position).await?;
    transaction.commit().await?;
    Ok(Progress { position, parked: before.parked })
}

/// Tries one event a last time and parks it if it fails again. What was skipped does not come here: `apply_all` passes it by.
async fn park_one(
    connection: &mut SqliteConnection,
    upcasters: &Upcasters,
    recorded: RecordedEvent,
) -> sqlx::Result<Progress> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    let mut attempt = transaction.begin().await?;
    match apply(&mut attempt, upcast(upcasters, recorded.clone())).await {
        Ok(()) => attempt.commit().await?,
        Err(ApplyError::Store(fault)) => return Err(fault),
        Err(ApplyError::Unappliable(error)) => {
            attempt.rollback().await?;
            tracing::error!(
                event.position = recorded.position.0,
                event.r#type = recorded.event.event_type,
                error,
                "parked an event that cannot be applied"
            );
            parked::park(&mut transaction, WALLET, &recorded, &error, false).await?;
        }
    }
    set_checkpoint(&mut transaction, recorded.position).await?;
    transaction.commit().await?;
    load_progress(connection).await
}

async fn resume<L: EventLog>(
    connection: &mut SqliteConnection,
    log: &L,
    upcasters: &Upcasters,
    position: Position,
    skip: Option<&str>,
) -> Result<(Progress, Result<(), OperationError>), OperationError> {
    let store = OperationError::Store;
    let mut transaction = connection.begin_with("begin immediate").await.map_err(store)?;
    let Some(parked) = parked::blocking(&mut transaction, WALLET, position).await.map_err(store)? else {
        transaction.rollback().await.map_err(store)?;
        let progress = load_progress(connection).await.map_err(store)?;
        return Ok((progress, Err(OperationError::NotParked)));
    };
    let key = (parked.aggregate_type.clone(), parked.aggregate_id.clone());
    if let Some(reason) = skip {
        parked::record_skip(&mut transaction, WALLET, &parked, reason).await.map_err(store)?;
    }
    let mut outcome = Ok(());
    for next in parked::positions_of(&mut transaction, WALLET, &key).await.map_err(store)? {
        let before = Position(next.0 - 1);
        let Some(recorded) = read(log, before, 1).await?.into_iter().next() else { break };
        let mut attempt = transaction.begin().await.map_err(store)?;
        match apply(&mut attempt, upcast(upcasters, recorded.clone())).await {
            Ok(()) => {
                parked::unpark(&mut attempt, WALLET, next).await.map_err(store)?;
                attempt.commit().await.map_err(store)?;
            }
            Err(ApplyError::Unappliable(reason)) => {
                attempt.rollback().await.map_err(store)?;
                parked::park(&mut transaction, WALLET, &recorded, &reason, false).await.map_err(store)?;
                // What was asked for has been done if a later event is the one that fails; it is the parked one from here on.
                if next == position {
                    outcome = Err(OperationError::StillUnappliable(reason));
                }
                break;
            }
            Err(ApplyError::Store(fault)) => return Err(store(fault)),
        }
    }
    transaction.commit().await.map_err(store)?;
    Ok((load_progress(connection).await.map_err(store)?, outcome))
}

async fn set_checkpoint(connection: &mut SqliteConnection, position: Position) -> sqlx::Result<()> {
    sqlx::query(
        "insert into projection_checkpoint (projection, version, position) values ($1, $2, $3)
         on conflict (projection) do update set version = excluded.version, position = excluded.position",
    )
    .bind(WALLET)
    .bind(VERSION)
    .bind(position.0.cast_signed())
    .execute(connection)
    .await?;
    Ok(())
}

fn upcast(upcasters: &Upcasters, recorded: RecordedEvent) -> RecordedEvent {
    RecordedEvent { event: upcasters.upcast(recorded.event), ..recorded }
}

/// Ends when the log has grown; never when it has been closed, since its owner stops this runner itself.
async fn grown_beyond(head: &mut watch::Receiver<Position>, position: Position) {
    if head.wait_for(|head| *head > position).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn key_of(recorded: &RecordedEvent) -> AggregateKey {
    (recorded.event.aggregate_type.clone(), recorded.event.aggregate_id.clone())
}
