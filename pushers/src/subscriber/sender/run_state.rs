//! Whether the sender sends: an operator may have paused it, or its process is stopping.

pub(super) struct RunState {
    paused: bool,
    stopping: bool,
}

/// How the pause has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PauseChange {
    Unchanged,
    Paused,
    Resumed,
}

impl RunState {
    /// Paused until the ledger has been asked whether it is.
    pub(super) fn new() -> Self {
        Self { paused: true, stopping: false }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether phones are claimed and pushes are queued.
    pub(super) fn takes_on_work(&self) -> bool {
        !self.paused && !self.stopping
    }

    pub(super) fn set_paused(&mut self, paused: bool) -> PauseChange {
        match (std::mem::replace(&mut self.paused, paused), paused) {
            (false, true) => PauseChange::Paused,
            (true, false) => PauseChange::Resumed,
            (false, false) | (true, true) => PauseChange::Unchanged,
        }
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
    }
}
