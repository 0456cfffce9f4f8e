//! The checkpoint of the projection, which is stored beside the tables.

use std::collections::BTreeSet;
use std::sync::Arc;

use honoken_database::statements::{Connection, Row, sql};
use honoken_event_store::Position;

use crate::projection::WALLET;
use crate::projector::parked;
use crate::projector::progress::{AggregateKey, Progress};

/// How far the tables are, and how far those are that other processes read.
pub(crate) async fn load_progress(connection: &mut Connection) -> sqlx::Result<Progress> {
    let row = sql("select position, (select position from copies_floor) as floor from projection_checkpoint where projection = $1")
        .bind(WALLET)
        .fetch_optional(&mut *connection)
        .await?;
    let parked = parked::aggregates(connection, WALLET).await?;
    let Some(row) = row else { return Ok(Progress { parked: Arc::new(parked), ..Progress::default() }) };
    let applied = Position(row.get::<i64>("position")?.cast_unsigned());
    Ok(progress_of(applied, floor_of(&row)?, parked))
}

/// Notes that all events up to a position are applied or parked; the caller has begun a transaction. Returns how far the tables are that other
/// processes read, if they read others.
pub(crate) async fn set_checkpoint(
    connection: &mut Connection,
    position: Position,
) -> sqlx::Result<Option<Position>> {
    let set = match connection {
        Connection::Sqlite(..) => "update projection_checkpoint set position = $2 where projection = $1",
        // The other row is for processes that read another copy, and for whoever asks how far this one is.
        Connection::Postgres(_) => {
            "with own as (update own_copy set position = $2),
                  moved as (update projection_checkpoint set position = $2 where projection = $1)
             select position as floor from copies_floor"
        }
    };
    let set = sql(set).bind(WALLET).bind(position.0.cast_signed());
    match connection {
        Connection::Sqlite(..) => set.execute(connection).await.map(|_| None),
        Connection::Postgres(_) => floor_of(&set.fetch_one(connection).await?),
    }
}

/// Progress, given how far the tables are and how far those of others.
pub(crate) fn progress_of(
    applied: Position,
    floor: Option<Position>,
    parked: BTreeSet<AggregateKey>,
) -> Progress {
    Progress {
        position: floor.map_or(applied, |floor| floor.min(applied)),
        applied,
        parked: Arc::new(parked),
    }
}

fn floor_of(row: &Row) -> sqlx::Result<Option<Position>> {
    Ok(row.get::<Option<i64>>("floor")?.map(|floor| Position(floor.cast_unsigned())))
}
