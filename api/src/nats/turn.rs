//! Which of several processes takes commands: the one that holds a lease, as it does for whoever follows the log. Only so are commands of one
//! organisation carried out in order, while many of them are in hand.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use honoken_event_store::Epoch;
use honoken_pushers::ledger::feeds::{COMMANDS, Checkpoint, CheckpointError};
use honoken_pushers::ledger::{Ledger, LedgerError};
use honoken_telemetry::error_chain;
use tokio::time::Instant;

/// So long after it was asked for the last time it is this process's turn for sure, whatever has happened since. The lease lasts ten seconds, and
/// who asks knows a second late.
const CERTAIN: Duration = Duration::from_secs(6);

/// The lease, and when it was certain to be held. It is asked for beside everything else.
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
    /// Nobody's yet.
    pub(super) fn new(ledger: &Ledger, epoch: Epoch) -> Self {
        let checkpoint = Some(ledger.checkpoint(COMMANDS));
        Self { epoch, checkpoint, asking: None, certain: None }
    }

    /// Whether it is this process's.
    pub(super) fn is_certain(&self) -> bool {
        self.certain.is_some_and(|at| at.elapsed() < CERTAIN)
    }

    /// Asks for it, or whether it is this process's still. [`Turn::asked`] has the answer.
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

    /// Waits for the answer, for ever where nothing was asked. `false` when it is another process's turn. Where nobody can be asked it stays as it
    /// was, for as long as it is certain.
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
                tracing::debug!(error, "nobody knows whose turn it is to take commands over NATS");
                true
            }
        }
    }

    /// Gives it back, so that another process need not wait.
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
