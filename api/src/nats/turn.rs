//! Which of several processes takes commands: the one that holds a lease, like the process that follows the event log. Only so are the
//! commands of one organisation carried out in order while many are in progress.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use honoken_event_store::Epoch;
use honoken_pushers::ledger::feeds::{COMMANDS, Checkpoint, CheckpointError};
use honoken_pushers::ledger::{Ledger, LedgerError};
use honoken_telemetry::error_chain;
use tokio::time::Instant;

/// This process holds the lease for certain for so long after it last asked, whatever has happened since. The lease lasts ten seconds, and
/// a process learns of its loss up to a second late.
const CERTAIN: Duration = Duration::from_secs(6);

/// The lease, and when it was last certain to be held. It is requested beside all other work.
pub(super) struct Turn {
    epoch: Epoch,
    checkpoint: Option<Checkpoint>,
    asking: Option<BoxFuture<'static, Asked>>,
    certain: Option<Instant>,
}

struct Asked {
    checkpoint: Checkpoint,
    at: Instant,
    answer: Result<bool, LedgerError>,
}

impl Turn {
    /// A lease that this process does not hold yet.
    pub(super) fn new(ledger: &Ledger, epoch: Epoch) -> Self {
        let checkpoint = Some(ledger.checkpoint(COMMANDS));
        Self { epoch, checkpoint, asking: None, certain: None }
    }

    /// Whether this process holds the lease for certain.
    pub(super) fn is_certain(&self) -> bool {
        self.certain.is_some_and(|at| at.elapsed() < CERTAIN)
    }

    /// Requests the lease, or renews it. [`Turn::asked`] has the answer.
    pub(super) fn ask(&mut self) {
        let Some(mut checkpoint) = self.checkpoint.take() else { return };
        let epoch = self.epoch;
        let asking = async move {
            let at = Instant::now();
            let answer = if checkpoint.is_held() {
                match checkpoint.hold().await {
                    Ok(()) => Ok(true),
                    Err(CheckpointError::Superseded) => Ok(false),
                    Err(CheckpointError::Ledger(fault)) => Err(fault),
                }
            } else {
                checkpoint.take_turn(epoch).await
            };
            Asked { checkpoint, at, answer }
        };
        self.asking = Some(asking.boxed());
    }

    /// Waits for the answer, for ever where none was requested. Returns `false` when another process holds the lease. While the ledger is
    /// unavailable the lease counts as before, for as long as it is certain.
    pub(super) async fn asked(&mut self) -> bool {
        let Some(asking) = &mut self.asking else { return std::future::pending().await };
        let Asked { checkpoint, at, answer } = asking.await;
        (self.asking, self.checkpoint) = (None, Some(checkpoint));
        match answer {
            Ok(true) => {
                self.certain = Some(at);
                true
            }
            Ok(false) => {
                self.certain = None;
                false
            }
            Err(fault) => {
                let error = error_chain(&fault);
                tracing::debug!(error, "the lease for commands over NATS could not be checked");
                true
            }
        }
    }

    /// Releases the lease, so that another process need not wait.
    pub(super) async fn release(&mut self) {
        if self.asking.is_some() {
            self.asked().await;
        }
        self.certain = None;
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.release().await;
        }
    }
}
