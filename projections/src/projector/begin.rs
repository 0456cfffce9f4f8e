//! Where the projection goes on when a process begins to run it.

use honoken_database::statements::{Connection, sql};
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Position};

use crate::projection::{VERSION, WALLET};
use crate::projector::checkpoint::load_progress;
use crate::projector::event_reader::read;
use crate::projector::lease::{self, Lease};
use crate::projector::operation::OperationError;
use crate::projector::progress::Progress;
use crate::projector::rebuild::fill_anew;
use crate::projector::reset::empty;

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
