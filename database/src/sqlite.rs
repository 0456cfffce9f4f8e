//! Opens SQLite files as this service needs them.
//!
//! Write-ahead log, one writing connection per file and process, readers that cannot write. SQLite before 3.51.3 has a race between
//! connections that write or checkpoint the same write-ahead log; a single writing connection that also runs the checkpoints has no
//! competitor. The lock file of the data folder keeps a second process out; one that only reads may come in beside it.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

/// How durable a commit is when the power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A commit is on disk when it returns. For data that cannot be rebuilt.
    EveryCommit,
    /// A commit survives the process, and the file stays intact when the power fails, but the last commits may be lost. For data that is
    /// rebuilt from the event log.
    Rebuildable,
}

/// Opens the one connection that writes to a file, creating the file where it is missing.
///
/// # Errors
/// The driver's.
pub async fn open_writer(file: &Path, durability: Durability) -> sqlx::Result<SqliteConnection> {
    let synchronous = match durability {
        Durability::EveryCommit => SqliteSynchronous::Full,
        Durability::Rebuildable => SqliteSynchronous::Normal,
    };
    options(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .connect()
        .await
}

/// Opens connections that only read. The file must have been opened for writing before.
pub fn open_readers(file: &Path, connections: u32) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(2))
        .test_before_acquire(false)
        .connect_lazy_with(options(file).read_only(true))
}

/// Writes a file as it is at this moment into another, which is empty or missing, whatever its process does meanwhile.
///
/// # Errors
/// The driver's.
pub async fn copy_into(file: &Path, to: &Path) -> sqlx::Result<()> {
    let mut connection = open_reader(file).await?;
    let to = to.to_str().ok_or_else(|| sqlx::Error::Configuration("a path that is not UTF-8".into()))?;
    sqlx::query("vacuum into $1").bind(to).execute(&mut connection).await?;
    connection.close().await
}

/// Opens one connection that only reads. The file must have been opened for writing before, perhaps by another process.
///
/// # Errors
/// The driver's.
pub async fn open_reader(file: &Path) -> sqlx::Result<SqliteConnection> {
    options(file).read_only(true).connect().await
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .statement_cache_capacity(128)
        .disable_statement_logging()
}
