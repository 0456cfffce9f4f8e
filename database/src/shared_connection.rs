//! One connection for a small store that is used rarely: keys of persons, the records of operators.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;

use crate::sqlite::Durability;
use crate::sqlite_file::SqliteFile;
use crate::statements::{Connection, Row, Statement, sql};

/// The place of a small store.
#[derive(Debug, Clone)]
pub enum Location {
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

/// A connection that clones share, one after the other. It is opened when it is first needed, and again after it was lost.
#[derive(Debug, Clone)]
pub struct SharedConnection {
    location: Location,
    /// None before the first use, and after a failure.
    connection: Arc<Mutex<Option<Connection>>>,
}

impl SharedConnection {
    /// A connection to this place, not opened yet.
    pub fn to(location: Location) -> Self {
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
