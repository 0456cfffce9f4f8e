//! The read model, in SQLite files or a Postgres database: its opening and its connections to the copy of the tables that is read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use honoken_database::Pool;
use honoken_database::postgres;
use honoken_database::statements::{Connection, ReaderPool, Readers, sql};
use honoken_event_store::Position;
use honoken_event_store::postgres::wakeups::{Topic, Wakeups};
use honoken_telemetry::error_chain;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, MissedTickBehavior};

use crate::copies::directory::{self, CopyDirectory, CopyError, CopyState, FIRST};
use crate::copies::place::{Home, Place};
use crate::copies::reading;
use crate::migrations::POSTGRES;
use crate::projection::{CHANNEL, VERSION, WALLET};
use crate::row_cache::RowCache;

pub use crate::migrations::OpenError;

/// Wake-ups of other processes when this one has projected.
const PROJECTED: Topic =
    Topic { channel: CHANNEL, newest: "select coalesce(max(position), 0) from read_model_copy" };

/// The read model. Clones share its connections.
#[derive(Debug, Clone)]
pub struct ReadModel {
    /// The connections of all questions.
    pub(crate) readers: Readers,
    /// Rows of passes in memory, only while a projector of this process alone writes them.
    pub(crate) pass_rows: RowCache,
    /// Which copies of the tables there are.
    pub(crate) directory: CopyDirectory,
    pub(crate) home: Home,
    /// The number of the copy that this process reads, and its version.
    current: Arc<(AtomicI64, AtomicI64)>,
    /// Held while the copy that this process reads is written, or another takes its place here.
    pub(crate) turn: Arc<Mutex<()>>,
    /// Wakes the filler after an operator's wish.
    pub(crate) wishes: Arc<Notify>,
    /// The position that a rebuild in this process has come to, and the seconds that are left; 0 while there is none.
    pub(crate) rebuild: Arc<(AtomicU64, AtomicU64)>,
    /// Wakes the projector when another copy is read.
    pub(crate) moved: Arc<Notify>,
    /// Connections to a server that see the directory, whichever copy is read.
    pub(crate) base: Option<PgPool>,
    /// A name for this process in the directory on a server.
    pub(crate) process: Arc<str>,
}

/// Connections for reports about this process and for notifications.
const BASE_CONNECTIONS: u32 = 4;

/// Brings the tables of a read model on a server to the newest schema, in all of its copies.
///
/// # Errors
/// When the server is unavailable or a migration fails.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), OpenError> {
    directory::migrate(options).await?;
    let mut connection = postgres::open_writer(options).await?;
    let home = Home::server(options, &mut connection).await?;
    sqlx::Connection::close(connection).await?;
    home.of(FIRST).prepare().await?;
    let directory = CopyDirectory::on_server(options).await?;
    for copy in directory.rows().await? {
        // Copies of other versions are brought along too: every migration leaves a schema that the release before can use.
        if copy.id != FIRST && !matches!(copy.state, CopyState::Leaving | CopyState::Gone) {
            home.of(copy.id).prepare().await?;
        }
    }
    directory.close().await;
    Ok(())
}

impl ReadModel {
    /// Opens the read model whose first copy is in a file, creating what is missing.
    ///
    /// # Errors
    /// When a file cannot be opened or brought to the newest schema.
    pub async fn in_file(file: &Path) -> Result<Self, OpenError> {
        let directory = CopyDirectory::in_file(&Home::directory_file(file)).await?;
        let home = Home::Files(file.to_owned(), false);
        let copies = directory.rows().await?;
        if copies.is_empty() {
            home.of(FIRST).prepare().await?;
            directory.note_first(version_of_tables(&home.of(FIRST)).await?).await?;
        }
        let current = directory.live().await?.map_or((FIRST, VERSION), |copy| (copy.id, copy.version));
        home.of(current.0).prepare().await?;
        Ok(Self::reading(directory, home, current, None, "".into()))
    }

