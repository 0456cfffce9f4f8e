//! Follows the log: a batch of events and the checkpoint in one transaction. Of several processes one does so, and the others watch it.
//!
//! Whatever kills the process, the tables and the checkpoint agree: after a restart the runner reads on from the checkpoint, and an event
//! that is read twice finds its sequence in the row already.

use std::sync::Arc;
use std::time::Duration;

use honoken_database::statements::Connection;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::postgres::wakeups::Wakeups;
use honoken_event_store::{EventLog, Position, RecordedEvent};
use honoken_telemetry::error_chain;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::projector::batch::{BatchError, apply_all, park_one};
use crate::projector::begin::begin;
use crate::projector::checkpoint::load_progress;
use crate::projector::event_reader::read;
use crate::projector::lease::{self, Lease, Part};
use crate::projector::operation::{Operation, OperationError};
use crate::projector::progress::Progress;
use crate::projector::resume::resume;
use crate::read_model::ReadModel;

/// Events applied in one transaction at the most.
const BATCH: u32 = 250;

/// Asks the log without having been woken, in case a wake-up was lost, and renews the lease.
const POLL: Duration = Duration::from_secs(1);

/// Waits after a failure, from the first to the longest: shorter than a caller waits for its change to become visible, so that the first one
/// after an outage need not be told that it is not.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(crate) struct Runner<L> {
    log: Arc<L>,
    upcasters: Upcasters,
    read_model: ReadModel,
    part: Part,
    /// `None` after a failure, until it has been opened again.
    connection: Option<Connection>,
    /// `None` while another process runs the projection.
    lease: Option<Lease>,
    /// When the lease was renewed.
    renewed: Instant,
    progress: watch::Sender<Progress>,
    /// Whether this process has the lease.
    leads: watch::Sender<bool>,
    /// What others have projected, and how they hear of what this one did; `None` where there are no others.
    wakeups: Option<Wakeups>,
    heard: watch::Receiver<Position>,
    /// Failures in a row.
    failures: u32,
}

