//! A connection beside those of the service.

use std::path::Path;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection};

use crate::waiting::LIMIT;

/// A connection of the test's own.
#[derive(Debug)]
pub enum Sql {
    /// To a file.
    Sqlite(SqliteConnection),
    /// To a database on a server.
    Postgres(PgConnection),
}

impl Sql {
    pub(crate) async fn file(file: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(LIMIT);
        Self::Sqlite(options.connect().await.unwrap_or_else(|fault| panic!("{}: {fault}", file.display())))
    }

    pub(crate) async fn server(options: &PgConnectOptions) -> Self {
        Self::Postgres(options.connect().await.unwrap_or_else(|fault| panic!("{fault}")))
    }

    /// Executes statements without parameters and answers.
    pub async fn execute(&mut self, statements: &str) {
        match self {
            Self::Sqlite(connection) => sqlx::raw_sql(statements).execute(connection).await.map(drop),
            Self::Postgres(connection) => sqlx::raw_sql(statements).execute(connection).await.map(drop),
        }
        .unwrap_or_else(|fault| panic!("{fault}\n{statements}"));
    }

    /// The first column of every row, as text.
    pub async fn column(&mut self, query: &str) -> Vec<String> {
        match self {
            Self::Sqlite(connection) => sqlx::query_scalar(query).fetch_all(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(query).fetch_all(connection).await,
        }
        .unwrap_or_else(|fault| panic!("{fault}\n{query}"))
    }

    /// Every row of a query with two columns: text, and a number.
    pub async fn counts(&mut self, query: &str) -> Vec<(String, i64)> {
        match self {
            Self::Sqlite(connection) => sqlx::query_as(query).fetch_all(connection).await,
            Self::Postgres(connection) => sqlx::query_as(query).fetch_all(connection).await,
        }
        .unwrap_or_else(|fault| panic!("{fault}\n{query}"))
    }

    /// How many rows a table has.
    pub async fn count(&mut self, table: &str) -> i64 {
        let query = format!("select count(*) from {table}");
        match self {
            Self::Sqlite(connection) => sqlx::query_scalar(&query).fetch_one(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(&query).fetch_one(connection).await,
        }
        .unwrap_or_else(|fault| panic!("{fault}\n{query}"))
    }

    /// Closes the connection, so that no lock of its stays.
    pub async fn close(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
        .unwrap_or_else(|fault| panic!("a connection did not close: {fault}"));
    }
}
