//! One set of statements for both engines.
//!
//! SQL that SQLite and Postgres both understand is written once, with `$1` for parameters; this file runs it on either. Only booleans and
//! JSON differ: SQLite stores them as numbers and text, Postgres has types for them.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::postgres::{self, within};
use crate::sqlite::Durability;
use crate::sqlite_file::SqliteFile;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::types::Json;
use sqlx::{Arguments, Connection as _, Decode, Executor, Row as _, Type};
use sqlx::{PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A parameter.
#[derive(Debug, Clone)]
pub enum Value {
    /// Text, or null.
    Text(Option<String>),
    /// A whole number, or null.
    Integer(Option<i64>),
    /// A boolean, or null.
    Flag(Option<bool>),
    /// JSON as text, or null.
    Json(Option<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self::Integer(Some(integer))
    }
}

impl From<Option<i64>> for Value {
    fn from(integer: Option<i64>) -> Self {
        Self::Integer(integer)
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(Some(flag))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<Option<bool>> for Value {
    fn from(flag: Option<bool>) -> Self {
        Self::Flag(flag)
    }
}

impl Value {
    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Text(None) | Self::Integer(None) | Self::Flag(None) | Self::Json(None))
    }

    /// For a column that holds JSON.
    pub fn json(value: &impl Serialize) -> serde_json::Result<Self> {
        Ok(Self::Json(Some(serde_json::to_string(value)?)))
    }
}

/// A statement with its parameters.
#[derive(Debug, Clone)]
pub struct Statement {
    sql: Cow<'static, str>,
    values: Vec<Value>,
}

/// Runs a statement for many rows at once: in its text `{rows}` stands for them, as `values` wants them. A statement that reads them gives
/// their columns names, which both engines understand: `with new (name, …) as (values {rows})`, then its verb.
pub async fn execute_for_each<const COLUMNS: usize>(
    connection: &mut Connection,
    template: &'static str,
    rows: Vec<[Value; COLUMNS]>,
) -> sqlx::Result<()> {
    for statement in for_each(template, rows, connection.parameters()) {
        statement.execute(connection).await?;
    }
    Ok(())
}

/// Queries with many rows at once, in the form of [`execute_for_each`].
pub async fn fetch_for_each<const COLUMNS: usize>(
    connection: &mut Connection,
    template: &'static str,
    rows: Vec<[Value; COLUMNS]>,
) -> sqlx::Result<Vec<Row>> {
    let mut found = Vec::new();
    for statement in for_each(template, rows, connection.parameters()) {
        found.append(&mut statement.fetch_all(&mut *connection).await?);
    }
    Ok(found)
}

/// Queries with many rows at once, on connections that only read.
pub async fn read_for_each<const COLUMNS: usize>(
    readers: &Readers,
    template: &'static str,
    rows: Vec<[Value; COLUMNS]>,
) -> sqlx::Result<Vec<Row>> {
    let mut found = Vec::new();
    for statement in for_each(template, rows, readers.parameters()) {
        found.append(&mut statement.fetch_all(readers).await?);
    }
    Ok(found)
}

/// How the parameters of many rows are written.
#[derive(Debug, Clone, Copy)]
enum Parameters {
    /// `$1`: the only way that Postgres knows.
    Numbered,
    /// `?`: SQLite finds a numbered parameter by going through all before it, which for 256 rows takes longer than writing them.
    InOrder,
}

fn for_each<const COLUMNS: usize>(
    template: &'static str,
    rows: Vec<[Value; COLUMNS]>,
    parameters: Parameters,
) -> impl Iterator<Item = Statement> {
    let mut rows = rows.into_iter();
    std::iter::from_fn(move || {
        if rows.len() == 0 {
            return None;
        }
        // Powers of two, so that there are only a few different texts, which the server keeps prepared.
        let count = (1 << rows.len().ilog2()).min(MANY);
        let parameter = |row: usize, column: usize| match parameters {
            Parameters::Numbered => Cow::Owned(format!("${}", row * COLUMNS + column)),
            Parameters::InOrder => Cow::Borrowed("?"),
        };
        let row = |row| {
            let columns = (1..=COLUMNS).map(|column| parameter(row, column));
            format!("({})", columns.collect::<Vec<_>>().join(", "))
        };
        let list = (0..count).map(row).collect::<Vec<_>>().join(", ");
        let values = rows.by_ref().take(count).flatten().collect();
        Some(Statement { sql: Cow::Owned(template.replace("{rows}", &list)), values })
    })
}

/// Rows in one statement at the most.
const MANY: usize = 256;

/// Begins a statement.
pub fn sql(sql: &'static str) -> Statement {
    Statement { sql: Cow::Borrowed(sql), values: Vec::new() }
}

/// Begins a statement whose text is composed of parts that the program knows, such as names of tables and columns.
pub fn composed(sql: String) -> Statement {
    Statement { sql: Cow::Owned(sql), values: Vec::new() }
}

impl Statement {
    /// Adds a parameter.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it, and returns how many rows it changed.
    pub async fn execute(self, connection: &mut Connection) -> sqlx::Result<u64> {
        match connection {
            Connection::Sqlite(..) => self.execute_however_long(connection).await,
            Connection::Postgres(_) => within(self.execute_however_long(connection)).await,
        }
    }

    /// Like [`execute`](Self::execute), for a statement that may take as long as a table is large.
    pub async fn execute_however_long(self, connection: &mut Connection) -> sqlx::Result<u64> {
        Ok(match connection {
            Connection::Sqlite(connection, file) => {
                let asked = connection.execute(sqlx::query_with(&self.sql, self.for_sqlite()?));
                file.heeds(asked.await)?.rows_affected()
            }
            Connection::Postgres(connection) => {
                connection.execute(sqlx::query_with(&self.sql, self.for_postgres()?)).await?.rows_affected()
            }
        })
    }

    /// Runs it, and returns all rows.
    pub async fn fetch_all<'a>(self, from: impl Into<Source<'a>>) -> sqlx::Result<Vec<Row>> {
        Ok(match from.into() {
            Source::Readers(readers) => return self.read(&*readers.ask().await?).await,
            Source::Connection(Connection::Sqlite(connection, file)) => {
                let asked = connection.fetch_all(sqlx::query_with(&self.sql, self.for_sqlite()?));
                file.heeds(asked.await)?.into_iter().map(Row::Sqlite).collect()
            }
            Source::Connection(Connection::Postgres(connection)) => {
                let rows =
                    within(connection.fetch_all(sqlx::query_with(&self.sql, self.for_postgres()?))).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    async fn read(self, pool: &ReaderPool) -> sqlx::Result<Vec<Row>> {
        Ok(match pool {
            ReaderPool::Sqlite(pool, file) => {
                let asked = pool.fetch_all(sqlx::query_with(&self.sql, self.for_sqlite()?));
                file.heeds(asked.await)?.into_iter().map(Row::Sqlite).collect()
            }
            ReaderPool::Postgres(pool) => {
                let rows = within(pool.fetch_all(sqlx::query_with(&self.sql, self.for_postgres()?))).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// For a statement that yields one row at most.
    pub async fn fetch_optional<'a>(self, from: impl Into<Source<'a>>) -> sqlx::Result<Option<Row>> {
        Ok(self.fetch_all(from).await?.pop())
    }

    /// For a statement that always yields one row.
    pub async fn fetch_one<'a>(self, from: impl Into<Source<'a>>) -> sqlx::Result<Row> {
        self.fetch_optional(from).await?.ok_or(sqlx::Error::RowNotFound)
    }

    fn for_sqlite(&self) -> sqlx::Result<SqliteArguments<'static>> {
        let mut arguments = SqliteArguments::default();
        for value in &self.values {
            match value.clone() {
                Value::Text(text) | Value::Json(text) => arguments.add(text),
                Value::Integer(integer) => arguments.add(integer),
                Value::Flag(flag) => arguments.add(flag),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(arguments)
    }

    fn for_postgres(&self) -> sqlx::Result<PgArguments> {
        let mut arguments = PgArguments::default();
        for value in &self.values {
            match value {
                Value::Text(text) => arguments.add(text),
                Value::Integer(integer) => arguments.add(integer),
                Value::Flag(flag) => arguments.add(flag),
                Value::Json(text) => arguments.add(text.as_deref().map(raw_json).transpose()?.map(Json)),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(arguments)
    }
}

fn raw_json(text: &str) -> sqlx::Result<&serde_json::value::RawValue> {
    serde_json::from_str(text).map_err(|fault| sqlx::Error::Encode(Box::new(fault)))
}

/// The connection that a query runs on.
pub enum Source<'a> {
    /// Any connection that only reads.
    Readers(&'a Readers),
    /// The one that writes.
    Connection(&'a mut Connection),
}

impl<'a> From<&'a Readers> for Source<'a> {
    fn from(readers: &'a Readers) -> Self {
        Self::Readers(readers)
    }
}

impl<'a> From<&'a mut Connection> for Source<'a> {
    fn from(connection: &'a mut Connection) -> Self {
        Self::Connection(connection)
    }
}

/// Connections that only read, and a count of the statements they ran. Clones share both.
#[derive(Debug, Clone)]
pub struct Readers {
    pool: Arc<RwLock<Arc<ReaderPool>>>,
    asked: Arc<AtomicU64>,
    trust: Arc<Trust>,
}

/// The connections of [`Readers`].
#[derive(Debug, Clone)]
pub enum ReaderPool {
    /// Of a file.
    Sqlite(SqlitePool, SqliteFile),
    /// Of a server.
    Postgres(PgPool),
}

/// Until when the connections may be read, in milliseconds since `begun`.
#[derive(Debug)]
struct Trust {
    begun: Instant,
    until: AtomicU64,
    renewed: Notify,
}

impl Trust {
    fn milliseconds(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.begun).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    fn holds(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        until == u64::MAX || self.milliseconds(Instant::now()) < until
    }
}

/// How long a reader waits for connections that may not be read at the moment.
const TRUST_WAIT: Duration = Duration::from_secs(2);

impl Readers {
    /// Connections that have run no statement yet, and may be read for ever.
    pub fn new(pool: ReaderPool) -> Self {
        let trust = Trust { begun: Instant::now(), until: AtomicU64::new(u64::MAX), renewed: Notify::new() };
        Self { pool: Arc::new(RwLock::new(Arc::new(pool))), asked: Arc::default(), trust: Arc::new(trust) }
    }

    /// The connections.
    pub fn pool(&self) -> Arc<ReaderPool> {
        // No code between lock and unlock can panic half way.
        self.pool.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets all statements that begin from now on run on other connections, and returns those before, on which some may still run.
    pub fn switch(&self, pool: ReaderPool) -> Arc<ReaderPool> {
        let mut shared = self.pool.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *shared, Arc::new(pool))
    }

    /// Lets statements begin until this moment. Those that come later wait for the next such call, and fail after two seconds: a process that was
    /// frozen must not read what others believe that it has left.
    pub fn trust_until(&self, moment: Instant) {
        self.trust.until.store(self.trust.milliseconds(moment), Ordering::Release);
        self.trust.renewed.notify_waiters();
    }

    /// How many statements they ran since the last call.
    pub fn take_asked(&self) -> u64 {
        self.asked.swap(0, Ordering::Relaxed)
    }

    /// Whether they read a file that was found damaged. A server takes care of its own damage.
    pub fn are_of_a_damaged_file(&self) -> bool {
        matches!(&*self.pool(), ReaderPool::Sqlite(_, file) if file.is_damaged())
    }

    /// The connections for one statement.
    async fn ask(&self) -> sqlx::Result<Arc<ReaderPool>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if !self.trust.holds() {
            let renewed = async {
                loop {
                    let mut renewed = std::pin::pin!(self.trust.renewed.notified());
                    // Hears of a call between the look and the wait.
                    renewed.as_mut().enable();
                    if self.trust.holds() {
                        break;
                    }
                    renewed.await;
                }
            };
            let waited = tokio::time::timeout(TRUST_WAIT, renewed).await;
            waited.map_err(|_| sqlx::Error::PoolTimedOut)?;
        }
        Ok(self.pool())
    }

    fn parameters(&self) -> Parameters {
        match &*self.pool() {
            ReaderPool::Sqlite(..) => Parameters::InOrder,
            ReaderPool::Postgres(_) => Parameters::Numbered,
        }
    }
}

/// A connection that writes.
#[derive(Debug)]
pub enum Connection {
    /// To a file.
    Sqlite(SqliteConnection, SqliteFile),
    /// To a server.
    Postgres(PgConnection),
}

impl Connection {
    /// Opens a file for writing.
    pub async fn sqlite(file: &SqliteFile, durability: Durability) -> sqlx::Result<Self> {
        let connection = file.open_writer(durability).await?;
        Ok(Self::Sqlite(connection, file.clone()))
    }

    /// Opens a file for reading alone.
    pub async fn sqlite_reader(file: &SqliteFile) -> sqlx::Result<Self> {
        Ok(Self::Sqlite(file.open_reader().await?, file.clone()))
    }

    /// Opens a connection to a server, for writing.
    pub async fn postgres(options: &PgConnectOptions) -> sqlx::Result<Self> {
        postgres::open_writer(options).await.map(Self::Postgres)
    }

    fn parameters(&self) -> Parameters {
        match self {
            Self::Sqlite(..) => Parameters::InOrder,
            Self::Postgres(_) => Parameters::Numbered,
        }
    }

    /// Begins a transaction. One that is not committed ends with the connection, so a caller that fails drops the connection.
    pub async fn begin(&mut self) -> sqlx::Result<()> {
        let how = match self {
            // Takes the write lock at once: a transaction that turns to writing later can be refused.
            Self::Sqlite(..) => "begin immediate",
            Self::Postgres(_) => "begin",
        };
        self.say(how).await
    }

    /// Begins a transaction that only reads, for as long as it takes: everything as it is at its first statement.
    pub async fn begin_snapshot(&mut self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(..) => self.say("begin").await,
            Self::Postgres(_) => {
                self.say("set idle_in_transaction_session_timeout = 0").await?;
                self.say("begin isolation level repeatable read read only").await
            }
        }
    }

    /// Ends a transaction.
    pub async fn commit(&mut self) -> sqlx::Result<()> {
        self.say("commit").await
    }

    /// Undoes a transaction.
    pub async fn rollback(&mut self) -> sqlx::Result<()> {
        self.say("rollback").await
    }

    /// Sets a savepoint: work after it can be undone alone, inside the transaction.
    pub async fn savepoint(&mut self) -> sqlx::Result<()> {
        self.say("savepoint attempt").await
    }

    /// Forgets the savepoint.
    pub async fn release(&mut self) -> sqlx::Result<()> {
        self.say("release savepoint attempt").await
    }

    /// Undoes the work since the savepoint.
    pub async fn undo(&mut self) -> sqlx::Result<()> {
        self.say("rollback to savepoint attempt").await?;
        self.release().await
    }

    /// Runs SQL without parameters and without preparing it.
    async fn say(&mut self, what: &'static str) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(connection, file) => file.heeds(connection.execute(what).await).map(drop),
            Self::Postgres(connection) => within(connection.execute(what)).await.map(drop),
        }
    }

    /// Closes it.
    pub async fn close(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(connection, _) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
    }
}

/// A row of either engine.
pub enum Row {
    /// From a file.
    Sqlite(SqliteRow),
    /// From a server.
    Postgres(PgRow),
}

impl Row {
    /// A column, by its name.
    pub fn get<'r, T>(&'r self, column: &str) -> sqlx::Result<T>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// A column that holds JSON.
    pub fn json<T: DeserializeOwned + 'static>(&self, column: &str) -> sqlx::Result<T> {
        Ok(self.get::<Json<T>>(column)?.0)
    }

    /// A column that holds JSON or nothing.
    pub fn optional_json<T: DeserializeOwned + 'static>(&self, column: &str) -> sqlx::Result<Option<T>> {
        Ok(self.get::<Option<Json<T>>>(column)?.map(|Json(value)| value))
    }
}
