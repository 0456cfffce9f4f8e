//! Opens SQLite files the way this service needs them.
//!
//! Write-ahead log, one writing connection per file and process, readers that cannot write. SQLite before 3.51.3 has a race between
//! connections that write or checkpoint the same write-ahead log; with a single writing connection, which also runs the checkpoints,
//! there is nobody to race with. The data folder's lock file keeps a second process out.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use futures_core::future::BoxFuture;
use sqlx::error::BoxDynError;
use sqlx::migrate::{Migration, MigrationSource, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};

/// How safe a commit is when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A commit is on disk when it returns. For what cannot be rebuilt.
    EveryCommit,
    /// A commit survives the process, and the file stays whole when the power goes; the last commits may be lost. For what is rebuilt
    /// from the log.
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

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .statement_cache_capacity(128)
        .disable_statement_logging()
}

/// One migration: version, name and SQL. Migrations are append-only.
pub type EmbeddedMigration = (i64, &'static str, &'static str);

/// Brings a file to the newest schema.
///
/// # Errors
/// When a migration fails, or the file was written by a newer release.
pub async fn migrate(
    connection: &mut SqliteConnection,
    migrations: &'static [EmbeddedMigration],
) -> Result<(), sqlx::migrate::MigrateError> {
    Migrator::new(Embedded(migrations)).await?.run_direct(connection).await
}

#[derive(Debug)]
struct Embedded(&'static [EmbeddedMigration]);

impl MigrationSource<'static> for Embedded {
    fn resolve(self) -> BoxFuture<'static, Result<Vec<Migration>, BoxDynError>> {
        let migrations = self.0.iter().map(|(version, name, sql)| {
            Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, Cow::Borrowed(*sql), false)
        });
        let migrations = migrations.collect();
        Box::pin(async move { Ok(migrations) })
    }
}
