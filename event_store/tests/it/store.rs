//! The event log of a test: in a file or a database of its own, on either engine.

use std::path::PathBuf;
use std::time::Duration;

use honoken_database::postgres::Options;
use honoken_database::sqlite::{Durability, open_writer};
use honoken_event_store::{Epoch, Log, PostgresLog, SqliteLog, postgres};
#[cfg(feature = "kurrentdb")]
use honoken_event_store::{KurrentLog, kurrentdb::Address};
#[cfg(feature = "kurrentdb")]
use honoken_test_kurrentdb::Kurrent;
use honoken_test_postgres::Database;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::numbered::Numbered;

/// The epoch of a new event log.
pub(crate) const EPOCH: Epoch = Epoch(0x00c0_ffee);

/// An event log can be opened here, closed, and opened again; also several times at once, as by several processes.
pub(crate) enum Store {
    /// A file.
    Sqlite(TempDir),
    /// A database in the shared server.
    Postgres(Database),
    /// Streams with names of their own on a KurrentDB.
    #[cfg(feature = "kurrentdb")]
    Kurrentdb(#[expect(dead_code, reason = "it goes with this")] Kurrent, Box<Address>),
}

impl Store {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(TempDir::new().unwrap())
    }

    /// With the tables of the event log.
    pub(crate) async fn postgres() -> Self {
        let database = honoken_test_postgres::database().await;
        postgres::migrate(&options(database.url())).await.unwrap();
        Self::Postgres(database)
    }

    /// On the stand-in, or on the server that `HONOKEN_TEST_KURRENTDB` names.
    #[cfg(feature = "kurrentdb")]
    pub(crate) fn kurrentdb() -> Self {
        let server = Kurrent::start();
        let address = address_on(&server);
        Self::Kurrentdb(server, Box::new(address))
    }

    pub(crate) async fn open(&self) -> Numbered {
        self.open_with(EPOCH).await
    }

    /// Opens it with the epoch that it gets when it is new.
    pub(crate) async fn open_with(&self, new_epoch: Epoch) -> Numbered {
        Numbered::new(match self {
            Self::Sqlite(folder) => Log::Sqlite(SqliteLog::open(&file(folder), new_epoch).await.unwrap()),
            Self::Postgres(database) => Log::Postgres(open(database.url(), new_epoch).await),
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(_, address) => {
                Log::Kurrentdb(KurrentLog::open(address, new_epoch).await.unwrap())
            }
        })
        .await
    }

    /// Makes a column of an event something else than text, as a disk does, and returns the old text.
    pub(crate) async fn spoils_text(&self, column: &str, position: u64) -> String {
        // `{"?":1}` with a byte that is nowhere in UTF-8.
        let bytes = "7b22ff223a317d";
        let of = format!("where position = {position}");
        match self {
            Self::Sqlite(folder) => {
                let mut connection = open_writer(&file(folder), Durability::EveryCommit).await.unwrap();
                let read = format!("select {column} from events {of}");
                let was = sqlx::query_scalar(&read).fetch_one(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                self.spoil(&format!("update events set {column} = cast(x'{bytes}' as text) {of}")).await;
                was
            }
            Self::Postgres(database) => {
                let mut connection = PgConnection::connect(database.url()).await.unwrap();
                let read = format!("select {column}::text from events {of}");
                let was = sqlx::query_scalar(&read).fetch_one(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                let condition = format!("position = {position}");
                let column = (column, json_or_text(column));
                honoken_test_postgres::put_bytes(database.url(), "events", column, bytes, &condition).await;
                was
            }
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(..) => unreachable!("it has no tables"),
        }
    }

    /// Puts the text back that [`spoils_text`](Self::spoils_text) returned.
    pub(crate) async fn puts_text(&self, column: &str, position: u64, text: &str) {
        let text = text.replace('\'', "''");
        let r#type = if matches!(self, Self::Sqlite(_)) { "text" } else { json_or_text(column) };
        self.spoil(&format!(
            "update events set {column} = cast('{text}' as {type}) where position = {position}"
        ))
        .await;
    }

    /// Executes a change that the service never makes.
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
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(..) => unreachable!("it has no tables"),
        }
    }
}

/// Streams on a server that no other test has.
#[cfg(feature = "kurrentdb")]
pub(crate) fn address_on(server: &Kurrent) -> Address {
    Address::parse(&server.url_of_a_log()).unwrap()
}

/// The type of a column on Postgres.
fn json_or_text(column: &str) -> &'static str {
    if ["payload", "metadata"].contains(&column) { "json" } else { "text" }
}

/// The file of an event log on SQLite.
pub(crate) fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("events.sqlite")
}

/// How the service reaches a database.
pub(crate) fn options(url: &str) -> Options {
    honoken_database::postgres::options(url).unwrap()
}

/// The event log in a database that has the tables.
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
