//! Opens databases as this service needs them, and migrates them to the newest schema: SQLite files and Postgres servers, for the event
//! log, the read model and the delivery ledger. This crate does not know what an event is.
//!
//! [`sqlite`] opens files, [`postgres`] opens servers; [`statements`] run on either. [`sqlite_file`] detects that a file is damaged. [`lease`]: which
//! of several processes does a task. [`shared_connection`]: the one connection of a small store.
//!
//! Migrations are append-only, and every one leaves a schema that the release before it can still use: an older process may go on, and be
//! started again, beside a newer schema.

pub mod lease;
pub mod postgres;
pub mod shared_connection;
pub mod sqlite;
pub mod sqlite_file;
pub mod statements;

use std::borrow::Cow;

use futures_core::future::BoxFuture;
use sqlx::error::BoxDynError;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationSource, MigrationType, Migrator};
use sqlx::{Database, PgConnection};

/// The error code of Postgres for a table that does not exist.
const UNDEFINED_TABLE: &str = "42P01";

/// The state of a store's pool of read connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// How many are open.
    pub open: u32,
    /// How many of these are idle.
    pub idle: u32,
    /// How many there may be.
    pub limit: u32,
}

impl<DB: Database> From<&sqlx::Pool<DB>> for Pool {
    fn from(pool: &sqlx::Pool<DB>) -> Self {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        Self { open: pool.size(), idle, limit: pool.options().get_max_connections() }
    }
}

/// One migration: version, name and SQL.
pub type EmbeddedMigration = (i64, &'static str, &'static str);

/// Why a database cannot be used as it is.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A migration failed; those before it have been carried out.
    #[error("the database could not be brought to the newest schema")]
    Failed(#[from] MigrateError),
    /// The schema is older than this release needs.
    #[error("the database has not been brought to the schema of this release: run `honoken migrate`")]
    Outdated,
}

/// Brings a database to the newest schema. Processes that do so at the same time wait for each other.
///
/// # Errors
/// When a migration fails.
pub async fn migrate<C: Migrate>(
    connection: &mut C,
    migrations: &'static [EmbeddedMigration],
) -> Result<(), MigrationError> {
    let mut migrator = Migrator::new(Embedded(migrations)).await?;
    // Ignores the migrations of a newer release, and on Postgres those of the other owner of tables in the same database.
    migrator.set_ignore_missing(true);
    Ok(migrator.run_direct(connection).await?)
}

/// Whether a Postgres database has the schema that this release needs.
///
/// # Errors
/// [`MigrationError::Outdated`] when it has not.
pub async fn ensure_migrated(
    connection: &mut PgConnection,
    migrations: &'static [EmbeddedMigration],
) -> Result<(), MigrationError> {
    let applied = match connection.list_applied_migrations().await {
        Ok(applied) => applied,
        // Without the table of migrations none was applied. A user that may not read the table has another problem, which `honoken migrate`
        // does not solve.
        Err(MigrateError::Execute(sqlx::Error::Database(fault)))
            if fault.code().as_deref() == Some(UNDEFINED_TABLE) =>
        {
            Vec::new()
        }
        Err(fault) => return Err(fault.into()),
    };
    let is_applied =
        |(version, ..): &EmbeddedMigration| applied.iter().any(|known| known.version == *version);
    if migrations.iter().all(is_applied) { Ok(()) } else { Err(MigrationError::Outdated) }
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