    /// Opens the read model in files that another process writes: this one reads them.
    ///
    /// # Errors
    /// When the directory of copies cannot be read.
    pub async fn beside_its_process(file: &Path) -> Result<Self, OpenError> {
        let directory = CopyDirectory::beside_its_process(&Home::directory_file(file));
        let current = directory.live().await?.map_or((FIRST, VERSION), |copy| (copy.id, copy.version));
        Ok(Self::reading(directory, Home::Files(file.to_owned(), true), current, None, "".into()))
    }

    /// Whether another process writes the file, and wakes nobody here when it does.
    pub(crate) fn is_of_another_process(&self) -> bool {
        matches!(self.home, Home::Files(_, true))
    }

    /// Opens the read model on a server, whose tables must have been made by [`migrate`].
    ///
    /// # Errors
    /// When the server is unavailable, or its schema is older than this release needs.
    pub async fn on_server(options: &PgConnectOptions) -> Result<Self, OpenError> {
        let mut connection = postgres::open_writer(options).await?;
        honoken_database::ensure_migrated(&mut connection, POSTGRES).await?;
        let home = Home::server(options, &mut connection).await?;
        let process = reading::name(&mut connection).await?;
        sqlx::Connection::close(connection).await?;
        let directory = CopyDirectory::on_server(options).await?;
        if directory.rows().await?.is_empty() {
            directory.note_first(version_of_tables(&home.of(FIRST)).await?).await?;
        }
        let current = directory.live().await?.map_or((FIRST, VERSION), |copy| (copy.id, copy.version));
        let base = postgres::open_readers(options, BASE_CONNECTIONS);
        let model = Self::reading(directory, home, current, Some(base), process.into());
        model.report().await?;
        Ok(model)
    }

    fn reading(
        directory: CopyDirectory,
        home: Home,
        (current, version): (i64, i64),
        base: Option<PgPool>,
        process: Arc<str>,
    ) -> Self {
        Self {
            readers: Readers::new(home.of(current).readers()),
            pass_rows: RowCache::default(),
            directory,
            home,
            current: Arc::new((AtomicI64::new(current), AtomicI64::new(version))),
            turn: Arc::default(),
            wishes: Arc::default(),
            rebuild: Arc::default(),
            moved: Arc::default(),
            process,
            base,
        }
    }

    /// The copies of the tables, and what operators wish for them.
    pub fn copies(&self) -> &CopyDirectory {
        &self.directory
    }

    /// Wakes the task that fills copies in this process, after a wish was written into [`copies`](Self::copies). In others it looks by itself.
    pub fn wishes_changed(&self) {
        self.wishes.notify_one();
    }

    /// The room that a copy takes, in bytes.
    ///
    /// # Errors
    /// [`CopyError::Store`].
    pub async fn bytes_of_copy(&self, id: i64) -> Result<u64, CopyError> {
        Ok(self.home.of(id).bytes().await?)
    }

    /// The position that a rebuild in this process has come to, and the seconds until it has caught up; 0 and 0 while there is none.
    pub fn rebuild_in_this_process(&self) -> (u64, u64) {
        (self.rebuild.0.load(Ordering::Relaxed), self.rebuild.1.load(Ordering::Relaxed))
    }

    /// The number of the copy that this process reads.
    pub fn live_copy(&self) -> i64 {
        self.current()
    }

    /// The name of the place of a copy: of a file, or of a schema.
    pub fn place_of_copy(&self, id: i64) -> String {
        self.home.of(id).name()
    }

    /// Says which copy this process reads, where that is of interest to others, and reads the one that is live by now.
    pub(crate) async fn report(&self) -> sqlx::Result<()> {
        let Some(pool) = &self.base else { return Ok(()) };
        let Some((live, version)) = reading::report(pool, &self.process).await? else { return Ok(()) };
        if live != self.current() {
            let turn = self.turn.lock().await;
            self.reads(live, version);
            drop(turn);
            reading::leave_others(pool, &self.process, live).await?;
        }
        Ok(())
    }

