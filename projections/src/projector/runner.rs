//! Follows the event log: a batch of events and the checkpoint in one transaction. One of several processes does so, and the others watch it.
//!
//! However a process dies, the tables and the checkpoint agree: after a restart the runner reads on from the checkpoint, and an event that
//! is read twice finds its sequence in the row already.

use std::sync::Arc;
use std::time::Duration;

use honoken_database::lease::Held;
use honoken_database::statements::Connection;
use honoken_domain::ids::UnixSeconds;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::postgres::wakeups::Wakeups;
use honoken_event_store::{EventLog, Position, RecordedEvent};
use honoken_telemetry::error_chain;
use tokio::sync::{OwnedMutexGuard, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::projection::LEASE;
use crate::projector::batch::{BatchError, apply_all, park_one};
use crate::projector::begin::begin;
use crate::projector::checkpoint::load_progress;
use crate::projector::event_reader::read_after;
use crate::projector::lease::{self, Part};
use crate::projector::operation::{Operation, OperationError};
use crate::projector::progress::Progress;
use crate::projector::purge::purge_some;
use crate::projector::resume::resume;
use crate::read_model::ReadModel;

/// Events applied in one transaction at the most.
const BATCH: u32 = 250;

/// Longest wait for a wake-up. Then the event log is read all the same, in case a wake-up was lost, and the lease is renewed.
const POLL: Duration = Duration::from_secs(1);

/// The wait where another process of this machine writes the tables, which wakes nobody here: a command of an operator waits for its own change.
const POLL_OF_ANOTHER: Duration = Duration::from_millis(20);

/// The first and the longest wait after a failure. The longest is shorter than a caller waits for its change to become visible, so that the
/// first change after an outage is visible in time.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The task that follows the event log, or watches the process that does.
pub(crate) struct Runner<L> {
    log: Arc<L>,
    upcasters: Upcasters,
    read_model: ReadModel,
    part: Part,
    /// The copy of the tables that the connection leads to.
    copy: i64,
    /// `None` after a failure, until it has been opened again.
    connection: Option<Connection>,
    /// While the connection is in use: nobody puts another copy in the place of this one meanwhile.
    turn: Option<OwnedMutexGuard<()>>,
    /// `None` while another process runs the projection.
    lease: Option<Held>,
    /// The last renewal of the lease.
    lease_renewed_at: Instant,
    progress: watch::Sender<Progress>,
    /// Whether this process has the lease.
    leads: watch::Sender<bool>,
    /// Wakes other processes when this one has projected; `None` where there are no others.
    wakeups: Option<Wakeups>,
    /// How far another process has projected.
    projected_elsewhere: watch::Receiver<Position>,
    /// Failures in a row.
    failures: u32,
}

impl<L: EventLog> Runner<L> {
    /// Takes the lease if it is free, and finds out how far the tables are.
    pub(crate) async fn start(
        log: Arc<L>,
        upcasters: Upcasters,
        read_model: ReadModel,
        part: Part,
        progress: watch::Sender<Progress>,
        leads: watch::Sender<bool>,
    ) -> Result<Self, OperationError> {
        let (elsewhere, projected_elsewhere) = watch::channel(Position(0));
        let wakeups = read_model.start_wakeups(move |position| {
            elsewhere.send_replace(position);
        });
        let copy = read_model.current();
        let connection = Some(read_model.open_connection().await.map_err(OperationError::Store)?);
        let lease_renewed_at = Instant::now();
        let mut runner = Self {
            log,
            upcasters,
            read_model,
            part,
            copy,
            connection,
            turn: None,
            lease: None,
            lease_renewed_at,
            progress,
            leads,
            wakeups,
            projected_elsewhere,
            failures: 0,
        };
        runner.acquire_or_watch().await?;
        Ok(runner)
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, mut operations: mpsc::Receiver<Operation>, stop: CancellationToken) {
        let mut head = self.log.head();
        loop {
            let stepped = self.step(&mut operations, &stop).await;
            self.turn = None;
            let wait = match stepped {
                Ok(()) => {
                    self.failures = 0;
                    if self.read_model.is_of_another_process() { POLL_OF_ANOTHER } else { POLL }
                }
                Err(fault) => {
                    let wait = BACK_OFF.1.min(BACK_OFF.0 * 2_u32.saturating_pow(self.failures));
                    self.failures += 1;
                    tracing::error!(
                        error = error_chain(&*fault),
                        "the projection stands still; retrying in {wait:?}"
                    );
                    wait
                }
            };
            let position = self.progress.borrow().applied;
            let leads = self.lease.is_some();
            let read_model = self.read_model.clone();
            tokio::select! {
                () = stop.cancelled() => break,
                // Without a handle there are no longer any requests; the event log is followed all the same.
                Some(operation) = operations.recv() => self.carry_out(operation).await,
                () = head_beyond(&mut head, position), if leads && self.failures == 0 => {}
                Ok(()) = self.projected_elsewhere.changed(), if !leads && self.failures == 0 => {}
                () = read_model.moved.notified() => {}
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
            tracing::warn!(error = %fault, "the lease of the projection was not released and will expire");
        }
        if let Err(fault) = connection.close().await {
            tracing::error!(error = %fault, "the read model did not close cleanly");
        }
    }

    /// Takes the lease if it is free, and applies all new events if this process has it.
    async fn step(
        &mut self,
        operations: &mut mpsc::Receiver<Operation>,
        stop: &CancellationToken,
    ) -> Result<(), BoxError> {
        if self.copy != self.read_model.current() {
            self.move_over().await;
        }
        if self.lease.is_none() {
            self.acquire_or_watch().await?;
        }
        if self.lease.is_some() {
            self.catch_up(operations, stop).await?;
            self.renew().await?;
        }
        if self.lease == Some(Held::Alone) {
            self.read_model.pass_rows.turn_on();
        }
        Ok(())
    }

    /// Leaves a copy of the tables that is not read any more.
    async fn move_over(&mut self) {
        if let (Some(mut connection), lease) = (self.connection.take(), self.lease) {
            if let Some(lease) = lease
                && let Err(fault) = lease::release(&mut connection, lease).await
            {
                tracing::debug!(error = %fault, "the lease of a former copy was not released and will expire");
            }
            if let Err(fault) = connection.close().await {
                tracing::debug!(error = %fault, "a connection to a former copy did not close");
            }
        }
        self.set_lease(None);
        self.copy = self.read_model.current();
        tracing::info!("the projection goes on in copy {} of its tables", self.copy);
    }

    /// Takes the lease if this process may and it is free; reads how far the tables are.
    async fn acquire_or_watch(&mut self) -> Result<(), OperationError> {
        let mut connection = self.take_connection().await.map_err(OperationError::Store)?;
        let lease = match self.part {
            // Tables of another version are those of another release, which may run.
            Part::Run if self.read_model.is_of_this_version() => {
                lease::take(&mut connection).await.map_err(OperationError::Store)?
            }
            Part::Run | Part::Watch => None,
        };
        self.read_model.pass_rows.turn_off();
        let progress = match lease {
            Some(lease) => begin(&mut connection, lease, &*self.log, &self.upcasters).await,
            None => load_progress(&mut connection).await.map_err(OperationError::Store),
        };
        self.keep_connection(connection, &progress).await;
        let progress = progress?;
        if lease.is_some_and(|lease| lease != Held::Alone) {
            tracing::info!("running the projection from position {}", progress.position);
        }
        self.lease_renewed_at = Instant::now();
        self.note_progress(progress);
        self.set_lease(lease);
        Ok(())
    }

    /// Applies all events that the event log has. Requests of operators are carried out between batches, since there may be many.
    async fn catch_up(
        &mut self,
        operations: &mut mpsc::Receiver<Operation>,
        stop: &CancellationToken,
    ) -> Result<(), BoxError> {
        while !stop.is_cancelled() {
            if let Ok(operation) = operations.try_recv() {
                self.carry_out(operation).await;
            }
            let position = self.position().await?;
            let events = read_after(&*self.log, position, BATCH).await?;
            if events.is_empty() {
                break;
            }
            let last = events.last().map_or(position, |event| event.position);
            let applied = match self.apply_batch(events).await {
                Err(BatchError::Unappliable) => self.apply_one_by_one(last).await,
                outcome => outcome.map_err(BoxError::from),
            };
            if let Err(fault) = applied {
                return self.watch_if_superseded(fault).await;
            }
        }
        Ok(())
    }

    /// Applies all events in one transaction, as usual.
    async fn apply_batch(&mut self, events: Vec<RecordedEvent>) -> Result<(), BatchError> {
        let (mut connection, lease) = self.take_to_write().await?;
        let change = self.read_model.pass_rows.change(&events);
        let applied = apply_all(&mut connection, lease, &self.upcasters, events).await;
        if applied.is_ok() {
            change.done();
        }
        self.keep_connection_after_batch(connection, &applied).await;
        self.publish(applied?);
        Ok(())
    }

    /// Applies each event in a transaction of its own, when one up to `last` cannot be applied, and parks that one.
    async fn apply_one_by_one(&mut self, last: Position) -> Result<(), BoxError> {
        loop {
            let position = self.position().await?;
            let next = read_after(&*self.log, position, 1).await?;
            let Some(recorded) = next.first().filter(|event| event.position <= last).cloned() else {
                return Ok(());
            };
            match self.apply_batch(next).await {
                Err(BatchError::Unappliable) => self.park(recorded).await?,
                outcome => outcome?,
            }
        }
    }

    /// Parks an event, unless it can be applied after all.
    async fn park(&mut self, recorded: RecordedEvent) -> Result<(), BatchError> {
        let (mut connection, lease) = self.take_to_write().await?;
        self.read_model.pass_rows.turn_off();
        let parked = park_one(&mut connection, lease, &self.upcasters, recorded).await;
        self.keep_connection_after_batch(connection, &parked).await;
        self.publish(parked?);
        Ok(())
    }

    /// Watches, if another process has taken over or works on the tables for a moment: that is no failure.
    async fn watch_if_superseded(&mut self, fault: BoxError) -> Result<(), BoxError> {
        if !matches!(fault.downcast_ref(), Some(BatchError::Superseded)) {
            return Err(fault);
        }
        tracing::warn!("another process has taken over the projection, or works on its tables");
        self.set_lease(None);
        Ok(self.acquire_or_watch().await?)
    }

    /// Sets the lease, and tells the tasks that work only where the projection runs.
    fn set_lease(&mut self, lease: Option<Held>) {
        self.lease = lease;
        self.leads.send_if_modified(|leads| std::mem::replace(leads, lease.is_some()) != lease.is_some());
    }

    /// Renews the lease while there are no new events, and reads how far other processes have brought the tables meanwhile.
    async fn renew(&mut self) -> Result<(), BoxError> {
        if self.lease.is_none() || self.lease_renewed_at.elapsed() < POLL {
            return Ok(());
        }
        let (mut connection, lease) = match self.take_to_write().await {
            Ok(taken) => taken,
            Err(fault) => return self.watch_if_superseded(fault.into()).await,
        };
        let renewed = async {
            if !LEASE.renew(&mut connection, lease).await? {
                return Err(BatchError::Superseded);
            }
            Ok(load_progress(&mut connection).await?)
        };
        let renewed = renewed.await;
        self.keep_connection_after_batch(connection, &renewed).await;
        match renewed {
            Ok(progress) => {
                self.lease_renewed_at = Instant::now();
                self.note_progress(progress);
                Ok(())
            }
            Err(fault) => self.watch_if_superseded(fault.into()).await,
        }
    }

    /// Announces the outcome of a transaction to the tasks and processes that wait for it.
    fn publish(&mut self, progress: Progress) {
        self.lease_renewed_at = Instant::now();
        if let Some(wakeups) = &self.wakeups {
            wakeups.tell(progress.position);
        }
        self.progress.send_replace(progress);
    }

    /// Stores how far the tables were found to be; wakes the tasks that wait in this process if that has changed.
    fn note_progress(&self, progress: Progress) {
        self.progress.send_if_modified(|known| {
            let has_changed = *known != progress;
            *known = progress;
            has_changed
        });
    }

    /// Carries out a request of an operator, and answers it.
    async fn carry_out(&mut self, operation: Operation) {
        let (outcome, answer) = match operation {
            Operation::Retry { position, answer } => (self.resume(position, None).await, answer),
            Operation::Skip { position, reason, answer } => {
                (self.resume(position, Some(&reason)).await, answer)
            }
            Operation::Purge { before, answer } => (self.purge(before).await, answer),
        };
        // An operator whose request has ended meanwhile sees the outcome in the list of parked events.
        let _ = answer.send(outcome);
    }

    /// Deletes rows that left before this moment, in batches. Where another process runs the projection, it does so.
    async fn purge(&mut self, before: UnixSeconds) -> Result<(), OperationError> {
        let store = OperationError::Store;
        while self.lease.is_some() {
            let (mut connection, lease) = match self.take_to_write().await {
                Ok(taken) => taken,
                Err(BatchError::Store(fault)) => return Err(store(fault)),
                Err(BatchError::Superseded | BatchError::Unappliable) => break,
            };
            let purged = purge_some(&mut connection, lease, before).await;
            self.keep_connection_after_batch(connection, &purged).await;
            match purged {
                Ok(true) => self.lease_renewed_at = Instant::now(),
                Ok(false) | Err(BatchError::Superseded | BatchError::Unappliable) => break,
                Err(BatchError::Store(fault)) => return Err(store(fault)),
            }
        }
        Ok(())
    }

    /// Lets an aggregate go on: without the parked event if there is a reason to skip it, else with it.
    async fn resume(&mut self, position: Position, skip: Option<&str>) -> Result<(), OperationError> {
        let mut connection = self.take_connection().await.map_err(OperationError::Store)?;
        self.read_model.pass_rows.turn_off();
        let resumed = resume(&mut connection, &*self.log, &self.upcasters, position, skip).await;
        self.keep_connection(connection, &resumed).await;
        let (progress, outcome) = resumed?;
        self.publish(progress);
        outcome
    }

    /// How far the tables are.
    async fn position(&mut self) -> sqlx::Result<Position> {
        self.connection = Some(self.take_connection().await?);
        self.turn = None;
        Ok(self.progress.borrow().applied)
    }

    /// The connection. After a failure it is a new one, and the checkpoint is read again, since the driver cannot tell whether a failed commit
    /// took effect.
    async fn take_connection(&mut self) -> sqlx::Result<Connection> {
        if self.turn.is_none() {
            self.turn = Some(self.read_model.turn.clone().lock_owned().await);
        }
        if self.copy != self.read_model.current() {
            self.move_over().await;
        }
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let mut connection = self.read_model.open_connection().await?;
        let progress = load_progress(&mut connection).await?;
        self.note_progress(progress);
        Ok(connection)
    }

    /// The connection, and the lease for the copy that it leads to.
    async fn take_to_write(&mut self) -> Result<(Connection, Held), BatchError> {
        let connection = self.take_connection().await?;
        if let Some(lease) = self.lease {
            return Ok((connection, lease));
        }
        self.turn = None;
        self.connection = Some(connection);
        Err(BatchError::Superseded)
    }

    /// Keeps the connection after a success. After a failure it is closed, which rolls back its transaction.
    async fn keep_connection<T, E>(&mut self, connection: Connection, outcome: &Result<T, E>) {
        self.turn = None;
        if outcome.is_ok() {
            self.connection = Some(connection);
        } else if let Err(fault) = connection.close().await {
            tracing::debug!(error = %fault, "a broken connection did not close");
        }
    }

    /// Like [`keep_connection`](Self::keep_connection), but only a failure of the database makes the connection doubtful.
    async fn keep_connection_after_batch<T>(
        &mut self,
        connection: Connection,
        outcome: &Result<T, BatchError>,
    ) {
        match outcome {
            Err(BatchError::Store(_)) => self.keep_connection(connection, outcome).await,
            Ok(_) | Err(BatchError::Unappliable | BatchError::Superseded) => {
                self.turn = None;
                self.connection = Some(connection);
            }
        }
    }
}

/// Ends when the head of the event log is beyond a position; never when the event log has been closed, since its owner stops this runner.
async fn head_beyond(head: &mut watch::Receiver<Position>, position: Position) {
    if head.wait_for(|head| *head > position).await.is_err() {
        std::future::pending::<()>().await;
    }
}
