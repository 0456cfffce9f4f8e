//! Applies the parked events of an aggregate, once an operator has asked for it.

use honoken_database::statements::Connection;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Position};

use crate::projection::{LEASE, WALLET};
use crate::projector::apply::{apply, upcast};
use crate::projector::checkpoint::load_progress;
use crate::projector::event_reader::event_at;
use crate::projector::operation::OperationError;
use crate::projector::parked;
use crate::projector::progress::Progress;
use crate::tables::apply_error::ApplyError;

/// Lets an aggregate go on: without the parked event if there is a reason to skip it, else with it. The inner result is the answer for the
/// operator. Any process may do this: the process that runs the projection waits for the end of the transaction.
pub(crate) async fn resume<L: EventLog>(
    connection: &mut Connection,
    log: &L,
    upcasters: &Upcasters,
    position: Position,
    skip: Option<&str>,
) -> Result<(Progress, Result<(), OperationError>), OperationError> {
    let store = OperationError::Store;
    connection.begin().await.map_err(store)?;
    LEASE.pause(connection).await.map_err(store)?;
    let Some(parked) = parked::find_blocking(connection, WALLET, position).await.map_err(store)? else {
        connection.rollback().await.map_err(store)?;
        let progress = load_progress(connection).await.map_err(store)?;
        return Ok((progress, Err(OperationError::NotParked)));
    };
    let key = (parked.aggregate_type.clone(), parked.aggregate_id.clone());
    if let Some(reason) = skip {
        parked::record_skip(connection, WALLET, &parked, reason).await.map_err(store)?;
    }
    let mut outcome = Ok(());
    for next in parked::positions_of(connection, WALLET, &key).await.map_err(store)? {
        // A parked event was read from this event log before, and an event log only grows.
        let Some(recorded) = event_at(log, next).await? else {
            return Err(store(sqlx::Error::RowNotFound));
        };
        connection.savepoint().await.map_err(store)?;
        match apply(connection, vec![upcast(upcasters, recorded.clone())]).await {
            Ok(()) => {
                parked::unpark(connection, WALLET, next).await.map_err(store)?;
                connection.release().await.map_err(store)?;
            }
            Err(ApplyError::Unappliable(reason)) => {
                connection.undo().await.map_err(store)?;
                parked::park(connection, WALLET, &recorded, &reason, false).await.map_err(store)?;
                // If a later event fails, the operator's request is carried out all the same; the later event is the parked one from here on.
                if next == position {
                    outcome = Err(OperationError::StillUnappliable(reason));
                }
                break;
            }
            Err(ApplyError::Store(fault)) => return Err(store(fault)),
        }
    }
    connection.commit().await.map_err(store)?;
    Ok((load_progress(connection).await.map_err(store)?, outcome))
}
