//! The rows that say which copies of the tables there are, and in which state. Operators' wishes are written into them, by any process; the process
//! that fills copies carries them out.

use std::path::{Path, PathBuf};

use honoken_database::EmbeddedMigration;
use honoken_database::shared_connection::{SharedConnection, SmallStore};
use honoken_database::sqlite::Durability;
use honoken_database::sqlite_file::SqliteFile;
use honoken_database::statements::{Connection, Row, Statement, sql};
use honoken_domain::ids::UnixSeconds;
use honoken_event_store::Position;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnectOptions;

use crate::migrations::OpenError;
use crate::projection::VERSION;

const STORE: SmallStore = SmallStore {
    sqlite: &[(1, "copies", include_str!("../../../migrations/sqlite/read_model_copies/0001_copies.sql"))],
    postgres: POSTGRES,
    settings: &[],
    remedy: "stop the service and delete the file, with -wal and -shm beside it, and all files of the read model: they are filled again from the \
             event log at the next start",
};

/// Versions from 5001 on.
pub(crate) const POSTGRES: &[EmbeddedMigration] =
    &[(5001, "copies", include_str!("../../../migrations/postgres/read_model_copies/0001_copies.sql"))];

/// The number of the copy that was there before any other.
pub(crate) const FIRST: i64 = 1;

/// A copy of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a row, and each is a column")]
pub struct Copy {
    /// Its number.
    pub id: i64,
    /// The version of the projection that its rows have.
    pub version: i64,
    /// What it is for at the moment.
    pub state: CopyState,
    /// Whether its tables were made.
    pub(crate) prepared: bool,
    /// Whether its filling was paused by an operator.
    pub paused: bool,
    /// Whether it waits for an operator to switch.
    pub held: bool,
    /// Whether an operator waits for a comparison with the live copy.
    pub(crate) compares: bool,
    /// The outcome of the last comparison.
    pub comparison: Option<CopyComparison>,
    /// The reason for which it does not take over although it could.
    pub note: Option<String>,
    /// The position that it had come to when that was last reported.
    pub position: Position,
    /// The head of the event log at that time.
    pub target: Position,
    /// Events that were applied to it by its rebuild.
    pub events: u64,
    /// Events per second, lately or of the whole rebuild if that has ended.
    pub events_per_second: u64,
    /// Seconds until it reaches `target` at this rate; `None` when that cannot be told.
    pub seconds_left: Option<u64>,
    /// When its rebuild began; `None` if none has made it.
    pub started_at: Option<UnixSeconds>,
    /// When it became the live one for the first time.
    pub finished_at: Option<UnixSeconds>,
}

/// What a copy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyState {
    /// It is filled from the beginning of the event log.
    Filling,
    /// It has reached the head of the event log as it was, and follows it.
    CatchingUp,
    /// It is at the head, and could take over.
    Ready,
    /// Readers of its version read it.
    Live,
    /// It was live before the present one, and can be again.
    Kept,
    /// Its tables are to be removed.
    Leaving,
    /// Its tables were removed.
    Gone,
}

impl CopyState {
    /// Its name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::CatchingUp => "catchingUp",
            Self::Ready => "ready",
            Self::Live => "live",
            Self::Kept => "kept",
            Self::Leaving => "leaving",
            Self::Gone => "gone",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Filling, Self::CatchingUp, Self::Ready, Self::Live, Self::Kept, Self::Leaving, Self::Gone]
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    /// Whether a rebuild works on it.
    pub fn is_at_work(self) -> bool {
        matches!(self, Self::Filling | Self::CatchingUp | Self::Ready)
    }
}

/// The outcome of a comparison of a copy with the live one, both at one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyComparison {
    /// The position of both.
    pub position: u64,
    /// The rows that were compared.
    pub rows: u64,
    /// The rows that differ, or that only one of them has.
    pub different: u64,
    /// The first of these, by table and key.
    pub first: Vec<String>,
}

/// The reason for which an operator's wish concerning copies is refused.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A rebuild is at work already.
    #[error("a rebuild is at work already: wait for its end, or cancel it")]
    AtWork,
    /// There is no rebuild that the wish could be about.
    #[error("no rebuild is at work")]
    NoRebuild,
    /// There is no copy to go back to.
    #[error("no former copy is kept")]
    NothingKept,
    /// The rows could not be read or written.
    #[error("the directory of the copies of the read model could not be used")]
    Store(#[from] sqlx::Error),
}

