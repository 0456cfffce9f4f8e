//! What happens in one transaction: events go to their tables, or are parked, and the checkpoint moves with them.

use std::sync::Arc;

use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Epoch, EventLog, LogError, Position, RecordedEvent};
use sqlx::{Connection, SqliteConnection};

use crate::apply::{ApplyError, apply};
use crate::parked::{self, AggregateKey};
use crate::projector::{OperationError, Progress};

/// The name under which this projection keeps its checkpoint; frozen.
pub const WALLET: &str = "wallet";

/// Raised when the tables change their meaning: those of another version are emptied and filled again at the next start.
pub const VERSION: i64 = 1;

/// Why a batch was given up.
pub(crate) enum BatchError {
    /// One of its events cannot be applied: the batch is done again event by event.
    Unappliable,
    Store(sqlx::Error),
}

impl From<sqlx::Error> for BatchError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Store(fault)
    }
}

/// Reads on in the log. An event whose row is not even JSON comes without a payload, so that it is parked like any other that does not
/// decode.
pub(crate) async fn read<L: EventLog>(
    log: &L,
    position: Position,
    limit: u32,
) -> Result<Vec<RecordedEvent>, LogError> {
    match log.read_after(position, limit).await {
        Err(LogError::Unreadable { position, event, .. }) => {
            Ok(vec![RecordedEvent { position, recorded_at_ms: 0, event: *event }])
        }
        outcome => outcome,
    }
}

/// Begins where the tables are. Tables of another log, under another meaning, or further than the log goes (it was restored from a backup,
/// and what it gains from now on would never be read) are emptied, and filled again from the beginning.
pub(crate) async fn begin(
    connection: &mut SqliteConnection,
    epoch: Epoch,
    head: Position,
) -> sqlx::Result<Progress> {
    let epoch = epoch.to_string();
    let mut transaction = connection.begin_with("begin immediate").await?;
    let known: Option<(String, i64, i64)> =
        sqlx::query_as("select epoch, version, position from projection_checkpoint where projection = $1")
            .bind(WALLET)
            .fetch_optional(&mut *transaction)
            .await?;
    let continues = known.as_ref().is_some_and(|(of, version, position)| {
        *of == epoch && *version == VERSION && position.cast_unsigned() <= head.0
    });
    if !continues {
        if let Some((of, version, position)) = known {
            tracing::warn!(
                "the read model (log {of}, version {version}, position {position}) does not fit the log {epoch}, version {VERSION}, \
                 position {head}: it is filled again from the beginning"
            );
        }
        for table in DERIVED {
            sqlx::query(&format!("delete from {table}")).execute(&mut *transaction).await?;
        }
        sqlx::query(
            "insert into projection_checkpoint (projection, epoch, version, position) values ($1, $2, $3, 0)",
        )
        .bind(WALLET)
        .bind(epoch)
        .bind(VERSION)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    load_progress(connection).await
}

/// Every table that the log fills.
const DERIVED: &[&str] = &[
    "projection_checkpoint",
    "parked_event",
    "wallet_organization",
    "wallet_api_key",
    "wallet_pass_type",
    "wallet_brand_assets",
    "wallet_pass",
    "wallet_pass_content",
    "wallet_device",
    "wallet_registration",
];

/// How far the file is.
pub(crate) async fn load_progress(connection: &mut SqliteConnection) -> sqlx::Result<Progress> {
    let position: Option<i64> =
        sqlx::query_scalar("select position from projection_checkpoint where projection = $1")
            .bind(WALLET)
            .fetch_optional(&mut *connection)
            .await?;
    let parked = parked::aggregates(connection, WALLET).await?;
    Ok(Progress {
        position: Position(position.unwrap_or_default().cast_unsigned()),
        parked: Arc::new(parked),
    })
}

/// Applies events, all or none.
pub(crate) async fn apply_all(
    connection: &mut SqliteConnection,
    upcasters: &Upcasters,
    events: Vec<RecordedEvent>,
    before: Progress,
) -> Result<Progress, BatchError> {
    let mut position = before.position;
    let mut transaction = connection.begin_with("begin immediate").await?;
    let skipped = parked::skipped_after(&mut transaction, WALLET, position).await?;
    for recorded in events {
        position = recorded.position;
        if skipped.contains(&position) {
            continue;
        }
        if before.parked.contains(&key_of(&recorded))
            && parked::holds_up(&mut transaction, WALLET, &recorded).await?
        {
            parked::park(&mut transaction, WALLET, &recorded, "waits behind an earlier event", true).await?;
            continue;
        }
        apply(&mut transaction, upcast(upcasters, recorded)).await.map_err(|fault| match fault {
            ApplyError::Unappliable(_) => BatchError::Unappliable,
            ApplyError::Store(fault) => BatchError::Store(fault),
        })?;
    }
    set_checkpoint(&mut transaction, position).await?;
    transaction.commit().await?;
    Ok(Progress { position, parked: before.parked })
}

/// Tries one event a last time and parks it if it fails again. What was skipped does not come here: `apply_all` passes it by.
pub(crate) async fn park_one(
    connection: &mut SqliteConnection,
    upcasters: &Upcasters,
    recorded: RecordedEvent,
) -> sqlx::Result<Progress> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    let mut attempt = transaction.begin().await?;
    match apply(&mut attempt, upcast(upcasters, recorded.clone())).await {
        Ok(()) => attempt.commit().await?,
        Err(ApplyError::Store(fault)) => return Err(fault),
        Err(ApplyError::Unappliable(error)) => {
            attempt.rollback().await?;
            tracing::error!(
                event.position = recorded.position.0,
                event.r#type = recorded.event.event_type,
                error,
                "parked an event that cannot be applied"
            );
            parked::park(&mut transaction, WALLET, &recorded, &error, false).await?;
        }
    }
    set_checkpoint(&mut transaction, recorded.position).await?;
    transaction.commit().await?;
    load_progress(connection).await
}