    /// Says on a server again and again which copy this process reads, until it is dropped. From here on nothing is read when that has not been possible
    /// for long. A [`Projector`](crate::Projector) does so by itself, before anybody is answered.
    pub async fn keep_reporting(&self) {
        if self.base.is_none() {
            return std::future::pending().await;
        }
        self.readers.trust_until(Instant::now() + reading::TRUST);
        let mut interval = tokio::time::interval(reading::INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let sent = Instant::now();
            match self.report().await {
                Ok(()) => self.readers.trust_until(sent + reading::TRUST),
                Err(fault) => {
                    tracing::warn!(
                        error = error_chain(&fault),
                        "the server did not hear which tables are read"
                    );
                }
            }
        }
    }

    /// The number of the copy that this process reads.
    pub(crate) fn current(&self) -> i64 {
        self.current.0.load(Ordering::Acquire)
    }

    /// Whether the copy that this process reads has the version of this release, so that it may be written here. One of another version is read while
    /// there is none.
    pub(crate) fn is_of_this_version(&self) -> bool {
        self.current.1.load(Ordering::Acquire) == VERSION
    }

    /// Lets all questions that begin from now on be asked of another copy. The caller has the turn.
    pub(crate) fn reads(&self, copy: i64, version: i64) {
        self.pass_rows.turn_off();
        let former = self.readers.switch(self.home.of(copy).readers());
        self.current.1.store(version, Ordering::Release);
        self.current.0.store(copy, Ordering::Release);
        self.moved.notify_one();
        // Questions that are on the way get their answers.
        tokio::spawn(async move { close_pool(&former).await });
    }

    /// A connection to the copy that is read, for the projector alone. It writes, unless another process does.
    pub(crate) async fn open_connection(&self) -> sqlx::Result<Connection> {
        self.home.of(self.current()).open().await
    }

    /// A connection that reads everything as it is at its first statement.
    pub(crate) async fn open_snapshot(&self) -> sqlx::Result<Connection> {
        self.home.of(self.current()).open_snapshot().await
    }

    /// Starts the wake-ups between processes: `on_projected` is called with how far another one has projected. `None` for a file, which one
    /// process alone writes.
    pub(crate) fn start_wakeups(
        &self,
        on_projected: impl Fn(Position) + Send + Sync + 'static,
    ) -> Option<Wakeups> {
        self.base.as_ref().map(|pool| Wakeups::start(pool.clone(), PROJECTED, on_projected))
    }

    /// The number of statements that the tables have answered since the last call.
    pub fn take_questions(&self) -> u64 {
        self.readers.take_asked()
    }

    /// How often the row of a pass was looked up in memory since the last call, with or without success.
    pub fn take_rows_looked_for(&self) -> u64 {
        self.pass_rows.take_lookups()
    }

    /// Whether the file was found to be damaged.
    pub fn is_damaged(&self) -> bool {
        self.readers.are_of_a_damaged_file()
    }

    /// The connections that only read.
    pub fn pool(&self) -> Pool {
        match &*self.readers.pool() {
            ReaderPool::Sqlite(pool, _) => pool.into(),
            ReaderPool::Postgres(pool) => pool.into(),
        }
    }

    /// Closes the connections.
    pub async fn close(&self) {
        close_pool(&self.readers.pool()).await;
        self.directory.close().await;
        if let Some(base) = &self.base {
            if let Err(fault) = reading::leave(base, &self.process).await {
                tracing::debug!(error = %fault, "the server believes for five seconds more that tables are read here");
            }
            base.close().await;
        }
    }
}

async fn close_pool(pool: &ReaderPool) {
    match pool {
        ReaderPool::Sqlite(pool, _) => pool.close().await,
        ReaderPool::Postgres(pool) => pool.close().await,
    }
}

/// The version that the rows of a copy have; this release's where there are none.
async fn version_of_tables(place: &Place) -> sqlx::Result<i64> {
    let mut connection = place.open().await?;
    let row = sql("select version from projection_checkpoint where projection = $1 and position > 0")
        .bind(WALLET)
        .fetch_optional(&mut connection)
        .await?;
    connection.close().await?;
    row.map_or(Ok(VERSION), |row| row.get("version"))
}
