//! Opens Postgres the way this service needs it.
//!
//! One database holds the log and the read model; so does one table of migrations, in which each owner has versions of its own.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Executor, PgConnection, PgPool};

/// A session that holds a lock and says nothing for so long is ended by the server: its process is frozen or cut off, and others wait.
pub const SILENCE: Duration = Duration::from_secs(5);

/// Who waits for a lock gives up after so long: later than the server ends the session of a frozen process that got it in the meantime.
const LOCK_WAIT: Duration = Duration::from_secs(8);

/// Connections that were idle for longer are tried before they are used: the server may have been restarted.
const TRUSTED: Duration = Duration::from_secs(1);

/// How to reach a database.
pub type Options = PgConnectOptions;

/// Reads a connection URL.
///
/// # Errors
/// The driver's, when it is none.
pub fn options(url: &str) -> sqlx::Result<PgConnectOptions> {
    let options: PgConnectOptions = url.parse()?;
    Ok(options.application_name("honoken").disable_statement_logging())
}

/// Opens a connection for writing. What it does inside a transaction it must do without long silences.
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

/// Opens connections that answer questions. The first is made when it is needed.
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

/// Gives up on a server that does not answer: one behind a broken network never says so.
///
/// # Errors
/// What `work` says, or that it took longer than twice [`SILENCE`].
pub async fn within<T>(work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    match tokio::time::timeout(2 * SILENCE, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}
