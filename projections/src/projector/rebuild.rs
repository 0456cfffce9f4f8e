//! Fills the read model again from the whole event log, in one transaction: readers see the old tables until the new ones are complete, and a
//! crash leaves the old ones.

use honoken_database::statements::Connection;
use honoken_domain::ids::UnixSeconds;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Position, RecordedEvent};

use crate::projection::LEASE;
use crate::projector::batch::{BatchError, apply_in_order, park_if_unappliable};
use crate::projector::checkpoint::load_progress;
use crate::projector::event_reader::read_after;
use crate::projector::operation::OperationError;
use crate::projector::progress::Progress;
use crate::projector::purge::purge_all;
use crate::projector::reset::empty_tables;
use crate::read_model::ReadModel;

/// Events between two reports, under one savepoint: free on SQLite and cheap on Postgres.
const BATCH: u32 = 250;

/// Empties the read model and applies all events of the event log again. Events that operators decided to skip are skipped again; events that
/// cannot be applied are parked. A process that runs the projection meanwhile waits, and goes on behind the rebuild.
///
/// Rows of devices and registrations that left before `cutoff` are left out, as a running service purges them. `report` is called with the position that
/// has been reached, after every batch.
///
/// # Errors
/// When a database is unavailable, or another process holds the tables for longer than a few seconds. The read model is then as it was.
pub async fn rebuild<L: EventLog>(
    log: &L,
    upcasters: &Upcasters,
    read_model: &ReadModel,
    cutoff: UnixSeconds,
    report: impl FnMut(Position) + Send,
) -> Result<Progress, OperationError> {
    read_model.pass_rows.turn_off_forever();
    let mut connection = read_model.open_connection().await.map_err(OperationError::Store)?;
    let rebuilt = rebuild_in_transaction(&mut connection, log, upcasters, cutoff, report).await;
    // Without a commit this undoes everything.
    connection.close().await.map_err(OperationError::Store)?;
    rebuilt
}

async fn rebuild_in_transaction<L: EventLog>(
    connection: &mut Connection,
    log: &L,
    upcasters: &Upcasters,
    cutoff: UnixSeconds,
    report: impl FnMut(Position) + Send,
) -> Result<Progress, OperationError> {
    let store = OperationError::Store;
    connection.begin().await.map_err(store)?;
    LEASE.seize(connection).await.map_err(store)?;
    fill_from_beginning(connection, log, upcasters, END, report).await?;
    purge_all(connection, cutoff).await.map_err(store)?;
    connection.commit().await.map_err(store)?;
    load_progress(connection).await.map_err(store)
}

/// The position up to which all events are applied.
pub(crate) const END: Position = Position(u64::MAX);

/// Empties the tables and applies the event log up to a position; the caller has begun a transaction, at whose end readers see the new tables.
pub(crate) async fn fill_from_beginning<L: EventLog>(
    connection: &mut Connection,
    log: &L,
    upcasters: &Upcasters,
    to: Position,
    mut report: impl FnMut(Position) + Send,
) -> Result<(), OperationError> {
    let store = OperationError::Store;
    empty_tables(connection, log).await.map_err(store)?;
    let mut position = Position(0);
    loop {
        let mut events = read_after(log, position, BATCH).await?;
        events.retain(|event| event.position <= to);
        let Some(last) = events.last().map(|event| event.position) else { break };
        connection.savepoint().await.map_err(store)?;
        match apply_in_order(connection, upcasters, events.clone()).await {
            Ok(_) => connection.release().await.map_err(store)?,
            Err(BatchError::Store(fault)) => return Err(store(fault)),
            Err(BatchError::Unappliable | BatchError::Superseded) => {
                connection.undo().await.map_err(store)?;
                for event in events {
                    apply_or_park(connection, upcasters, event).await.map_err(store)?;
                }
            }
        }
        position = last;
        report(position);
    }
    Ok(())
}

/// Applies one event alone, so that no other event is parked with it.
async fn apply_or_park(
    connection: &mut Connection,
    upcasters: &Upcasters,
    event: RecordedEvent,
) -> sqlx::Result<()> {
    connection.savepoint().await?;
    match apply_in_order(connection, upcasters, vec![event.clone()]).await {
        Ok(_) => connection.release().await,
        Err(BatchError::Store(fault)) => Err(fault),
        Err(BatchError::Unappliable | BatchError::Superseded) => {
            connection.undo().await?;
            park_if_unappliable(connection, upcasters, event).await
        }
    }
}
