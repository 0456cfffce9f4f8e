//! The ledger: which phones are to be pushed to for which state of a pass, and what became of it.
//!
//! It drives the sending: once deliveries are `pending` here, the message that asked for them is done, and deliveries that are due are
//! found here again, whatever stops in between. It is a SQLite file of its own, or tables in the Postgres database, and cannot be rebuilt from the event log.
//!
//! - [`enqueue`]: from a change to pending deliveries. [`deliveries`]: one push to one phone for one state. [`push_schedule`]: when a phone is
//!   pushed to next, and [`claims`]: the phones that a sender is pushing to, which `file_claims.rs` keeps for a file. [`push_watermarks`]: up to where a pass is done.
//! - [`feeds`]: how far the event log has been published. `feed_lease.rs`: which process does so. [`held_back`]: changes that could not be published yet.
//! - [`parked`]: messages that never succeed, and credentials that APNs refuses. [`pause`]: the parts that an operator has stopped.
//! - [`operator`]: a push without a change. `writers.rs`: the connections that write. `senders.rs`: which of several processes is alive.
//! - [`future_times`]: times that were stored before the clock was set back. `clean_up.rs`: the end of old rows. `figures.rs`: counts of what waits.

pub mod claims;
pub mod deliveries;
pub mod enqueue;
pub mod feeds;
pub mod future_times;
pub mod held_back;
pub mod operator;
pub mod parked;
pub mod pause;
pub mod phone_topic;
pub mod push_schedule;
pub mod push_watermarks;

mod clean_up;
mod columns;
mod delivery_state;
mod feed_lease;
mod figures;
mod file_claims;
mod senders;
mod writers;

use std::path::Path;
use std::sync::Arc;

use honoken_database::postgres;
use honoken_database::sqlite::Durability;
use honoken_database::sqlite_file::SqliteFile;
use honoken_database::statements::{Connection, ReaderPool, Readers};
use honoken_database::{EmbeddedMigration, MigrationError};
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;

pub use deliveries::Delivery;
pub use delivery_state::DeliveryState;
pub use figures::Figures;
use file_claims::FileClaims;
pub use parked::{ParkedCredential, ParkedMessage};
pub use pause::{Part, Paused};
pub(crate) use writers::Writer;
use writers::Writers;

const SQLITE: &[EmbeddedMigration] = &[
    (1, "deliveries", include_str!("../../../migrations/sqlite/deliveries/0001_deliveries.sql")),
    (2, "feeds", include_str!("../../../migrations/sqlite/deliveries/0002_feeds.sql")),
];

/// Versions from 2001 on are the ledger's; event log and read model, in the same database, have those below.
const POSTGRES: &[EmbeddedMigration] = &[
    (2001, "deliveries", include_str!("../../../migrations/postgres/deliveries/0001_deliveries.sql")),
    (2002, "feeds", include_str!("../../../migrations/postgres/deliveries/0002_feeds.sql")),
];

/// The remedy for a file that is damaged.
const REMEDY: &str = "stop the service, and replace the file by the one from the backup or delete it, with -wal and -shm beside it: the \
                      record of pushes is lost then, and phones are woken once more";

/// Connections for answering questions.
const READERS: u32 = 4;

/// A question or a change that the data store could not carry out. A change that failed was not made, or is stored as a whole.
#[derive(Debug, thiserror::Error)]
#[error("the ledger of deliveries could not be used: {doing}")]
pub struct LedgerError {
    /// The work that failed.
    pub doing: &'static str,
    /// The driver's reason.
    #[source]
    pub source: sqlx::Error,
}

impl LedgerError {
    pub(crate) fn of(doing: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self { doing, source }
    }
}