/// Lets an aggregate go on: without the parked event when there is a reason to skip it, else with it. The inner result is the operator's answer.
pub(crate) async fn resume<L: EventLog>(
    connection: &mut SqliteConnection,
    log: &L,
    upcasters: &Upcasters,
    position: Position,
    skip: Option<&str>,
) -> Result<(Progress, Result<(), OperationError>), OperationError> {
    let store = OperationError::Store;
    let mut transaction = connection.begin_with("begin immediate").await.map_err(store)?;
    let Some(parked) = parked::blocking(&mut transaction, WALLET, position).await.map_err(store)? else {
        transaction.rollback().await.map_err(store)?;
        let progress = load_progress(connection).await.map_err(store)?;
        return Ok((progress, Err(OperationError::NotParked)));
    };
    let key = (parked.aggregate_type.clone(), parked.aggregate_id.clone());
    if let Some(reason) = skip {
        parked::record_skip(&mut transaction, WALLET, &parked, reason).await.map_err(store)?;
    }
    let mut outcome = Ok(());
    for next in parked::positions_of(&mut transaction, WALLET, &key).await.map_err(store)? {
        let before = Position(next.0 - 1);
        // What is parked was read from this log once, and a log only grows.
        let Some(recorded) = read(log, before, 1).await?.into_iter().next() else {
            return Err(store(sqlx::Error::RowNotFound));
        };
        let mut attempt = transaction.begin().await.map_err(store)?;
        match apply(&mut attempt, upcast(upcasters, recorded.clone())).await {
            Ok(()) => {
                parked::unpark(&mut attempt, WALLET, next).await.map_err(store)?;
                attempt.commit().await.map_err(store)?;
            }
            Err(ApplyError::Unappliable(reason)) => {
                attempt.rollback().await.map_err(store)?;
                parked::park(&mut transaction, WALLET, &recorded, &reason, false).await.map_err(store)?;
                // What was asked for has been done if a later event is the one that fails; it is the parked one from here on.
                if next == position {
                    outcome = Err(OperationError::StillUnappliable(reason));
                }
                break;
            }
            Err(ApplyError::Store(fault)) => return Err(store(fault)),
        }
    }
    transaction.commit().await.map_err(store)?;
    Ok((load_progress(connection).await.map_err(store)?, outcome))
}

async fn set_checkpoint(connection: &mut SqliteConnection, position: Position) -> sqlx::Result<()> {
    sqlx::query("update projection_checkpoint set position = $2 where projection = $1")
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