impl<L: EventLog> Runner<L> {
    /// Takes the lease if it is free, and knows how far the tables are.
    pub(crate) async fn start(
        log: Arc<L>,
        upcasters: Upcasters,
        read_model: ReadModel,
        part: Part,
        progress: watch::Sender<Progress>,
        leads: watch::Sender<bool>,
    ) -> Result<Self, OperationError> {
        let (hearing, heard) = watch::channel(Position(0));
        let wakeups = read_model.wakeups(move |position| {
            hearing.send_replace(position);
        });
        let connection = Some(read_model.open_writer().await.map_err(OperationError::Store)?);
        let renewed = Instant::now();
        let mut runner = Self {
            log,
            upcasters,
            read_model,
            part,
            connection,
            lease: None,
            renewed,
            progress,
            leads,
            wakeups,
            heard,
            failures: 0,
        };
        runner.take_or_watch().await?;
        Ok(runner)
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, mut operations: mpsc::Receiver<Operation>, stop: CancellationToken) {
        let mut head = self.log.head();
        loop {
            let wait = match self.turn(&mut operations, &stop).await {
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
            let leads = self.lease.is_some();
            tokio::select! {
                () = stop.cancelled() => break,
                // Without a handle there is nobody left to ask; the log is followed all the same.
                Some(operation) = operations.recv() => self.operate(operation).await,
                () = grown_beyond(&mut head, position), if leads && self.failures == 0 => {}
                Ok(()) = self.heard.changed(), if !leads && self.failures == 0 => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.close().await;
    }

    async fn close(self) {
        let Some(mut connection) = self.connection else { return };
        if let Some(lease) = self.lease
            && let Err(fault) = lease::release(&mut connection, lease).await
        {
            tracing::warn!(error = %fault, "the lease of the projection was not given back and will run out");
        }
        if let Err(fault) = connection.close().await {
            tracing::error!(error = %fault, "the read model did not close cleanly");
        }
    }

    /// Does what there is to do now.
    async fn turn(
        &mut self,
        operations: &mut mpsc::Receiver<Operation>,
        stop: &CancellationToken,
    ) -> Result<(), BoxError> {
        if self.lease.is_none() {
            self.take_or_watch().await?;
        }
        if self.lease.is_some() {
            self.catch_up(operations, stop).await?;
            self.renew().await?;
        }
        if self.lease == Some(Lease::Alone) {
            self.read_model.pass_rows.turn_on();
        }
        Ok(())
    }

    /// Takes the lease if this process may and nobody has it; looks how far the tables are.
    async fn take_or_watch(&mut self) -> Result<(), OperationError> {
        let mut connection = self.take_connection().await.map_err(OperationError::Store)?;
        let lease = match self.part {
            Part::Run => lease::take(&mut connection).await.map_err(OperationError::Store)?,
            Part::Watch => None,
        };
        self.read_model.pass_rows.turn_off();
        let progress = match lease {
            Some(lease) => begin(&mut connection, lease, &*self.log, &self.upcasters).await,
            None => load_progress(&mut connection).await.map_err(OperationError::Store),
        };
        self.keep(connection, &progress).await;
        let progress = progress?;
        if lease.is_some_and(|lease| lease != Lease::Alone) {
            tracing::info!("runs the projection from position {}", progress.position);
        }
        self.renewed = Instant::now();
        self.learn(progress);
        self.lead(lease);
        Ok(())
    }

    /// Applies what the log has. Operators get their turn between batches: the end of the log may be long in coming.
    async fn catch_up(
        &mut self,
        operations: &mut mpsc::Receiver<Operation>,
        stop: &CancellationToken,
    ) -> Result<(), BoxError> {
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
            let applied = match self.apply_batch(events).await {
                Err(BatchError::Unappliable) => self.apply_one_by_one(last).await,
                outcome => outcome.map_err(BoxError::from),
            };
            if let Err(fault) = applied {
                return self.unless_superseded(fault).await;
            }
        }
        Ok(())
    }

    /// The usual way: all events in one transaction.
    async fn apply_batch(&mut self, events: Vec<RecordedEvent>) -> Result<(), BatchError> {
        let lease = self.lease.ok_or(BatchError::Superseded)?;
        let mut connection = self.take_connection().await?;
        let change = self.read_model.pass_rows.change(&events);
        let applied = apply_all(&mut connection, lease, &self.upcasters, events).await;
        if applied.is_ok() {
            change.done();
        }
        self.keep_after_batch(connection, &applied).await;
        self.show(applied?);
        Ok(())
    }

    /// The slow way, when an event up to `last` cannot be applied: each in a transaction of its own, and that one is parked.
    async fn apply_one_by_one(&mut self, last: Position) -> Result<(), BoxError> {
        loop {
            let position = self.position().await?;
            let next = read(&*self.log, position, 1).await?;
            let Some(recorded) = next.first().filter(|event| event.position <= last).cloned() else {
                return Ok(());
            };
            match self.apply_batch(next).await {
                Err(BatchError::Unappliable) => self.park(recorded).await?,
                outcome => outcome?,
            }
        }
    }

    async fn park(&mut self, recorded: RecordedEvent) -> Result<(), BatchError> {
        let lease = self.lease.ok_or(BatchError::Superseded)?;
        let mut connection = self.take_connection().await?;
        self.read_model.pass_rows.turn_off();
        let parked = park_one(&mut connection, lease, &self.upcasters, recorded).await;
        self.keep_after_batch(connection, &parked).await;
        self.show(parked?);
        Ok(())
    }

    /// Another process that took over, or works on the tables for a moment, is no failure: this one watches until they are free.
    async fn unless_superseded(&mut self, fault: BoxError) -> Result<(), BoxError> {
        if !matches!(fault.downcast_ref(), Some(BatchError::Superseded)) {
            return Err(fault);
        }
        tracing::warn!("another process has taken over the projection, or works on its tables");
        self.lead(None);
        Ok(self.take_or_watch().await?)
    }

    /// Lets those know who do something only where the projection runs.
    fn lead(&mut self, lease: Option<Lease>) {
        self.lease = lease;
        self.leads.send_if_modified(|leads| std::mem::replace(leads, lease.is_some()) != lease.is_some());
    }

    /// Renews the lease while there is nothing to apply, and looks what others have done to the tables meanwhile.
    async fn renew(&mut self) -> Result<(), BoxError> {
        let Some(lease) = self.lease.filter(|_| self.renewed.elapsed() >= POLL) else { return Ok(()) };
        let mut connection = self.take_connection().await?;
        let renewed = async {
            if !lease::hold(&mut connection, lease).await? {
                return Err(BatchError::Superseded);
            }
            Ok(load_progress(&mut connection).await?)
        };
        let renewed = renewed.await;
        self.keep_after_batch(connection, &renewed).await;
        match renewed {
            Ok(progress) => {
                self.renewed = Instant::now();
                self.learn(progress);
                Ok(())
            }
            Err(fault) => self.unless_superseded(fault.into()).await,
        }
    }

    /// Lets those who wait know what a transaction led to, here and elsewhere.
    fn show(&mut self, progress: Progress) {
        self.renewed = Instant::now();
        if let Some(wakeups) = &self.wakeups {
            wakeups.tell(progress.position);
        }
        self.progress.send_replace(progress);
    }

    /// Takes note of how far the tables were found to be; wakes those who wait here if that is news.
    fn learn(&self, progress: Progress) {
        self.progress.send_if_modified(|known| {
            let is_news = *known != progress;
            *known = progress;
            is_news
        });
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
        self.read_model.pass_rows.turn_off();
        let resumed = resume(&mut connection, &*self.log, &self.upcasters, position, skip).await;
        self.keep(connection, &resumed).await;
        let (progress, outcome) = resumed?;
        self.show(progress);
        outcome
    }

    /// How far the tables are.
    async fn position(&mut self) -> sqlx::Result<Position> {
        self.connection = Some(self.take_connection().await?);
        Ok(self.progress.borrow().position)
    }

    /// The connection. After a failure it is a new one, and the tables are asked how far they are, since the driver cannot say how far a
    /// failed commit came.
    async fn take_connection(&mut self) -> sqlx::Result<Connection> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let mut connection = self.read_model.open_writer().await?;
        let progress = load_progress(&mut connection).await?;
        self.learn(progress);
        Ok(connection)
    }

    /// Keeps the connection after a success. After a failure it is given up: what it holds open is rolled back with it.
    async fn keep<T, E>(&mut self, connection: Connection, outcome: &Result<T, E>) {
        if outcome.is_ok() {
            self.connection = Some(connection);
        } else if let Err(fault) = connection.close().await {
            tracing::debug!(error = %fault, "a broken connection did not close");
        }
    }

    /// Like [`keep`](Self::keep); only a store that failed has made the connection doubtful.
    async fn keep_after_batch<T>(&mut self, connection: Connection, outcome: &Result<T, BatchError>) {
        match outcome {
            Err(BatchError::Store(_)) => self.keep(connection, outcome).await,
            Ok(_) | Err(BatchError::Unappliable | BatchError::Superseded) => {
                self.connection = Some(connection);
            }
        }
    }
}

/// Ends when the log has grown; never when it has been closed, since its owner stops this runner itself.
async fn grown_beyond(head: &mut watch::Receiver<Position>, position: Position) {
    if head.wait_for(|head| *head > position).await.is_err() {
        std::future::pending::<()>().await;
    }
}
