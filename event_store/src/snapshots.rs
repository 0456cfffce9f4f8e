//! Stored states of aggregates, so that not all their events have to be read for every command.
//!
//! Snapshots are ours: those of cqrs-es 0.5.0 are wrong, since it applies events in the sink and again at commit. One that is missing, older
//! than it could be, or of another shape than this release understands costs time and nothing else.

use std::future::Future;

use crate::log::{LogError, Position};

/// The state of an aggregate after one of its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// Sequence of the last event in it.
    pub sequence: u64,
    /// Position of that event.
    pub position: Position,
    /// What the state looks like; see [`honoken_domain::snapshot::Snapshot`].
    pub shape: u32,
    /// The state, as JSON.
    pub state: String,
}

/// Where stored states are kept: beside the log, by the same engine.
pub trait Snapshots: Send + Sync + 'static {
    /// The stored state of an aggregate, if there is one.
    fn load_snapshot(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
    ) -> impl Future<Output = Result<Option<StoredSnapshot>, LogError>> + Send;

    /// Stores the state of an aggregate in the place of an older one, soon, if the writer has room for it: it only saves time, and the next command offers a newer one.
    fn store_snapshot(&self, aggregate_type: &'static str, aggregate_id: String, snapshot: StoredSnapshot);
}