/// The rows. Clones share one connection.
#[derive(Debug, Clone)]
pub struct CopyDirectory {
    connection: SharedConnection,
    /// Where it is in a file.
    file: Option<PathBuf>,
}

/// Brings the rows' table on a server to the newest schema.
pub(crate) async fn migrate(options: &PgConnectOptions) -> Result<(), OpenError> {
    STORE.migrate(options).await
}

impl CopyDirectory {
    pub(crate) async fn in_file(file: &Path) -> Result<Self, OpenError> {
        Ok(Self { connection: STORE.in_file::<OpenError>(file).await?, file: Some(file.to_owned()) })
    }

    /// In a file that another process has made.
    pub(crate) fn beside_its_process(file: &Path) -> Self {
        Self { connection: STORE.in_file_of_another(file), file: Some(file.to_owned()) }
    }

    pub(crate) async fn on_server(options: &PgConnectOptions) -> Result<Self, OpenError> {
        Ok(Self { connection: STORE.on_server::<OpenError>(options).await?, file: None })
    }

    /// A connection of its own to the file, for a transaction.
    pub(crate) async fn open_file(&self) -> sqlx::Result<Connection> {
        let path = self.file.as_deref().unwrap_or_else(|| unreachable!("it is on a server"));
        Connection::sqlite(&SqliteFile::new(path, STORE.remedy), Durability::EveryCommit).await
    }

    pub(crate) async fn close(&self) {
        self.connection.close().await;
    }

    /// All copies, by their numbers.
    ///
    /// # Errors
    /// [`CopyError::Store`].
    pub async fn all(&self) -> Result<Vec<Copy>, CopyError> {
        Ok(self.rows().await?)
    }

    pub(crate) async fn rows(&self) -> sqlx::Result<Vec<Copy>> {
        let asked = sql(
            "select copy, version, state, prepared, paused, held, compares, comparison, note, position, target, events, rate, seconds_left, started_at, finished_at
             from read_model_copy order by copy",
        );
        self.connection.run(asked).await?.iter().map(copy).collect()
    }

    /// The copy that readers of this release read: the live one of its version, else the newest live one.
    pub(crate) async fn live(&self) -> sqlx::Result<Option<Copy>> {
        let live = self.rows().await?.into_iter().filter(|copy| copy.state == CopyState::Live);
        Ok(live.max_by_key(|copy| (copy.version == VERSION, copy.version)))
    }