/// Why the ledger could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data store is unavailable.
    #[error("the ledger of deliveries could not be opened")]
    Store(#[from] sqlx::Error),
    /// The tables are not there, or of an older release.
    #[error(transparent)]
    Schema(#[from] MigrationError),
}

/// The ledger. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) readers: Readers,
    writers: Writers,
    /// Of a file, the phones that are claimed.
    file_claims: Option<FileClaims>,
    /// Changes whenever this process has made something due, or stopped or resumed a part.
    changed: Arc<watch::Sender<()>>,
    /// Changes whenever this process has stopped or resumed a part.
    pauses: Arc<watch::Sender<()>>,
}

/// Brings the ledger's tables on a server to the newest schema.
///
/// # Errors
/// When the server is unavailable or a migration fails.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), OpenError> {
    let mut connection = postgres::open_writer(options).await?;
    Ok(honoken_database::migrate(&mut connection, POSTGRES).await?)
}

impl Ledger {
    /// Opens the ledger in a file, creating it where it is missing. No other process may have it open: all claims are freed.
    ///
    /// # Errors
    /// When the file cannot be opened or brought to the newest schema.
    pub async fn in_file(file: &Path) -> Result<Self, OpenError> {
        let file = SqliteFile::new(file, REMEDY);
        let mut connection = file.open_writer(Durability::Rebuildable).await?;
        file.heeds(honoken_database::migrate(&mut connection, SQLITE).await)?;
        file.heeds(push_schedule::free_all(&mut connection).await)?;
        sqlx::Connection::close(connection).await?;
        let readers = Readers::new(ReaderPool::Sqlite(file.open_readers(READERS), file.clone()));
        Ok(Self {
            readers,
            writers: Writers::of_file(file),
            file_claims: Some(FileClaims::default()),
            changed: Arc::default(),
            pauses: Arc::default(),
        })
    }

    /// Opens the ledger on a server, whose tables must have been made by [`migrate`].
    ///
    /// # Errors
    /// When the server is unavailable, or its schema is older than this release needs.
    pub async fn on_server(options: &PgConnectOptions) -> Result<Self, OpenError> {
        let mut connection = postgres::open_writer(options).await?;
        honoken_database::ensure_migrated(&mut connection, POSTGRES).await?;
        let readers = Readers::new(ReaderPool::Postgres(postgres::open_readers(options, READERS)));
        Ok(Self {
            readers,
            writers: Writers::of_server(options),
            file_claims: None,
            changed: Arc::default(),
            pauses: Arc::default(),
        })
    }

    /// A connection that writes, as soon as one is free.
    pub(crate) async fn writer(&self, doing: &'static str) -> Result<Writer, LedgerError> {
        self.writers.get().await.map_err(LedgerError::of(doing))
    }

    /// A connection to a server that is not shared, for a lease; a file has one writer.
    pub(crate) async fn open_session(&self) -> sqlx::Result<Connection> {
        self.writers.open().await
    }

    /// Whether several processes may use it.
    pub(crate) fn is_on_a_server(&self) -> bool {
        matches!(&*self.readers.pool(), ReaderPool::Postgres(_))
    }

    /// Whether its file was found damaged.
    pub fn is_damaged(&self) -> bool {
        self.readers.are_of_a_damaged_file()
    }

    /// Sees whenever this process has made something due, or stopped or resumed a part. Changes of other processes are not seen.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Wakes those that wait for [`changes`](Self::changes).
    pub(crate) fn notify_changed(&self) {
        self.changed.send_replace(());
    }

    /// Sees whenever this process has stopped or resumed a part. Changes of other processes are not seen.
    pub fn pauses(&self) -> watch::Receiver<()> {
        self.pauses.subscribe()
    }

    /// Closes the connections.
    pub async fn close(&self) {
        match &*self.readers.pool() {
            ReaderPool::Sqlite(pool, _) => pool.close().await,
            ReaderPool::Postgres(pool) => pool.close().await,
        }
        self.writers.close().await;
    }
}

/// Text from outside as the tables may hold it: not longer than `limit` characters, and without U+0000, which Postgres does not take.
fn storable(text: &str, limit: usize) -> String {
    text.chars().take(limit).map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
