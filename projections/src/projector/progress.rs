//! How far the read model is.

use std::collections::BTreeSet;
use std::sync::Arc;

use cqrs_es::Aggregate;
use honoken_event_store::Position;

/// Type and id of an aggregate.
pub type AggregateKey = (String, String);

/// How far the read model is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Every event up to here is visible to the readers of all processes, unless it is parked.
    pub position: Position,
    /// Every event up to here is in the tables that this process reads, unless it is parked.
    pub(crate) applied: Position,
    /// Aggregates whose rows do not change, because an event of theirs is parked.
    pub parked: Arc<BTreeSet<AggregateKey>>,
}

impl Progress {
    /// Whether the rows of an aggregate do not change, because an event of it is parked.
    pub fn holds_up<A: Aggregate>(&self, aggregate_id: &str) -> bool {
        !self.parked.is_empty() && self.parked.contains(&(A::TYPE.to_owned(), aggregate_id.to_owned()))
    }
}
