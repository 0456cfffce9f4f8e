//! Opens Postgres as this service needs it.
//!
//! One database holds the event log and the read model, with one table of migrations in which each owner has its own versions.

use std::error::Error;
use std::io::ErrorKind;
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

/// The same database, where names without a schema are those of `schema` alone.
#[must_use]
pub fn in_schema(options: &PgConnectOptions, schema: &str) -> PgConnectOptions {
    options.clone().options([("search_path", format!("\"{schema}\""))])
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

/// The server and the database that a configuration names, without its secrets: `honoken on db.example.com:5432`.
pub fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{database} on {}", socket.display()),
        None => format!("{database} on {}:{}", options.get_host(), options.get_port()),
    }
}

/// What an operator can do about a failure to use a server, where its kind tells.
pub fn advice(fault: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(fault);
    while let Some(fault) = cause {
        if let Some(advice) = fault.downcast_ref::<sqlx::Error>().and_then(of_driver) {
            return Some(advice);
        }
        cause = fault.source();
    }
    None
}

fn of_driver(fault: &sqlx::Error) -> Option<&'static str> {
    match fault {
        sqlx::Error::Database(fault) => match fault.code()?.as_ref() {
            "28P01" | "28000" => {
                Some("the server refuses the user or the password: check both, and pg_hba.conf")
            }
            "3D000" => {
                Some("the server has no database of this name: create it with `createdb`, or name another")
            }
            "42501" => Some("the user lacks rights: let it own the database"),
            "53300" => Some("the server has no connection left: raise max_connections, or end other clients"),
            "57P03" => Some("the server is starting or stopping: try again in a moment"),
            _ => None,
        },
        sqlx::Error::Tls(_) => Some(
            "TLS with the server failed: check `sslmode` and `sslrootcert` in the URL, and the server's certificate",
        ),
        sqlx::Error::Io(fault) => Some(match fault.kind() {
            ErrorKind::ConnectionRefused => {
                "no server listens there: start it, or name another host and port"
            }
            ErrorKind::TimedOut => {
                "the server does not answer: check host and port, and the firewalls between"
            }
            ErrorKind::NotFound => "there is no such socket: start the server, or name another host",
            // The standard library has no kind for it.
            _ if fault.to_string().contains("lookup address") => {
                "the name of the host has no address: check its spelling, and the name server"
            }
            _ => "the server cannot be reached: check host and port, and the network",
        }),
        _ => None,
    }
}
