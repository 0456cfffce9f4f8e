//! The events that hold sealed secrets, read from an event log that is not open: before a process makes a new encryption key it has to know
//! what is sealed under an earlier one.

use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

/// An event of an aggregate that has a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretEvent {
    /// `Certificate` or `ApnsKey`.
    pub aggregate_type: String,
    /// Which one.
    pub aggregate_id: String,
    /// The name of the event.
    pub event_type: String,
    /// Its payload, JSON.
    pub payload: String,
}

/// All of them, each aggregate's in order; on either engine.
pub(crate) const SECRET_EVENTS: &str = "\
    select aggregate_type, aggregate_id, event_type, cast(payload as text) as payload from events
    where aggregate_type in ('ApnsKey', 'Certificate')
    order by aggregate_type, aggregate_id, sequence";

/// The event in a row; `None` when the row is damaged, which is told where the event is applied.
pub(crate) fn of_sqlite(row: &SqliteRow) -> Option<SecretEvent> {
    Some(SecretEvent {
        aggregate_type: row.try_get("aggregate_type").ok()?,
        aggregate_id: row.try_get("aggregate_id").ok()?,
        event_type: row.try_get("event_type").ok()?,
        payload: row.try_get("payload").ok()?,
    })
}

/// The same on Postgres.
pub(crate) fn of_postgres(row: &PgRow) -> Option<SecretEvent> {
    Some(SecretEvent {
        aggregate_type: row.try_get("aggregate_type").ok()?,
        aggregate_id: row.try_get("aggregate_id").ok()?,
        event_type: row.try_get("event_type").ok()?,
        payload: row.try_get("payload").ok()?,
    })
}
