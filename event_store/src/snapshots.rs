//! Stored states of aggregates, so that not all their events have to be read for every command.
//!
//! Snapshots are ours: those of cqrs-es 0.5.0 are wrong, since it applies events in the sink and again at commit. One that is missing, older
//! than it could be, or of another shape than this release understands costs time and nothing else.

use std::future::Future;

use crate::error::LogError;
use crate::position::Position;
use honoken_telemetry::error_chain;

/// The state of an aggregate after one of its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// Sequence of the last event in it.
    pub sequence: u64,
    /// Position of that event.
    pub position: Position,
    /// The shape of the state; see [`honoken_domain::snapshot::Snapshot`].
    pub shape: u32,
    /// The state, as JSON.
    pub state: String,
}

/// The store of snapshots: beside the event log, on the same engine.
pub trait Snapshots: Send + Sync + 'static {
    /// The stored state of an aggregate, if there is one.
    fn load_snapshot(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
    ) -> impl Future<Output = Result<Option<StoredSnapshot>, LogError>> + Send;

    /// Stores the state of an aggregate in the place of an older one, soon, if the writer has room for it: it only saves time, and some later
    /// command offers a newer one.
    fn store_snapshot(&self, aggregate_type: &'static str, aggregate_id: String, snapshot: StoredSnapshot);
}

/// Reads a state, on either engine.
pub(crate) const LOAD_SNAPSHOT: &str = "\
    select sequence, position, shape, state from snapshots
    where aggregate_type = $1 and aggregate_id = $2";

/// A row of [`LOAD_SNAPSHOT`].
pub(crate) type SnapshotRow = (i64, i64, i64, String);

/// A snapshot that is not even text is as good as none.
pub(crate) fn loaded(asked: sqlx::Result<Option<SnapshotRow>>) -> Result<Option<StoredSnapshot>, LogError> {
    match asked {
        Ok(row) => Ok(row.map(StoredSnapshot::from)),
        Err(fault @ sqlx::Error::ColumnDecode { .. }) => {
            tracing::warn!(
                error = error_chain(&fault),
                "a snapshot cannot be read; the aggregate is loaded from its events"
            );
            Ok(None)
        }
        Err(fault) => Err(LogError::unavailable("loaded")(fault)),
    }
}

impl From<SnapshotRow> for StoredSnapshot {
    fn from((sequence, position, shape, state): SnapshotRow) -> Self {
        Self {
            sequence: sequence.cast_unsigned(),
            position: Position(position.cast_unsigned()),
            // A shape that does not fit is none that this release understands.
            shape: u32::try_from(shape).unwrap_or(u32::MAX),
            state,
        }
    }
}

/// Stores a state, on either engine. An older state does not take the place of a newer one, which another writer of the same aggregate may
/// have offered.
pub(crate) const PUT_SNAPSHOT: &str = "\
    insert into snapshots (aggregate_type, aggregate_id, sequence, position, shape, state)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (aggregate_type, aggregate_id) do update
    set sequence = excluded.sequence, position = excluded.position, shape = excluded.shape, state = excluded.state
    where excluded.sequence > snapshots.sequence or excluded.shape <> snapshots.shape";
