//! Compares the tables with fresh ones, which are filled from the event log up to the position that the tables have, in a file that SQLite removes.
//!
//! The tables are read as they are at one moment, so their process may go on meanwhile; on a server this keeps old versions of rows for as long,
//! and in a file the write-ahead log. The fresh tables are in SQLite on either engine: nothing is written to the database that is compared.

use std::path::Path;

use honoken_database::sqlite::Durability;
use honoken_database::sqlite_file::SqliteFile;
use honoken_database::statements::{Connection, sql};
use honoken_domain::ids::UnixSeconds;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Position};

use crate::migrations::migrate_file;
use crate::projection::{VERSION, WALLET};
use crate::projector::checkpoint::load_progress;
use crate::projector::operation::OperationError;
use crate::projector::refill::fill_from_beginning;
use crate::projector::table_rows::{Difference, Differences, Table, compare};
use crate::read_model::ReadModel;

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The tables are empty, as before the first start.
    Empty,
    /// The tables are of another event log, or of another release: the next start fills them again.
    Foreign,
    /// They were compared.
    Compared {
        /// The position that the tables had come to.
        position: Position,
        /// How many rows there are.
        rows: u64,
    },
}

/// Compares the tables with fresh ones. `report` is called with the position that the fresh ones have reached, `difference` with a sentence about
/// each difference. Rows of devices and registrations that left before the moment that `cutoff` gives are left out, since they may be purged.
///
/// # Errors
/// When the event log or the read model is unavailable, or there is no room for the fresh tables.
pub async fn compare_with_fresh<L: EventLog>(
    log: &L,
    upcasters: &Upcasters,
    read_model: &ReadModel,
    cutoff: impl FnOnce() -> UnixSeconds + Send,
    report: impl FnMut(Position) + Send,
    difference: impl FnMut(String) + Send,
) -> Result<Comparison, OperationError> {
    let mut live = read_model.open_snapshot().await.map_err(OperationError::Store)?;
    let mut fresh = fresh_tables().await?;
    let compared = async {
        let compared = Comparing { live: &mut live, fresh: &mut fresh };
        compared.run(log, upcasters, cutoff, report, difference).await
    };
    let compared = compared.await;
    live.close().await.map_err(OperationError::Store)?;
    fresh.close().await.map_err(OperationError::Store)?;
    compared
}

/// Tables in a file without a name: SQLite puts it where temporary files are, and removes it whatever becomes of this process.
pub(crate) async fn fresh_tables() -> Result<Connection, OperationError> {
    let file = SqliteFile::new(Path::new(""), "run the command again");
    let mut connection = file.open_writer(Durability::Rebuildable).await.map_err(OperationError::Store)?;
    let migrated = migrate_file(&mut connection).await;
    migrated.map_err(|fault| OperationError::Store(sqlx::Error::Configuration(Box::new(fault))))?;
    Ok(Connection::Sqlite(connection, file))
}

struct Comparing<'a> {
    live: &'a mut Connection,
    fresh: &'a mut Connection,
}

impl Comparing<'_> {
    async fn run<L: EventLog>(
        self,
        log: &L,
        upcasters: &Upcasters,
        cutoff: impl FnOnce() -> UnixSeconds + Send,
        report: impl FnMut(Position) + Send,
        mut difference: impl FnMut(String) + Send,
    ) -> Result<Comparison, OperationError> {
        let Self { live, fresh } = self;
        let store = OperationError::Store;
        let position = match standing(live, log).await.map_err(store)? {
            Standing::At(position) => position,
            Standing::Empty => return Ok(Comparison::Empty),
            Standing::Foreign => return Ok(Comparison::Foreign),
        };
        // After the moment at which the tables are read, so that it is behind every purge that they have seen.
        let cutoff = cutoff();
        copy_skipped(live, fresh).await.map_err(store)?;
        fresh.begin().await.map_err(store)?;
        fill_from_beginning(fresh, log, upcasters, position, report).await?;
        fresh.commit().await.map_err(store)?;
        let reached = load_progress(fresh).await.map_err(store)?.applied;
        let mut differences = Differences::new(|found: Difference| difference(found.sentence));
        if reached != position {
            differences.add(format!(
                "the read model is at position {position}, and the event log ends at {reached}"
            ));
        }
        for table in Table::all(fresh).await.map_err(store)? {
            compare(&table, live, fresh, cutoff, &mut differences).await.map_err(store)?;
        }
        Ok(Comparison::Compared { position, rows: differences.rows() })
    }
}

/// How the tables stand to the event log.
enum Standing {
    Empty,
    Foreign,
    At(Position),
}

async fn standing<L: EventLog>(live: &mut Connection, log: &L) -> sqlx::Result<Standing> {
    let row = sql("select epoch, version, position from projection_checkpoint where projection = $1")
        .bind(WALLET)
        .fetch_optional(live)
        .await?;
    let Some(row) = row else { return Ok(Standing::Empty) };
    let position = row.get::<i64>("position")?;
    let is_of_log = row.get::<String>("epoch")? == log.epoch().to_string();
    Ok(match position {
        0 => Standing::Empty,
        _ if !is_of_log || row.get::<i64>("version")? != VERSION => Standing::Foreign,
        position => Standing::At(Position(position.cast_unsigned())),
    })
}

/// Copies the decisions of operators, which no event tells.
pub(crate) async fn copy_skipped(live: &mut Connection, fresh: &mut Connection) -> sqlx::Result<()> {
    let rows = sql("select projection, position, error, reason from skipped_event where projection = $1")
        .bind(WALLET)
        .fetch_all(live)
        .await?;
    for row in rows {
        sql("insert into skipped_event (projection, position, error, reason) values ($1, $2, $3, $4)")
            .bind(row.get::<String>("projection")?)
            .bind(row.get::<i64>("position")?)
            .bind(row.get::<String>("error")?)
            .bind(row.get::<String>("reason")?)
            .execute(&mut *fresh)
            .await?;
    }
    Ok(())
}
