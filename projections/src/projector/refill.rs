//! Fills tables from the beginning of the event log where they stand, in one transaction: those of another event log, which no reader may see, and
//! fresh ones in a file without a name. (A rebuild fills a copy instead.)

use honoken_database::statements::Connection;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Position, RecordedEvent};

use crate::projector::batch::{BatchError, apply_in_order, park_if_unappliable};
use crate::projector::event_reader::read_after;
use crate::projector::operation::OperationError;
use crate::projector::reset::empty_tables;

/// Events between two reports, under one savepoint: free on SQLite and cheap on Postgres.
const BATCH: u32 = 250;

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
        apply_or_park_each(connection, upcasters, events).await.map_err(store)?;
        position = last;
        report(position);
    }
    Ok(())
}

/// Applies events, and parks those that cannot be applied; the caller has begun a transaction.
pub(crate) async fn apply_or_park_each(
    connection: &mut Connection,
    upcasters: &Upcasters,
    events: Vec<RecordedEvent>,
) -> sqlx::Result<()> {
    connection.savepoint().await?;
    match apply_in_order(connection, upcasters, events.clone()).await {
        Ok(_) => connection.release().await,
        Err(BatchError::Store(fault)) => Err(fault),
        Err(BatchError::Unappliable | BatchError::Superseded) => {
            connection.undo().await?;
            for event in events {
                apply_or_park(connection, upcasters, event).await?;
            }
            Ok(())
        }
    }
}

/// Applies one event alone, so that no other event is parked with it; the caller has begun a transaction.
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
