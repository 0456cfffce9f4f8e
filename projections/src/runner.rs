//! Follows the log: a batch of events and the checkpoint in one transaction.
//!
//! Whatever kills the process, the tables and the checkpoint agree: after a restart the runner reads on from the checkpoint, and an event
//! that is read twice finds its sequence in the row already.

use std::sync::Arc;
use std::time::Duration;

use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Position, RecordedEvent, error_chain};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::batch::{self, BatchError, apply_all, park_one, read};
use crate::projector::{Operation, OperationError, Progress};
use crate::read_model::ReadModel;

/// Events applied in one transaction at the most.
const BATCH: u32 = 250;

/// Asks the log without having been woken, in case a wake-up was lost.
const POLL: Duration = Duration::from_secs(1);

/// Waits after a failure, from the first to the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

pub(crate) struct Runner<L> {
    log: Arc<L>,
    upcasters: Upcasters,
    read_model: ReadModel,
    /// `None` after a failure, until it has been opened again.
    connection: Option<SqliteConnection>,
    progress: watch::Sender<Progress>,
    /// Failures in a row.
    failures: u32,
}

impl<L: EventLog> Runner<L> {
    pub(crate) fn new(
        log: Arc<L>,
        upcasters: Upcasters,
        read_model: ReadModel,
        connection: SqliteConnection,
        progress: watch::Sender<Progress>,
    ) -> Self {
        Self { log, upcasters, read_model, connection: Some(connection), progress, failures: 0 }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, mut operations: mpsc::Receiver<Operation>, stop: CancellationToken) {
        let mut head = self.log.head();
        loop {
            let wait = match self.catch_up(&mut operations, &stop).await {
                Ok(()) => {
                    self.failures = 0;
                    POLL
                }
                Err(fault) => {
                    let wait = BACK_OFF.1.min(BACK_OFF.0 * 2_u32.saturating_pow(self.failures));
                    self.failures += 1;
                    tracing::error!(
                        error = error_chain(&*fault),
                        "the projection stands still, next try in {wait:?}"
                    );
                    wait
                }
            };
            let position = self.progress.borrow().position;
            tokio::select! {
                () = stop.cancelled() => break,
                // Without a handle there is nobody left to ask; the log is followed all the same.
                Some(operation) = operations.recv() => self.operate(operation).await,
                () = grown_beyond(&mut head, position), if self.failures == 0 => {}
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
        let resumed = batch::resume(&mut connection, &*self.log, &self.upcasters, position, skip).await;
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
        let progress = batch::load_progress(&mut connection).await?;
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

/// Ends when the log has grown; never when it has been closed, since its owner stops this runner itself.
async fn grown_beyond(head: &mut watch::Receiver<Position>, position: Position) {
    if head.wait_for(|head| *head > position).await.is_err() {
        std::future::pending::<()>().await;
    }
}
