//! The read model in one SQLite file.

use std::path::{Path, PathBuf};

use honoken_event_store::Position;
use honoken_event_store::database::{self, Durability, EmbeddedMigration};
use sqlx::{SqliteConnection, SqlitePool};

const MIGRATIONS: &[EmbeddedMigration] =
    &[(1, "read_model", include_str!("../../migrations/sqlite/read_model/0001_read_model.sql"))];

/// Connections for answering questions.
const READERS: u32 = 8;

/// A question that the store could not answer. An absent row is not one: that is `Ok(None)`.
#[derive(Debug, thiserror::Error)]
#[error("the read model could not be asked for {asking_for}")]
pub struct QueryError {
    /// What was asked for.
    pub asking_for: &'static str,
    /// The driver's reason.
    #[source]
    pub source: sqlx::Error,
}

impl QueryError {
    pub(crate) fn of(asking_for: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self { asking_for, source }
    }
}

/// A stored value that is not what this service writes.
pub(crate) fn decode(fault: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(fault))
}

/// Where the questions are asked. Clones share their connections.
#[derive(Debug, Clone)]
pub struct ReadModel {
    pub(crate) readers: SqlitePool,
    file: PathBuf,
}

impl ReadModel {
    /// Opens the read model, creating it where it is missing.
    ///
    /// # Errors
    /// When the file cannot be opened or brought to the newest schema.
    pub async fn open(file: &Path) -> Result<Self, sqlx::Error> {
        let mut connection = Self::writer(file).await?;
        database::migrate(&mut connection, MIGRATIONS)
            .await
            .map_err(|fault| sqlx::Error::Migrate(Box::new(fault)))?;
        sqlx::Connection::close(connection).await?;
        Ok(Self { readers: database::open_readers(file, READERS), file: file.to_owned() })
    }

    /// The one writing connection, for the projector alone.
    pub(crate) async fn open_writer(&self) -> sqlx::Result<SqliteConnection> {
        Self::writer(&self.file).await
    }

    async fn writer(file: &Path) -> sqlx::Result<SqliteConnection> {
        database::open_writer(file, Durability::Rebuildable).await
    }

    /// How far a projection has come; 0 when it has not begun.
    pub async fn checkpoint(&self, projection: &str) -> Result<Position, QueryError> {
        let position: Option<i64> =
            sqlx::query_scalar("select position from projection_checkpoint where projection = $1")
                .bind(projection)
                .fetch_optional(&self.readers)
                .await
                .map_err(QueryError::of("a checkpoint"))?;
        Ok(Position(position.unwrap_or_default().cast_unsigned()))
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.readers.close().await;
    }
}
