//! The checkpoint of the projection, which is stored beside the tables.

use std::sync::Arc;

use honoken_database::statements::{Connection, sql};
use honoken_event_store::Position;

use crate::projection::WALLET;
use crate::projector::parked;
use crate::projector::progress::Progress;

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

/// Notes that all events up to a position are applied or parked; the caller has begun a transaction.
pub(crate) async fn set_checkpoint(connection: &mut Connection, position: Position) -> sqlx::Result<()> {
    sql("update projection_checkpoint set position = $2 where projection = $1")
        .bind(WALLET)
        .bind(position.0.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}
