//! The read model, in a SQLite file or a Postgres database: its migrations, its opening and its connections.

use std::path::Path;

use honoken_database::Pool;
use honoken_database::postgres;
use honoken_database::sqlite::Durability;
use honoken_database::sqlite_file::SqliteFile;
use honoken_database::statements::{Connection, ReaderPool, Readers};
use honoken_database::{EmbeddedMigration, MigrationError};
use honoken_event_store::Position;
use honoken_event_store::postgres::wakeups::{Topic, Wakeups};
use sqlx::SqliteConnection;
use sqlx::postgres::PgConnectOptions;

use crate::projection::CHANNEL;
use crate::row_cache::RowCache;

const SQLITE: &[EmbeddedMigration] = &[
    (1, "read_model", include_str!("../../migrations/sqlite/read_model/0001_read_model.sql")),
    (2, "retired", include_str!("../../migrations/sqlite/read_model/0002_retired.sql")),
    (3, "lists", include_str!("../../migrations/sqlite/read_model/0003_lists.sql")),
    (4, "jobs", include_str!("../../migrations/sqlite/read_model/0004_jobs.sql")),
    (5, "certificates", include_str!("../../migrations/sqlite/read_model/0005_certificates.sql")),
    (6, "push", include_str!("../../migrations/sqlite/read_model/0006_push.sql")),
    (7, "apns_keys", include_str!("../../migrations/sqlite/read_model/0007_apns_keys.sql")),
    (8, "images", include_str!("../../migrations/sqlite/read_model/0008_images.sql")),
    (9, "localizations", include_str!("../../migrations/sqlite/read_model/0009_localizations.sql")),
    (10, "scopes", include_str!("../../migrations/sqlite/read_model/0010_scopes.sql")),
    (11, "nfc", include_str!("../../migrations/sqlite/read_model/0011_nfc.sql")),
    (12, "personalization", include_str!("../../migrations/sqlite/read_model/0012_personalization.sql")),
    (13, "restored_images", include_str!("../../migrations/sqlite/read_model/0013_restored_images.sql")),
    (
        14,
        "certificates_by_name",
        include_str!("../../migrations/sqlite/read_model/0014_certificates_by_name.sql"),
    ),
    (15, "organizations", include_str!("../../migrations/sqlite/read_model/0015_organizations.sql")),
    (16, "key_expiry", include_str!("../../migrations/sqlite/read_model/0016_key_expiry.sql")),
    (
        18,
        "test_organizations",
        include_str!("../../migrations/sqlite/read_model/0018_test_organizations.sql"),
    ),
    (19, "readers", include_str!("../../migrations/sqlite/read_model/0019_readers.sql")),
    (20, "reports", include_str!("../../migrations/sqlite/read_model/0020_reports.sql")),
];

/// Versions from 1000 on are the read model's; the event log, in the same database, has those below.
const POSTGRES: &[EmbeddedMigration] = &[
    (1001, "read_model", include_str!("../../migrations/postgres/read_model/0001_read_model.sql")),
    (1002, "retired", include_str!("../../migrations/postgres/read_model/0002_retired.sql")),
    (1003, "lists", include_str!("../../migrations/postgres/read_model/0003_lists.sql")),
    (1004, "jobs", include_str!("../../migrations/postgres/read_model/0004_jobs.sql")),
    (1005, "certificates", include_str!("../../migrations/postgres/read_model/0005_certificates.sql")),
    (1006, "push", include_str!("../../migrations/postgres/read_model/0006_push.sql")),
    (1007, "apns_keys", include_str!("../../migrations/postgres/read_model/0007_apns_keys.sql")),
    (1008, "images", include_str!("../../migrations/postgres/read_model/0008_images.sql")),
    (1009, "localizations", include_str!("../../migrations/postgres/read_model/0009_localizations.sql")),
    (1010, "scopes", include_str!("../../migrations/postgres/read_model/0010_scopes.sql")),
    (1011, "nfc", include_str!("../../migrations/postgres/read_model/0011_nfc.sql")),
    (1012, "personalization", include_str!("../../migrations/postgres/read_model/0012_personalization.sql")),
    (1013, "restored_images", include_str!("../../migrations/postgres/read_model/0013_restored_images.sql")),
    (
        1014,
        "certificates_by_name",
        include_str!("../../migrations/postgres/read_model/0014_certificates_by_name.sql"),
    ),
    (1015, "organizations", include_str!("../../migrations/postgres/read_model/0015_organizations.sql")),
    (1016, "key_expiry", include_str!("../../migrations/postgres/read_model/0016_key_expiry.sql")),
    (
        1018,
        "test_organizations",
        include_str!("../../migrations/postgres/read_model/0018_test_organizations.sql"),
    ),
    (1019, "readers", include_str!("../../migrations/postgres/read_model/0019_readers.sql")),
    (1020, "reports", include_str!("../../migrations/postgres/read_model/0020_reports.sql")),
];

/// Instructions for an operator whose file is damaged.
const REMEDY: &str = "stop the service and delete the file, with -wal and -shm beside it: it is filled again from the event log at the next start; only \
                      parked events that were skipped have to be skipped again";

/// Connections that only read, at most.
const READERS: u32 = 8;

/// Wake-ups of other processes when this one has projected.
const PROJECTED: Topic =
    Topic { channel: CHANNEL, newest: "select coalesce(max(position), 0) from projection_checkpoint" };

