//! Applies events to a copy of the tables that nobody reads yet.

use honoken_database::lease::Held;
use honoken_database::statements::{Connection, sql};
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Position};

use crate::projection::{LEASE, VERSION, WALLET};
use crate::projector::checkpoint::load_progress;
use crate::projector::event_reader::read_after;
use crate::projector::operation::OperationError;
use crate::projector::refill::apply_or_park_each;
use crate::projector::reset::empty_tables;

/// Events in one transaction at the most.
const BATCH: u32 = 1000;

/// The position of a copy, from which its filling goes on. Tables of another event log or version, and those that go further than the event log, are
/// emptied. `None` when another process has the lease.
pub(crate) async fn resume_filling<L: EventLog>(
    connection: &mut Connection,
    lease: Held,
    log: &L,
) -> Result<Option<Position>, OperationError> {
    let store = OperationError::Store;
    connection.begin().await.map_err(store)?;
    if !LEASE.renew(connection, lease).await.map_err(store)? {
        connection.rollback().await.map_err(store)?;
        return Ok(None);
    }
    let row = sql("select epoch, version, position from projection_checkpoint where projection = $1")
        .bind(WALLET)
        .fetch_optional(&mut *connection)
        .await
        .map_err(store)?;
    let fits = match &row {
        None => false,
        Some(row) => {
            let position = row.get::<i64>("position").map_err(store)?.cast_unsigned();
            row.get::<String>("epoch").map_err(store)? == log.epoch().to_string()
                && row.get::<i64>("version").map_err(store)? == VERSION
                && (position == 0 || log.reaches(Position(position)).await?)
        }
    };
    if !fits {
        empty_tables(connection, log).await.map_err(store)?;
    }
    connection.commit().await.map_err(store)?;
    Ok(Some(load_progress(connection).await.map_err(store)?.applied))
}

/// The events that came out of the event log for one step.
pub(crate) struct Step {
    /// The position that the copy has come to.
    pub(crate) position: Position,
    /// How many events were applied.
    pub(crate) events: u64,
}

/// Applies the next events up to `to`, in a transaction of its own. `None` when there are none.
///
/// # Errors
/// [`StepError::Superseded`] when another process has taken the lease.
pub(crate) async fn step<L: EventLog>(
    connection: &mut Connection,
    lease: Held,
    log: &L,
    upcasters: &Upcasters,
    (position, to): (Position, Position),
) -> Result<Option<Step>, StepError> {
    let mut events = read_after(log, position, BATCH).await.map_err(OperationError::Log)?;
    events.retain(|event| event.position <= to);
    let Some(last) = events.last().map(|event| event.position) else { return Ok(None) };
    let count = events.len() as u64;
    connection.begin().await?;
    if !LEASE.renew(connection, lease).await? {
        connection.rollback().await?;
        return Err(StepError::Superseded);
    }
    apply_or_park_each(connection, upcasters, events).await?;
    connection.commit().await?;
    Ok(Some(Step { position: last, events: count }))
}

/// Why a step was not taken. It changed nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// Another process fills the copy by now.
    #[error("another process fills the copy")]
    Superseded,
    #[error(transparent)]
    Failed(#[from] OperationError),
}

impl From<sqlx::Error> for StepError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Failed(OperationError::Store(fault))
    }
}
