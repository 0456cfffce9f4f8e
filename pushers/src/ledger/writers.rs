//! The connections that write to the ledger: one to a file, a few to a server. A connection that fails, or whose work is given up half way, is
//! closed, which undoes what it did not commit.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use honoken_database::sqlite::Durability;
use honoken_database::sqlite_file::SqliteFile;
use honoken_database::statements::Connection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// To a server: fan-out, claims, results and pauses need not wait for each other.
const TO_A_SERVER: usize = 4;

#[derive(Debug, Clone)]
pub(super) struct Writers {
    location: Location,
    free: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

#[derive(Debug, Clone)]
enum Location {
    File(SqliteFile),
    Server(Box<PgConnectOptions>),
}

/// A connection, and the right to use it. It is closed when this is dropped; [`keep`](Self::keep) says that nothing went wrong.
#[derive(Debug)]
pub(crate) struct Writer {
    connection: Connection,
    idle: Arc<Mutex<Vec<Connection>>>,
    permit: OwnedSemaphorePermit,
}

impl Writers {
    pub(super) fn of_file(file: SqliteFile) -> Self {
        Self::new(Location::File(file), 1)
    }

    pub(super) fn of_server(options: &PgConnectOptions) -> Self {
        Self::new(Location::Server(Box::new(options.clone())), TO_A_SERVER)
    }

    fn new(location: Location, connections: usize) -> Self {
        Self { location, free: Arc::new(Semaphore::new(connections)), idle: Arc::default() }
    }

    pub(super) async fn get(&self) -> sqlx::Result<Writer> {
        let permit = self.free.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = lock(&self.idle).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.open().await?,
        };
        Ok(Writer { connection, idle: self.idle.clone(), permit })
    }

    pub(super) async fn open(&self) -> sqlx::Result<Connection> {
        match &self.location {
            Location::File(file) => Connection::sqlite(file, Durability::Rebuildable).await,
            Location::Server(options) => Connection::postgres(options).await,
        }
    }

    /// Waits for work that has begun, and lets none begin.
    pub(super) async fn close(&self) {
        let all = match self.location {
            Location::File(_) => 1,
            Location::Server(_) => TO_A_SERVER,
        };
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        let Ok(_permits) = self.free.acquire_many(all).await else { return };
        self.free.close();
        let idle = std::mem::take(&mut *lock(&self.idle));
        for connection in idle {
            if let Err(fault) = connection.close().await {
                tracing::debug!(error = %fault, "a connection to the ledger was lost while it was closed");
            }
        }
    }
}

fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    /// Hands the connection on, if its work succeeded.
    pub(crate) fn keep<T>(self, outcome: sqlx::Result<T>) -> sqlx::Result<T> {
        let Self { connection, idle, permit } = self;
        if outcome.is_ok() {
            lock(&idle).push(connection);
        }
        // Only now may the next one look for it.
        drop(permit);
        outcome
    }
}

impl Deref for Writer {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Writer {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
