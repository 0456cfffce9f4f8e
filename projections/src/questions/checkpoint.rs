//! How far the projection is, of which event log, and whether a process runs it.

use honoken_database::statements::sql;
use honoken_event_store::{Epoch, Position};

use crate::projection::{LEASE, WALLET};
use crate::query_error::QueryError;
use crate::read_model::ReadModel;

impl ReadModel {
    /// The position up to which a projection has come; 0 when it has not begun.
    pub async fn checkpoint(&self, projection: &str) -> Result<Position, QueryError> {
        let row = sql("select position from projection_checkpoint where projection = $1")
            .bind(projection)
            .fetch_optional(&self.readers)
            .await;
        let position = row.and_then(|row| row.map(|row| row.get::<i64>("position")).transpose());
        let position = position.map_err(QueryError::of("a checkpoint"))?;
        Ok(Position(position.unwrap_or_default().cast_unsigned()))
    }

    /// Whether the tables are filled from another event log than this one, because it was restored from a backup and no process has filled
    /// them again yet. Empty tables are not another's.
    pub async fn is_of_another_log(&self, epoch: Epoch) -> Result<bool, QueryError> {
        let row = sql("select epoch from projection_checkpoint where projection = $1 and position > 0")
            .bind(WALLET)
            .fetch_optional(&self.readers)
            .await;
        let epoch_of_tables = row.and_then(|row| row.map(|row| row.get::<String>("epoch")).transpose());
        let epoch_of_tables = epoch_of_tables.map_err(QueryError::of("the event log of the projection"))?;
        Ok(epoch_of_tables.is_some_and(|of_tables| of_tables != epoch.to_string()))
    }

    /// Whether a process runs the projection.
    pub async fn is_projected(&self) -> Result<bool, QueryError> {
        LEASE.is_held(&self.readers).await.map_err(QueryError::of("the lease of the projection"))
    }
}
