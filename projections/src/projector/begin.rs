//! Where the projection goes on when a process begins to run it: behind the checkpoint, or from the beginning if the tables do not fit.

use honoken_database::lease::Held;
use honoken_database::statements::{Connection, sql};
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Position};

use crate::projection::{LEASE, VERSION, WALLET};
use crate::projector::checkpoint::load_progress;
use crate::projector::operation::OperationError;
use crate::projector::progress::Progress;
use crate::projector::refill::{END, fill_from_beginning};
use crate::projector::reset::empty_tables;

/// Begins at the checkpoint. Tables are filled again from the beginning if they are of another event log, of another version, or further than
/// the event log goes (it was restored from a backup, and its next events would never be read). That is one transaction: a phone that asked
/// an emptied table would be refused its own pass.
pub(crate) async fn begin<L: EventLog>(
    connection: &mut Connection,
    lease: Held,
    log: &L,
    upcasters: &Upcasters,
) -> Result<Progress, OperationError> {
    let store = OperationError::Store;
    connection.begin().await.map_err(store)?;
    if !LEASE.renew(connection, lease).await.map_err(store)? {
        connection.rollback().await.map_err(store)?;
        return load_progress(connection).await.map_err(store);
    }
    match compare_with_log(connection, log).await? {
        Tables::Fit => {}
        Tables::Empty => empty_tables(connection, log).await.map_err(store)?,
        Tables::Foreign => fill_from_beginning(connection, log, upcasters, END, report_progress).await?,
    }
    connection.commit().await.map_err(store)?;
    load_progress(connection).await.map_err(store)
}

/// For operators, since filling the tables may take long.
fn report_progress(position: Position) {
    if position.0 % 100_000 < 250 {
        tracing::info!("the read model is filled again and has reached position {position}");
    }
}

/// How the tables compare with the event log.
enum Tables {
    /// They hold its first events, as this release would write them.
    Fit,
    /// They hold nothing yet, so that no reader loses anything while they are filled batch by batch.
    Empty,
    /// They hold something else.
    Foreign,
}

async fn compare_with_log<L: EventLog>(
    connection: &mut Connection,
    log: &L,
) -> Result<Tables, OperationError> {
    let checkpoint = sql("select epoch, version, position from projection_checkpoint where projection = $1")
        .bind(WALLET)
        .fetch_optional(connection)
        .await
        .map_err(OperationError::Store)?;
    let Some(row) = checkpoint else { return Ok(Tables::Empty) };
    let column = |fault| OperationError::Store(fault);
    let table_epoch: String = row.get("epoch").map_err(column)?;
    let version: i64 = row.get("version").map_err(column)?;
    let position = row.get::<i64>("position").map_err(column)?.cast_unsigned();
    let epoch = log.epoch().to_string();
    if position == 0 {
        return Ok(if table_epoch == epoch && version == VERSION { Tables::Fit } else { Tables::Empty });
    }
    // The database of the event log is asked, since another process may have projected events behind the head that this one knows.
    let is_in_log = log.reaches(Position(position)).await?;
    if table_epoch == epoch && version == VERSION && is_in_log {
        return Ok(Tables::Fit);
    }
    tracing::warn!(
        "the read model (event log {table_epoch}, version {version}, position {position}) does not fit the event log {epoch}, version \
         {VERSION}: it is filled again from the beginning"
    );
    Ok(Tables::Foreign)
}
