//! What happens in one transaction: events go to their tables, or are parked, and the checkpoint moves with them.

use std::sync::Arc;

use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, LogError, Position, RecordedEvent};

use crate::apply::{ApplyError, apply};
use crate::lease::{self, Lease};
use crate::parked::{self, AggregateKey};
use crate::projector::{OperationError, Progress};
use crate::rebuild::fill_anew;
use honoken_database::statements::{Connection, sql};

/// The name under which this projection keeps its checkpoint; frozen.
pub const WALLET: &str = "wallet";

/// Raised when the tables change their meaning: those of another version are emptied and filled again at the next start.
pub const VERSION: i64 = 5;

/// Why a batch was given up. It left nothing behind.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    /// One of its events cannot be applied: the batch is done again event by event.
    #[error("an event cannot be applied")]
    Unappliable,
    /// Another process has taken over.
    #[error("another process has taken over")]
    Superseded,
    #[error("the read model could not be written")]
    Store(#[from] sqlx::Error),
}

/// Reads on in the log. An event whose row is not even JSON, or not even text, comes without a payload, so that it is parked like any other that does not
/// decode.
pub(crate) async fn read<L: EventLog>(
    log: &L,
    position: Position,
    limit: u32,
) -> Result<Vec<RecordedEvent>, LogError> {
    match log.read_after(position, limit).await {
        Err(LogError::Unreadable { event, .. }) => Ok(vec![*event]),
        outcome => outcome,
    }
}

/// Begins where the tables are. Tables of another log, under another meaning, or further than the log goes (it was restored from a backup,
/// and what it gains from now on would never be read) are filled again from the beginning, in one transaction: a phone that asked an emptied
/// table would be refused its own pass.
pub(crate) async fn begin<L: EventLog>(
    connection: &mut Connection,
    lease: Lease,
    log: &L,
    upcasters: &Upcasters,
) -> Result<Progress, OperationError> {
    let store = OperationError::Store;
    connection.begin().await.map_err(store)?;
    if !lease::hold(connection, lease).await.map_err(store)? {
        connection.rollback().await.map_err(store)?;
        return load_progress(connection).await.map_err(store);
    }
    match fit(connection, log).await? {
        Fit::Continues => {}
        Fit::Nothing => empty(connection, log).await.map_err(store)?,
        Fit::Foreign => fill_anew(connection, log, upcasters, report_now_and_then).await?,
    }
    connection.commit().await.map_err(store)?;
    load_progress(connection).await.map_err(store)
}

/// For whoever waits for a start that takes long.
fn report_now_and_then(position: Position) {
    if position.0 % 100_000 < 250 {
        tracing::info!("the read model is filled again, and has come to position {position}");
    }
}

/// What the tables hold.
enum Fit {
    /// A beginning of the log.
    Continues,
    /// Nothing yet, so that no reader loses anything while they are filled batch by batch.
    Nothing,
    /// Something else than a beginning of this log.
    Foreign,
}

async fn fit<L: EventLog>(connection: &mut Connection, log: &L) -> Result<Fit, OperationError> {
    let known = sql("select epoch, version, position from projection_checkpoint where projection = $1")
        .bind(WALLET)
        .fetch_optional(connection)
        .await
        .map_err(OperationError::Store)?;
    let Some(row) = known else { return Ok(Fit::Nothing) };
    let column = |fault| OperationError::Store(fault);
    let of: String = row.get("epoch").map_err(column)?;
    let version: i64 = row.get("version").map_err(column)?;
    let position = row.get::<i64>("position").map_err(column)?.cast_unsigned();
    let epoch = log.epoch().to_string();
    if position == 0 {
        return Ok(if of == epoch && version == VERSION { Fit::Continues } else { Fit::Nothing });
    }
    // The log itself is asked: what this process knows of its head may be older than what another has projected.
    let is_in_log = !read(log, Position(position - 1), 1).await?.is_empty();
    if of == epoch && version == VERSION && is_in_log {
        return Ok(Fit::Continues);
    }
    tracing::warn!(
        "the read model (log {of}, version {version}, position {position}) does not fit the log {epoch}, version {VERSION}: it is filled \
         again from the beginning"
    );
    Ok(Fit::Foreign)
}

