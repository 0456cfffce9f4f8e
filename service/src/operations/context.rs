//! What every operation needs.

use std::time::Duration;

use honoken_domain::ids::UnixSeconds;
use honoken_domain::snapshot::Snapshot;
use honoken_event_store::{Committed, Metadata};
use honoken_projections::{Projector, ReadModel};

use crate::commands::Commands;
use crate::ids::IdSource;

/// The stores, and who asks.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Carries commands to aggregates.
    pub dispatcher: &'a Commands,
    /// The read model.
    pub read_model: &'a ReadModel,
    /// Knows how far the read model is.
    pub projector: &'a Projector,
    /// Random values.
    pub ids: &'a dyn IdSource,
    /// The actor, the request, and the time.
    pub metadata: &'a Metadata,
    /// How long an operation waits until readers see it.
    pub visible: Duration,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("metadata", self.metadata).finish_non_exhaustive()
    }
}

impl Context<'_> {
    /// The time of the operation.
    pub fn now(&self) -> UnixSeconds {
        UnixSeconds(self.metadata.recorded_at_ms.div_euclid(1000))
    }

    /// Waits until readers see the events of a command, for a bounded time. They are in the event log either way.
    pub async fn settle<A: Snapshot>(&self, committed: &Committed<A>) -> bool {
        let is_seen = self.projector.shows(committed, self.visible).await;
        if !is_seen {
            tracing::warn!(
                "the change is in the event log, and readers do not see it yet: is a process with the role projector running?"
            );
        }
        is_seen
    }
}
