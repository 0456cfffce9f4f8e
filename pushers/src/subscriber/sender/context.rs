//! Shared by every step of the sender: the data stores, the ports, the settings, and the time.

use std::sync::Arc;

use honoken_projections::ReadModel;

use crate::dedicated_thread::Home;
use crate::ledger::Ledger;
use crate::subscriber::{Ports, Settings};

pub(super) struct Context<A, C, D> {
    pub(super) ledger: Ledger,
    pub(super) read_model: ReadModel,
    pub(super) ports: Ports<A, C, D>,
    pub(super) settings: Settings,
    /// The runtime that the stores are asked on.
    pub(super) home: Home,
    /// This sender, in the ledger.
    pub(super) name: Arc<str>,
}

impl<A, C, D> Context<A, C, D> {
    /// Unix milliseconds, for times that are stored.
    pub(super) fn now_ms(&self) -> i64 {
        self.ports.time.unix_ms()
    }

    /// Milliseconds of the [steady clock](crate::ports::Clock::steady_ms), for times that only this sender remembers.
    pub(super) fn steady_ms(&self) -> i64 {
        self.ports.time.steady_ms()
    }
}