/// Every table that the log fills, but for the checkpoint.
const DERIVED: &[&str] = &[
    "delete from parked_event",
    "delete from wallet_organization",
    "delete from wallet_api_key",
    "delete from wallet_pass_type",
    "delete from wallet_brand_assets",
    "delete from wallet_cert",
    "delete from wallet_apns_key",
    "delete from wallet_pass",
    "delete from wallet_pass_content",
    "delete from wallet_outdated_pass",
    "delete from wallet_image",
    "delete from wallet_job",
    "delete from wallet_device",
    "delete from wallet_registration",
];

/// Empties the tables: nothing of this log is in them.
pub(crate) async fn empty<L: EventLog>(connection: &mut Connection, log: &L) -> sqlx::Result<()> {
    for delete in DERIVED {
        sql(delete).execute_however_long(connection).await?;
    }
    sql("insert into projection_checkpoint (projection, epoch, version, position) values ($1, $2, $3, 0)
         on conflict (projection) do update set epoch = excluded.epoch, version = excluded.version, position = 0")
    .bind(WALLET)
    .bind(log.epoch().to_string())
    .bind(VERSION)
    .execute(connection)
    .await?;
    Ok(())
}

/// How far the tables are.
pub(crate) async fn load_progress(connection: &mut Connection) -> sqlx::Result<Progress> {
    let row = sql("select position from projection_checkpoint where projection = $1")
        .bind(WALLET)
        .fetch_optional(&mut *connection)
        .await?;
    let position = row.map(|row| row.get::<i64>("position")).transpose()?.unwrap_or_default();
    let parked = parked::aggregates(connection, WALLET).await?;
    Ok(Progress { position: Position(position.cast_unsigned()), parked: Arc::new(parked) })
}

/// Applies events, all or none.
pub(crate) async fn apply_all(
    connection: &mut Connection,
    lease: Lease,
    upcasters: &Upcasters,
    events: Vec<RecordedEvent>,
) -> Result<Progress, BatchError> {
    connection.begin().await?;
    let applied = async {
        if !lease::hold(connection, lease).await? {
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
    // Read here, since an operator's decision may have been carried out by another process.
    let parked = parked::aggregates(connection, WALLET).await?;
    let skipped = parked::skipped_after(connection, WALLET, Position(events[0].position.0 - 1)).await?;
    let mut appliable = Vec::with_capacity(events.len());
    for recorded in events {
        if skipped.contains(&recorded.position) {
            continue;
        }
        if parked.contains(&key_of(&recorded)) && parked::holds_up(connection, WALLET, &recorded).await? {
            parked::park(connection, WALLET, &recorded, "waits behind an earlier event", true).await?;
            continue;
        }
        appliable.push(upcast(upcasters, recorded));
    }
    apply(connection, appliable).await.map_err(|fault| match fault {
        ApplyError::Unappliable(_) => BatchError::Unappliable,
        ApplyError::Store(fault) => BatchError::Store(fault),
    })?;
    set_checkpoint(connection, last).await?;
    Ok(Progress { position: last, parked: Arc::new(parked) })
}

/// Tries one event a last time and parks it if it fails again, in a transaction of its own. What was skipped does not come here:
/// `apply_in_order` passes it by.
pub(crate) async fn park_one(
    connection: &mut Connection,
    lease: Lease,
    upcasters: &Upcasters,
    recorded: RecordedEvent,
) -> Result<Progress, BatchError> {
    connection.begin().await?;
    if !lease::hold(connection, lease).await? {
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
    set_checkpoint(connection, recorded.position).await
}

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

async fn set_checkpoint(connection: &mut Connection, position: Position) -> sqlx::Result<()> {
    sql("update projection_checkpoint set position = $2 where projection = $1")
        .bind(WALLET)
        .bind(position.0.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

fn upcast(upcasters: &Upcasters, recorded: RecordedEvent) -> RecordedEvent {
    RecordedEvent { event: upcasters.upcast(recorded.event), ..recorded }
}

fn key_of(recorded: &RecordedEvent) -> AggregateKey {
    (recorded.event.aggregate_type.clone(), recorded.event.aggregate_id.clone())
}
