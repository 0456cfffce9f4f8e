//! Databases that come and go in a server that stays.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use url::Url;

/// The variable that names the shared server: the URL of any of its databases, with a user who may create others.
const VARIABLE: &str = "HONOKEN_TEST_POSTGRES";

/// A server that takes longer to drop a database has been stopped.
const LIMIT: Duration = Duration::from_secs(30);

/// A database of the test's own. Dropping this drops the database, even with open connections.
#[derive(Debug)]
pub struct Database {
    server: Url,
    name: String,
    url: String,
}

/// A fresh empty database in the shared server.
///
/// # Panics
///
/// When the tests were started without a server, or it cannot make the database.
pub async fn database() -> Database {
    #[expect(clippy::disallowed_methods, reason = "there is no other way to tell a test where the server is")]
    let server = std::env::var(VARIABLE);
    let server = server.unwrap_or_else(|_| {
        panic!(
            "{VARIABLE} names no Postgres server for the tests: run `scripts/test`, or `scripts/with-postgres COMMAND`"
        )
    });
    let server = Url::parse(&server).unwrap_or_else(|error| panic!("{VARIABLE} is not a URL: {error}"));
    let (name, url) = create(&server).await;
    Database { server, name, url }
}

impl Database {
    /// Where it is, `postgres://…`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Creates a database with a name that no other test draws; gives the name and the URL.
pub(crate) async fn create(server: &Url) -> (String, String) {
    let mut connection = connect(server).await.unwrap_or_else(|error| panic!("{server}: {error}"));
    let name: String = sqlx::query_scalar("select 'test_' || replace(gen_random_uuid()::text, '-', '')")
        .fetch_one(&mut connection)
        .await
        .expect("the server draws a name");
    // `template0`, because no client is ever connected to it, which would stop the copy.
    sqlx::raw_sql(&format!("create database {name} template template0"))
        .execute(&mut connection)
        .await
        .expect("the server creates a database");
    connection.close().await.expect("the connection closes");
    let mut url = server.clone();
    url.set_path(&name);
    (name, url.into())
}

/// Puts bytes into the rows of a table that fit a condition as they come: text that a disk has damaged is no UTF-8 either. `type` is that of the
/// column, and the bytes are hexadecimal. Other connections, open or to come, see the new rows and nothing else.
///
/// # Panics
///
/// When the statement fails.
pub async fn put_bytes(url: &str, table: &str, (column, r#type): (&str, &str), bytes: &str, condition: &str) {
    let server = Url::parse(url).expect("a URL");
    let mut connection = connect(&server).await.expect("the server answers");
    // One message is one transaction, so that nobody else ever meets the cast, which looks at nothing.
    let statements = format!(
        "create cast (bytea as {type}) without function;
         update {table} set {column} = cast(decode('{bytes}', 'hex') as {type}) where {condition};
         drop cast (bytea as {type})"
    );
    sqlx::raw_sql(&statements)
        .execute(&mut connection)
        .await
        .unwrap_or_else(|error| panic!("{statements}: {error}"));
    connection.close().await.expect("the connection closes");
}

async fn connect(server: &Url) -> sqlx::Result<PgConnection> {
    PgConnection::connect(server.as_str()).await
}

async fn dropped(server: Url, name: String) -> sqlx::Result<()> {
    let mut connection = connect(&server).await?;
    sqlx::raw_sql(&format!("drop database if exists {name} with (force)")).execute(&mut connection).await?;
    connection.close().await
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A thread, because this one may be running a test's futures and must not block on others.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let dropped = tokio::time::timeout(LIMIT, dropped(server, name)).await;
                dropped.expect("the server answers in time").expect("the server drops the database");
            });
        });
        // The thread has printed why. It costs room until the server goes, and no test its result.
        drop(dropping.join());
    }
}
