//! Opens Postgres as this service needs it.
//!
//! One database holds the event log and the read model, with one table of migrations in which each owner has its own versions.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Executor, PgConnection, PgPool};

/// The server ends a session that holds a lock and is silent for this long: its process is frozen or cut off, and others wait.
pub const SILENCE: Duration = Duration::from_secs(5);

/// How long a statement waits for a lock: longer than the server takes to end the session of a frozen process that got it in the meantime.
const LOCK_WAIT: Duration = Duration::from_secs(8);

/// Connections that were idle for longer are tested before use: the server may have been restarted.
const TRUSTED: Duration = Duration::from_secs(1);

/// How to reach a database.
pub type Options = PgConnectOptions;

/// Reads a connection URL.
///
/// # Errors
/// The driver's, when the text is no connection URL.
pub fn options(url: &str) -> sqlx::Result<PgConnectOptions> {
    let options: PgConnectOptions = url.parse()?;
    Ok(options.application_name("honoken").disable_statement_logging())
}

/// Opens a connection for writing. Its transactions must not be silent for long.
///
/// # Errors
/// The driver's, also when the server does not answer in time: see [`within`].
pub async fn open_writer(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    within(async {
        let mut connection = options.connect().await?;
        let (silence, wait) = (SILENCE.as_secs(), LOCK_WAIT.as_secs());
        let settings =
            format!("set idle_in_transaction_session_timeout = '{silence}s'; set lock_timeout = '{wait}s'");
        connection.execute(settings.as_str()).await?;
        Ok(connection)
    })
    .await
}

/// Opens connections for reading. The first is made when it is needed.
pub fn open_readers(options: &PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(2))
        .test_before_acquire(false)
        .before_acquire(|connection, known| {
            Box::pin(async move {
                let fresh = known.idle_for < TRUSTED;
                Ok(fresh || within(sqlx::Connection::ping(connection)).await.is_ok())
            })
        })
        .connect_lazy_with(options.clone())
}

/// Gives up on a server that does not answer: a server behind a broken network never reports that.
///
/// # Errors
/// The error of `work`, or a timeout after twice [`SILENCE`].
pub async fn within<T>(work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    match tokio::time::timeout(2 * SILENCE, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}
