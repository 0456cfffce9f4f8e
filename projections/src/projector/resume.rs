//! Lets an aggregate go on that an event of its own holds up.

use honoken_database::statements::Connection;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Position};

use crate::projection::WALLET;
use crate::projector::apply::{apply, upcast};
use crate::projector::checkpoint::load_progress;
use crate::projector::event_reader::read;
use crate::projector::operation::OperationError;
use crate::projector::progress::Progress;
use crate::projector::{lease, parked};
use crate::tables::apply_error::ApplyError;

/// Lets an aggregate go on: without the parked event when there is a reason to skip it, else with it. The inner result is the operator's
/// answer. Any process may do this: whoever runs the projection waits for the end of the transaction.
pub(crate) async fn resume<L: EventLog>(
    connection: &mut Connection,
    log: &L,
    upcasters: &Upcasters,
    position: Position,
    skip: Option<&str>,
) -> Result<(Progress, Result<(), OperationError>), OperationError> {
    let store = OperationError::Store;
    connection.begin().await.map_err(store)?;
    lease::pause_others(connection).await.map_err(store)?;
    let Some(parked) = parked::blocking(connection, WALLET, position).await.map_err(store)? else {
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
        let before = Position(next.0 - 1);
        // What is parked was read from this log once, and a log only grows.
        let Some(recorded) = read(log, before, 1).await?.into_iter().next() else {
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
                // What was asked for has been done if a later event is the one that fails; it is the parked one from here on.
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
