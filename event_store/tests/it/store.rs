//! Where a test keeps its log: a file or a database of its own, on either engine.

use std::path::PathBuf;
use std::time::Duration;

use honoken_event_store::database::postgres::Options;
use honoken_event_store::database::sqlite::{Durability, open_writer};
use honoken_event_store::{Epoch, Log, PostgresLog, SqliteLog, database, postgres};
use honoken_test_postgres::Database;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

/// What a log gets when it is new.
pub(crate) const EPOCH: Epoch = Epoch(0x00c0_ffee);

/// A log can be opened here, closed, and opened again; also several times at once, as by several processes.
pub(crate) enum Store {
    /// A file.
    Sqlite(TempDir),
    /// A database in the shared server.
    Postgres(Database),
}

impl Store {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(TempDir::new().unwrap())
    }

    /// With the tables of the log.
    pub(crate) async fn postgres() -> Self {
        let database = honoken_test_postgres::database().await;
        postgres::migrate(&options(database.url())).await.unwrap();
        Self::Postgres(database)
    }

    pub(crate) async fn open(&self) -> Log {
        self.open_with(EPOCH).await
    }

    /// Opens it with the epoch that it gets when it is new.
    pub(crate) async fn open_with(&self, new_epoch: Epoch) -> Log {
        match self {
            Self::Sqlite(folder) => Log::Sqlite(SqliteLog::open(&file(folder), new_epoch).await.unwrap()),
            Self::Postgres(database) => Log::Postgres(open(database.url(), new_epoch).await),
        }
    }

    /// Does what the service never does.
    pub(crate) async fn spoil(&self, sql: &str) {
        match self {
            Self::Sqlite(folder) => {
                let mut connection = open_writer(&file(folder), Durability::EveryCommit).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Self::Postgres(database) => {
                let mut connection = PgConnection::connect(database.url()).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }
}

/// The file of a log on SQLite.
pub(crate) fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("events.sqlite")
}

/// How the service reaches a database.
pub(crate) fn options(url: &str) -> Options {
    database::postgres::options(url).unwrap()
}

/// The log in a database that has the tables.
pub(crate) async fn open(url: &str, new_epoch: Epoch) -> PostgresLog {
    PostgresLog::open(&options(url), new_epoch).await.unwrap()
}

/// Long enough for anything that happens at all on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Looks again and again, until there is an answer.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let looking = async {
        loop {
            ticks.tick().await;
            if let Some(answer) = look().await {
                return answer;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it happens in time")
}
