//! One run of a fleet: its plan, its phones' identities, and its figures, shared by all workers.

use std::sync::atomic::AtomicU64;

use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use super::figures::Figures;
use super::plan::{Fleet, FleetPass};
use crate::identities::Identities;

/// The state that all workers share.
pub(super) struct Run {
    pub(super) fleet: Fleet,
    pub(super) identities: Identities,
    pub(super) figures: Figures,
    pub(super) done: AtomicU64,
    pub(super) stop: CancellationToken,
    /// Every phone has arrived before any of them goes on.
    pub(super) together: Barrier,
}

impl Run {
    /// Waits for the other workers, but not once the run is to end: then none waits for another.
    pub(super) async fn wait_for_the_others(&self) {
        tokio::select! {
            _ = self.together.wait() => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// The pass of a phone.
    pub(super) fn pass_of(&self, device: u64) -> &FleetPass {
        let passes = self.fleet.passes.len();
        let at = device % u64::try_from(passes).unwrap_or(u64::MAX).max(1);
        &self.fleet.passes[usize::try_from(at).unwrap_or_default()]
    }
}
