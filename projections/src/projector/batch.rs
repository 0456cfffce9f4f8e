//! One transaction: events go to their tables, or are parked, and the checkpoint moves with them.

use honoken_database::lease::Held;
use honoken_database::statements::Connection;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Position, RecordedEvent};

use crate::projection::{LEASE, WALLET};
use crate::projector::apply::{apply, upcast};
use crate::projector::checkpoint::{load_progress, progress_of, set_checkpoint};
use crate::projector::parked;
use crate::projector::progress::{AggregateKey, Progress};
use crate::tables::apply_error::ApplyError;

/// Why a transaction was given up. It changed nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    /// One of the events cannot be applied: the batch is tried again event by event.
    #[error("an event cannot be applied")]
    Unappliable,
    /// Another process runs the projection now.
    #[error("another process has taken over")]
    Superseded,
    #[error("the read model could not be written")]
    Store(#[from] sqlx::Error),
}

/// Applies events, all or none, in a transaction of its own.
pub(crate) async fn apply_all(
    connection: &mut Connection,
    lease: Held,
    upcasters: &Upcasters,
    events: Vec<RecordedEvent>,
) -> Result<Progress, BatchError> {
    connection.begin().await?;
    let applied = async {
        if !LEASE.renew(connection, lease).await? {
            return Err(BatchError::Superseded);
        }
        apply_in_order(connection, upcasters, events).await
    };
    let applied = applied.await;
    match &applied {
        Ok(_) => connection.commit().await?,
        Err(BatchError::Store(_)) => {}
        Err(BatchError::Unappliable | BatchError::Superseded) => connection.rollback().await?,
    }
    applied
}

/// Applies events and moves the checkpoint; the caller has begun a transaction.
pub(crate) async fn apply_in_order(
    connection: &mut Connection,
    upcasters: &Upcasters,
    events: Vec<RecordedEvent>,
) -> Result<Progress, BatchError> {
    let Some(last) = events.last().map(|event| event.position) else {
        return Ok(load_progress(connection).await?);
    };
    // Read in every batch, since another process may have carried out an operator's decision.
    let parked = parked::aggregates(connection, WALLET).await?;
    let skipped = parked::skipped_after(connection, WALLET, Position(events[0].position.0 - 1)).await?;
    let mut appliable = Vec::with_capacity(events.len());
    for recorded in events {
        if skipped.contains(&recorded.position) {
            continue;
        }
        if parked.contains(&aggregate_key(&recorded))
            && parked::holds_up(connection, WALLET, &recorded).await?
        {
            parked::park(connection, WALLET, &recorded, "waits behind an earlier event", true).await?;
            continue;
        }
        appliable.push(upcast(upcasters, recorded));
    }
    apply(connection, appliable).await.map_err(|fault| match fault {
        ApplyError::Unappliable(_) => BatchError::Unappliable,
        ApplyError::Store(fault) => BatchError::Store(fault),
    })?;
    let floor = set_checkpoint(connection, last).await?;
    Ok(progress_of(last, floor, parked))
}

/// Tries one event a last time and parks it if it fails again, in a transaction of its own. Skipped events do not come here, since
/// `apply_in_order` leaves them out.
pub(crate) async fn park_one(
    connection: &mut Connection,
    lease: Held,
    upcasters: &Upcasters,
    recorded: RecordedEvent,
) -> Result<Progress, BatchError> {
    connection.begin().await?;
    if !LEASE.renew(connection, lease).await? {
        connection.rollback().await?;
        return Err(BatchError::Superseded);
    }
    park_if_unappliable(connection, upcasters, recorded).await?;
    connection.commit().await?;
    Ok(load_progress(connection).await?)
}

/// Applies one event or parks it, and moves the checkpoint; the caller has begun a transaction.
pub(crate) async fn park_if_unappliable(
    connection: &mut Connection,
    upcasters: &Upcasters,
    recorded: RecordedEvent,
) -> sqlx::Result<()> {
    connection.savepoint().await?;
    match apply(connection, vec![upcast(upcasters, recorded.clone())]).await {
        Ok(()) => connection.release().await?,
        Err(ApplyError::Store(fault)) => return Err(fault),
        Err(ApplyError::Unappliable(error)) => {
            connection.undo().await?;
            tracing::error!(
                event.position = recorded.position.0,
                event.r#type = recorded.event.event_type,
                error,
                "parked an event that cannot be applied"
            );
            parked::park(connection, WALLET, &recorded, &error, false).await?;
        }
    }
    set_checkpoint(connection, recorded.position).await.map(drop)
}

fn aggregate_key(recorded: &RecordedEvent) -> AggregateKey {
    (recorded.event.aggregate_type.clone(), recorded.event.aggregate_id.clone())
}
