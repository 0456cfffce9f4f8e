//! Events that could not be applied, and those that wait behind them.

use std::collections::BTreeSet;

use honoken_database::statements::sql;
use honoken_event_store::Position;

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::parked_event::{parked_event, position_of};

pub use crate::rows::parked_event::ParkedEvent;

impl ReadModel {
    /// The parked events of a projection in log order, at most `limit`.
    pub async fn parked_events(&self, projection: &str, limit: u32) -> Result<Vec<ParkedEvent>, QueryError> {
        let rows = sql("select position, aggregate_type, aggregate_id, sequence, event_type, error, waiting
             from parked_event
             where projection = $1
             order by position
             limit $2")
        .bind(projection)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(parked_event).collect()).map_err(QueryError::of("parked events"))
    }

    /// The events of a projection that operators decided to skip, by their positions.
    pub async fn skipped_events(&self, projection: &str) -> Result<BTreeSet<Position>, QueryError> {
        let rows = sql("select position from skipped_event where projection = $1")
            .bind(projection)
            .fetch_all(&self.readers)
            .await;
        rows.and_then(|rows| rows.iter().map(position_of).collect()).map_err(QueryError::of("skipped events"))
    }

    /// The decisions of operators to skip an event: its position, the error for which it was parked, and their reason.
    pub(crate) async fn skip_decisions(
        &self,
        projection: &str,
    ) -> sqlx::Result<Vec<(Position, String, String)>> {
        let rows =
            sql("select position, error, reason from skipped_event where projection = $1 order by position")
                .bind(projection)
                .fetch_all(&self.readers)
                .await?;
        rows.iter().map(|row| Ok((position_of(row)?, row.get("error")?, row.get("reason")?))).collect()
    }

    /// The positions of all parked events of a projection.
    pub(crate) async fn parked_positions(&self, projection: &str) -> sqlx::Result<BTreeSet<Position>> {
        let rows = sql("select position from parked_event where projection = $1")
            .bind(projection)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(position_of).collect()
    }

    /// How many events of a projection are parked.
    pub async fn parked_count(&self, projection: &str) -> Result<u64, QueryError> {
        let row = sql("select count(*) as parked from parked_event where projection = $1")
            .bind(projection)
            .fetch_one(&self.readers)
            .await;
        row.and_then(|row| row.get::<i64>("parked"))
            .map(i64::cast_unsigned)
            .map_err(QueryError::of("parked events"))
    }
}
