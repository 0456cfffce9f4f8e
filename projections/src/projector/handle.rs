//! The handle on a projector: start it, see how far it is, ask it to retry or skip parked events.

use std::sync::Arc;
use std::time::Duration;

use cqrs_es::Aggregate;
use honoken_domain::ids::UnixSeconds;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Committed, EventLog, Position};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::projector::lease::Part;
use crate::projector::operation::{Operation, OperationError};
use crate::projector::progress::Progress;
use crate::projector::runner::Runner;
use crate::read_model::ReadModel;

/// The handle on a running projector. Clones are handles on the same one.
#[derive(Debug, Clone)]
pub struct Projector {
    progress: watch::Receiver<Progress>,
    leads: watch::Receiver<bool>,
    operations: mpsc::Sender<Operation>,
}

impl Projector {
    /// Starts following the event log, or watching the process that does; the returned future does the work and ends after `stop`.
    ///
    /// # Errors
    /// When the read model cannot be read or written.
    pub async fn start<L: EventLog>(
        log: Arc<L>,
        upcasters: Upcasters,
        read_model: ReadModel,
        part: Part,
        stop: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), OperationError> {
        let (progress_sender, progress) = watch::channel(Progress::default());
        let (operations, requests) = mpsc::channel(16);
        let (leads_sender, leads) = watch::channel(false);
        let model = read_model.clone();
        let runner = Runner::start(log, upcasters, read_model, part, progress_sender, leads_sender).await?;
        let handle = Self { progress, leads, operations };
        let work = async move {
            tokio::select! {
                () = runner.run(requests, stop) => {}
                () = model.keep_reporting() => {}
            }
        };
        Ok((handle, work))
    }

    /// How far the read model is; a change wakes the tasks that wait for one.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Whether this process runs the projection, so that other work for one process at a time can be done here too. Two processes may believe
    /// so for a moment, when one was frozen.
    pub fn leads(&self) -> watch::Receiver<bool> {
        self.leads.clone()
    }

    /// Waits until readers see the events of a command, but no longer than `limit`. `false` when they do not: it takes longer, or an event of
    /// the aggregate is parked.
    pub async fn shows<A: Aggregate>(&self, committed: &Committed<A>, limit: Duration) -> bool {
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|progress| progress.position >= committed.position);
        match tokio::time::timeout(limit, reached).await {
            Ok(Ok(progress)) => !progress.holds_up::<A>(&committed.aggregate_id),
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Tries a parked event again, and then those that wait behind it.
    pub async fn retry(&self, position: Position) -> Result<(), OperationError> {
        self.ask(|answer| Operation::Retry { position, answer }).await
    }

    /// Skips a parked event, for a reason that is stored, and applies those that wait behind it. The event log still has it: commands for an
    /// aggregate with an event that does not decode go on failing.
    pub async fn skip(&self, position: Position, reason: String) -> Result<(), OperationError> {
        self.ask(|answer| Operation::Skip { position, reason, answer }).await
    }

    /// Deletes the rows of devices and registrations that left before this moment, if this process runs the projection. Others see to it elsewhere.
    pub async fn purge(&self, before: UnixSeconds) -> Result<(), OperationError> {
        self.ask(|answer| Operation::Purge { before, answer }).await
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
