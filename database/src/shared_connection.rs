//! One connection for a small store that is used rarely: keys of persons, the records of operators.

use std::path::Path;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;

use crate::sqlite::Durability;
use crate::sqlite_file::SqliteFile;
use crate::statements::{Connection, Row, Statement, sql};
use crate::{EmbeddedMigration, MigrationError, ensure_migrated, migrate, postgres};

/// The place of a small store.
#[derive(Debug, Clone)]
enum Location {
    /// A file of its own.
    File {
        /// The file.
        file: SqliteFile,
        /// Statements that prepare each connection to it.
        settings: &'static [&'static str],
    },
    /// A file that another process writes: its statements may only read.
    FileOfAnother(SqliteFile),
    /// Tables on a server.
    Server(Box<PgConnectOptions>),
}

/// What a small store consists of, in a file of its own or beside other stores on a server.
#[derive(Debug)]
pub struct SmallStore {
    /// The migrations of its file.
    pub sqlite: &'static [EmbeddedMigration],
    /// Those on a server, with versions that no other store has.
    pub postgres: &'static [EmbeddedMigration],
    /// Statements that prepare each connection to its file.
    pub settings: &'static [&'static str],
    /// What an operator does when its file is damaged.
    pub remedy: &'static str,
}

impl SmallStore {
    /// Brings the tables on a server to the newest schema.
    ///
    /// # Errors
    /// When the server is unavailable or a migration fails.
    pub async fn migrate<E>(&self, options: &PgConnectOptions) -> Result<(), E>
    where
        E: From<sqlx::Error> + From<MigrationError>,
    {
        let mut connection = postgres::open_writer(options).await?;
        Ok(migrate(&mut connection, self.postgres).await?)
    }

    /// A connection to a file, which is created where it is missing and brought to the newest schema.
    ///
    /// # Errors
    /// When the file cannot be opened or brought to the newest schema.
    pub async fn in_file<E>(&self, file: &Path) -> Result<SharedConnection, E>
    where
        E: From<sqlx::Error> + From<MigrationError>,
    {
        let opened = SqliteFile::new(file, self.remedy);
        let mut connection = opened.open_writer(Durability::EveryCommit).await?;
        opened.heeds(migrate(&mut connection, self.sqlite).await)?;
        sqlx::Connection::close(connection).await?;
        Ok(self.in_file_of_another(file))
    }

    /// A connection to a file that another process has opened, and brought to the newest schema. Both may write it.
    pub fn in_file_of_another(&self, file: &Path) -> SharedConnection {
        let file = SqliteFile::new(file, self.remedy);
        SharedConnection::to(Location::File { file, settings: self.settings })
    }

    /// The same, only to read.
    pub fn read_beside_its_process(&self, file: &Path) -> SharedConnection {
        SharedConnection::to(Location::FileOfAnother(SqliteFile::new(file, self.remedy)))
    }

    /// A connection to a server, whose tables must have been made by [`migrate`](Self::migrate).
    ///
    /// # Errors
    /// When the server is unavailable, or its schema is older than this release needs.
    pub async fn on_server<E>(&self, options: &PgConnectOptions) -> Result<SharedConnection, E>
    where
        E: From<sqlx::Error> + From<MigrationError>,
    {
        let mut connection = postgres::open_writer(options).await?;
        ensure_migrated(&mut connection, self.postgres).await?;
        sqlx::Connection::close(connection).await?;
        Ok(SharedConnection::to(Location::Server(Box::new(options.clone()))))
    }
}

/// A connection that clones share, one after the other. It is opened when it is first needed, and again after it was lost.
#[derive(Debug, Clone)]
pub struct SharedConnection {
    location: Location,
    /// None before the first use, and after a failure.
    connection: Arc<Mutex<Option<Connection>>>,
}

impl SharedConnection {
    /// A connection to this place, not opened yet.
    fn to(location: Location) -> Self {
        Self { location, connection: Arc::default() }
    }

    /// Whether it leads to a file.
    pub fn is_to_a_file(&self) -> bool {
        matches!(self.location, Location::File { .. })
    }

    /// Runs a statement, once more on a new connection where the old one was lost, so it must be one that may be repeated. A connection whose work is
    /// given up half way is closed.
    ///
    /// # Errors
    /// The driver's.
    pub async fn run(&self, statement: Statement) -> sqlx::Result<Vec<Row>> {
        let mut shared = self.connection.lock().await;
        if let Some(mut connection) = shared.take()
            && let Ok(rows) = statement.clone().fetch_all(&mut connection).await
        {
            *shared = Some(connection);
            return Ok(rows);
        }
        let mut connection = self.open().await?;
        let rows = statement.fetch_all(&mut connection).await?;
        *shared = Some(connection);
        Ok(rows)
    }

    /// Closes the connection.
    pub async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take() {
            // Everything was committed; a connection that was lost is closed as well.
            drop(connection.close().await);
        }
    }

    async fn open(&self) -> sqlx::Result<Connection> {
        match &self.location {
            Location::File { file, settings } => {
                let mut connection = Connection::sqlite(file, Durability::EveryCommit).await?;
                for setting in *settings {
                    sql(setting).fetch_all(&mut connection).await?;
                }
                Ok(connection)
            }
            Location::FileOfAnother(file) => Connection::sqlite_reader(file).await,
            Location::Server(options) => Connection::postgres(options).await,
        }
    }
}