    /// Notes the first copy, whose tables have that version, where no copy is noted.
    pub(crate) async fn note_first(&self, version: i64) -> sqlx::Result<()> {
        let noted = sql("insert into read_model_copy (copy, version, state, prepared)
             select $1, $2, 'live', $3 where not exists (select 1 from read_model_copy)
             on conflict do nothing");
        self.change(noted.bind(FIRST).bind(version).bind(true)).await.map(drop)
    }

    /// Asks for a rebuild, and returns the number of its copy. Copies that are kept go, also those of releases before this one.
    ///
    /// # Errors
    /// [`CopyError::AtWork`].
    pub async fn rebuild(&self, held: bool, now: UnixSeconds) -> Result<i64, CopyError> {
        let asked = sql("insert into read_model_copy (copy, version, state, held, started_at)
             select max(copy) + 1, $1, 'filling', $2, $3 from read_model_copy
             where true
             on conflict do nothing
             returning copy");
        let rows = self.connection.run(asked.bind(VERSION).bind(held).bind(now.0)).await?;
        let id = rows.first().ok_or(CopyError::AtWork)?.get("copy")?;
        let leaves = sql(
            "update read_model_copy set state = 'leaving' where state = 'kept' and version <= $1 returning copy",
        );
        self.change(leaves.bind(VERSION)).await?;
        Ok(id)
    }

    /// Sees to it that there will be a copy of the version of this release: one that was kept comes back, otherwise one is filled.
    pub(crate) async fn provide(&self, now: UnixSeconds) -> Result<(), CopyError> {
        let copies = self.rows().await?;
        let is_there = |copy: &&Copy| {
            copy.version == VERSION && (copy.state == CopyState::Live || copy.state.is_at_work())
        };
        if copies.is_empty() || copies.iter().any(|copy| is_there(&copy)) {
            return Ok(());
        }
        let provided = match self.roll_back().await {
            Err(CopyError::NothingKept) => self.rebuild(false, now).await.map(drop),
            provided => provided,
        };
        match provided {
            // Another process of this release was faster.
            Err(CopyError::AtWork) => Ok(()),
            provided => provided,
        }
    }

    /// Keeps live copies that no process reads any more, where another one is read: processes of their version have ended.
    pub(crate) async fn retire_unread(&self) -> sqlx::Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let retired = sql("with read as (select distinct copy from read_model_reader where seen_at > clock_timestamp() - interval '5 seconds')
             update read_model_copy set state = 'kept'
             where state = 'live' and copy not in (select copy from read)
               and exists (select 1 from read join read_model_copy other using (copy) where other.state = 'live')
             returning copy");
        for row in self.connection.run(retired).await? {
            tracing::info!(
                "no process reads copy {} of the tables any more: it is kept",
                row.get::<i64>("copy")?
            );
        }
        Ok(())
    }

    /// Pauses the rebuild, or lets it go on.
    ///
    /// # Errors
    /// [`CopyError::NoRebuild`].
    pub async fn pause(&self, paused: bool) -> Result<(), CopyError> {
        let asked = sql(
            "update read_model_copy set paused = $2 where version = $1 and state in ('filling', 'catchingUp', 'ready') returning copy",
        );
        self.at_work(asked.bind(VERSION).bind(paused)).await
    }

    /// Gives the rebuild up. A copy that was live before is kept again, another goes.
    ///
    /// # Errors
    /// [`CopyError::NoRebuild`].
    pub async fn cancel(&self) -> Result<(), CopyError> {
        let asked = sql("update read_model_copy
             set state = case when started_at is not null and finished_at is null then 'leaving' else 'kept' end, paused = false, held = false, compares = false
             where version = $1 and state in ('filling', 'catchingUp', 'ready') returning copy");
        self.at_work(asked.bind(VERSION)).await
    }

    /// Lets the copy take over when it has caught up.
    ///
    /// # Errors
    /// [`CopyError::NoRebuild`].
    pub async fn switch(&self) -> Result<(), CopyError> {
        let asked = sql(
            "update read_model_copy set held = false where version = $1 and state in ('filling', 'catchingUp', 'ready') returning copy",
        );
        self.at_work(asked.bind(VERSION)).await
    }

    /// Asks for a comparison with the live copy, once this one has caught up.
    ///
    /// # Errors
    /// [`CopyError::NoRebuild`].
    pub async fn compare(&self) -> Result<(), CopyError> {
        let asked = sql(
            "update read_model_copy set compares = true where version = $1 and state in ('filling', 'catchingUp', 'ready') returning copy",
        );
        self.at_work(asked.bind(VERSION)).await
    }

    /// Lets the copy that is kept catch up and take over again.
    ///
    /// # Errors
    /// [`CopyError::NothingKept`], [`CopyError::AtWork`].
    pub async fn roll_back(&self) -> Result<(), CopyError> {
        let copies = self.rows().await?;
        let of_this_release = || copies.iter().filter(|copy| copy.version == VERSION);
        if of_this_release().any(|copy| copy.state.is_at_work()) {
            return Err(CopyError::AtWork);
        }
        // Its rows were live, so it is not empty and follows the event log from where it stood.
        let asked = sql("update read_model_copy set state = 'catchingUp', held = false, paused = false, comparison = null, note = null
             where copy = (select max(copy) from read_model_copy where version = $1 and state = 'kept') returning copy");
        let changed = self.change(asked.bind(VERSION)).await?;
        if changed { Ok(()) } else { Err(CopyError::NothingKept) }
    }

    /// Gives the room of the copies that are kept back, also those of releases before this one.
    ///
    /// # Errors
    /// [`CopyError::NothingKept`].
    pub async fn drop_kept(&self) -> Result<(), CopyError> {
        let asked = sql(
            "update read_model_copy set state = 'leaving' where version <= $1 and state = 'kept' returning copy",
        );
        if self.change(asked.bind(VERSION)).await? { Ok(()) } else { Err(CopyError::NothingKept) }
    }

    /// Reports how far a copy is that is at work.
    pub(crate) async fn report(&self, id: i64, report: &Report) -> sqlx::Result<()> {
        let reported = sql("update read_model_copy
             set position = $2, target = $3, events = $4, rate = $5, seconds_left = $6
             where copy = $1 and state in ('filling', 'catchingUp', 'ready') returning copy")
        .bind(id)
        .bind(report.position.0.cast_signed())
        .bind(report.target.0.cast_signed())
        .bind(report.events.cast_signed())
        .bind(report.events_per_second.cast_signed())
        .bind(report.seconds_left.map(u64::cast_signed));
        self.change(reported).await.map(drop)
    }

    /// Moves a copy that is at work to its next state, unless an operator has cancelled it.
    pub(crate) async fn advance(&self, id: i64, state: CopyState) -> sqlx::Result<()> {
        let advanced = sql("update read_model_copy set state = $2
             where copy = $1 and state in ('filling', 'catchingUp', 'ready') returning copy");
        self.change(advanced.bind(id).bind(state.as_str())).await.map(drop)
    }

    /// Notes why a copy does not take over.
    pub(crate) async fn note(&self, id: i64, note: Option<&str>) -> sqlx::Result<()> {
        let noted = sql("update read_model_copy set note = $2 where copy = $1 returning copy");
        self.change(noted.bind(id).bind(note)).await.map(drop)
    }

    /// Notes why a filling stands still.
    pub(crate) async fn note_while_filling(&self, id: i64, note: &str) -> sqlx::Result<()> {
        let noted =
            sql("update read_model_copy set note = $2 where copy = $1 and state = 'filling' returning copy");
        self.change(noted.bind(id).bind(note)).await.map(drop)
    }

    /// Notes the outcome of a comparison.
    pub(crate) async fn compared(&self, id: i64, comparison: &CopyComparison) -> sqlx::Result<()> {
        let text = serde_json::to_string(comparison).map_err(|fault| sqlx::Error::Encode(Box::new(fault)))?;
        let noted = sql(
            "update read_model_copy set comparison = $2, compares = false where copy = $1 returning copy",
        );
        self.change(noted.bind(id).bind(text)).await.map(drop)
    }

    /// Notes that the tables of a copy were made.
    pub(crate) async fn prepared(&self, id: i64) -> sqlx::Result<()> {
        let noted = sql("update read_model_copy set prepared = $2 where copy = $1 returning copy");
        self.change(noted.bind(id).bind(true)).await.map(drop)
    }

    /// Notes that the tables of a copy were removed.
    pub(crate) async fn gone(&self, id: i64) -> sqlx::Result<()> {
        let noted = sql(
            "update read_model_copy set state = 'gone' where copy = $1 and state = 'leaving' returning copy",
        );
        self.change(noted.bind(id)).await.map(drop)
    }

    async fn at_work(&self, statement: Statement) -> Result<(), CopyError> {
        if self.change(statement).await? { Ok(()) } else { Err(CopyError::NoRebuild) }
    }

    /// Whether the statement, which returns the rows that it changes, has changed one.
    async fn change(&self, statement: Statement) -> sqlx::Result<bool> {
        Ok(!self.connection.run(statement).await?.is_empty())
    }
}

/// How far a copy is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    pub(crate) position: Position,
    pub(crate) target: Position,
    pub(crate) events: u64,
    pub(crate) events_per_second: u64,
    pub(crate) seconds_left: Option<u64>,
}

fn copy(row: &Row) -> sqlx::Result<Copy> {
    let state: String = row.get("state")?;
    let comparison: Option<String> = row.get("comparison")?;
    let number = |column| row.get::<i64>(column).map(i64::cast_unsigned);
    let moment = |column| Ok::<_, sqlx::Error>(row.get::<Option<i64>>(column)?.map(UnixSeconds));
    Ok(Copy {
        id: row.get("copy")?,
        version: row.get("version")?,
        state: CopyState::parse(&state)
            .ok_or_else(|| sqlx::Error::Decode(format!("`{state}` is no state of a copy").into()))?,
        prepared: row.get("prepared")?,
        paused: row.get("paused")?,
        held: row.get("held")?,
        compares: row.get("compares")?,
        // One that does not parse is of a newer release.
        comparison: comparison.and_then(|text| serde_json::from_str(&text).ok()),
        note: row.get("note")?,
        position: Position(number("position")?),
        target: Position(number("target")?),
        events: number("events")?,
        events_per_second: number("rate")?,
        seconds_left: row.get::<Option<i64>>("seconds_left")?.map(i64::cast_unsigned),
        started_at: moment("started_at")?,
        finished_at: moment("finished_at")?,
    })
}