/// The reason for which the read model could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database is unavailable.
    #[error("the read model could not be opened")]
    Store(#[from] sqlx::Error),
    /// The tables are missing, or of an older release.
    #[error(transparent)]
    Schema(#[from] MigrationError),
}

/// The read model. Clones share its connections.
#[derive(Debug, Clone)]
pub struct ReadModel {
    /// The connections of all questions.
    pub(crate) readers: Readers,
    /// Rows of passes in memory, only while a projector of this process alone writes them.
    pub(crate) pass_rows: RowCache,
    storage: Storage,
}

/// Where the tables are.
#[derive(Debug, Clone)]
enum Storage {
    File(SqliteFile),
    /// A file that another process writes.
    FileOfAnother(SqliteFile),
    Server(Box<PgConnectOptions>),
}

/// Brings the tables of a read model on a server to the newest schema.
///
/// # Errors
/// When the server is unavailable or a migration fails.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), OpenError> {
    let mut connection = postgres::open_writer(options).await?;
    Ok(honoken_database::migrate(&mut connection, POSTGRES).await?)
}

/// Brings the tables of a file to the newest schema.
pub(crate) async fn migrate_file(connection: &mut SqliteConnection) -> Result<(), MigrationError> {
    honoken_database::migrate(connection, SQLITE).await
}

impl ReadModel {
    /// Opens the read model in a file, creating it where it is missing.
    ///
    /// # Errors
    /// When the file cannot be opened or brought to the newest schema.
    pub async fn in_file(file: &Path) -> Result<Self, OpenError> {
        let file = SqliteFile::new(file, REMEDY);
        let mut connection = file.open_writer(Durability::Rebuildable).await?;
        file.heeds(migrate_file(&mut connection).await)?;
        sqlx::Connection::close(connection).await?;
        let readers = Readers::new(ReaderPool::Sqlite(file.open_readers(READERS), file.clone()));
        Ok(Self { readers, pass_rows: RowCache::default(), storage: Storage::File(file) })
    }

    /// Opens the read model in a file that another process writes: this one reads it.
    pub fn beside_its_process(file: &Path) -> Self {
        let file = SqliteFile::new(file, REMEDY);
        let readers = Readers::new(ReaderPool::Sqlite(file.open_readers(READERS), file.clone()));
        Self { readers, pass_rows: RowCache::default(), storage: Storage::FileOfAnother(file) }
    }

    /// Whether another process writes the file, and wakes nobody here when it does.
    pub(crate) fn is_of_another_process(&self) -> bool {
        matches!(self.storage, Storage::FileOfAnother(_))
    }

    /// Opens the read model on a server, whose tables must have been made by [`migrate`].
    ///
    /// # Errors
    /// When the server is unavailable, or its schema is older than this release needs.
    pub async fn on_server(options: &PgConnectOptions) -> Result<Self, OpenError> {
        let mut connection = postgres::open_writer(options).await?;
        honoken_database::ensure_migrated(&mut connection, POSTGRES).await?;
        let readers = Readers::new(ReaderPool::Postgres(postgres::open_readers(options, READERS)));
        let storage = Storage::Server(Box::new(options.clone()));
        Ok(Self { readers, pass_rows: RowCache::default(), storage })
    }

    /// A connection for the projector alone. It writes, unless another process does.
    pub(crate) async fn open_connection(&self) -> sqlx::Result<Connection> {
        match &self.storage {
            Storage::File(file) => Connection::sqlite(file, Durability::Rebuildable).await,
            Storage::FileOfAnother(file) => Connection::sqlite_reader(file).await,
            Storage::Server(options) => Connection::postgres(options).await,
        }
    }

    /// A connection that reads everything as it is at its first statement.
    pub(crate) async fn open_snapshot(&self) -> sqlx::Result<Connection> {
        let mut connection = match &self.storage {
            Storage::File(file) | Storage::FileOfAnother(file) => Connection::sqlite_reader(file).await?,
            Storage::Server(options) => Connection::postgres(options).await?,
        };
        connection.begin_snapshot().await?;
        Ok(connection)
    }

    /// Starts the wake-ups between processes: `on_projected` is called with how far another one has projected. `None` for a file, which one
    /// process alone writes.
    pub(crate) fn start_wakeups(
        &self,
        on_projected: impl Fn(Position) + Send + Sync + 'static,
    ) -> Option<Wakeups> {
        match self.readers.pool() {
            ReaderPool::Sqlite(..) => None,
            ReaderPool::Postgres(pool) => Some(Wakeups::start(pool.clone(), PROJECTED, on_projected)),
        }
    }

    /// The number of statements that the tables have answered since the last call.
    pub fn take_questions(&self) -> u64 {
        self.readers.take_asked()
    }

    /// How often the row of a pass was looked up in memory since the last call, with or without success.
    pub fn take_rows_looked_for(&self) -> u64 {
        self.pass_rows.take_lookups()
    }

    /// Whether the file was found to be damaged.
    pub fn is_damaged(&self) -> bool {
        self.readers.are_of_a_damaged_file()
    }

    /// The connections that only read.
    pub fn pool(&self) -> Pool {
        match self.readers.pool() {
            ReaderPool::Sqlite(pool, _) => pool.into(),
            ReaderPool::Postgres(pool) => pool.into(),
        }
    }

    /// Closes the connections.
    pub async fn close(&self) {
        match self.readers.pool() {
            ReaderPool::Sqlite(pool, _) => pool.close().await,
            ReaderPool::Postgres(pool) => pool.close().await,
        }
    }
}
