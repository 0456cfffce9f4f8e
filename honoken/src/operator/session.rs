//! The event log and the read model, opened for one command of an operator.
//!
//! The command works beside running processes, which see its changes at once. On Postgres it is one process more. SQLite files have one process that
//! writes them: while the service runs, the command reads them and lets the service append ([`RunningProcess`]); else it has them alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use honoken_domain::sealed::SealingKeys;
use honoken_event_store::{EventLog, Log, Metadata, Position};
use honoken_projections::{Part, Progress, Projector, ReadModel};
use honoken_pushers::labels::label_sets;
use honoken_service::clock::Clock;
use honoken_service::commands::Commands;
use honoken_service::data_dir::Folder;
use honoken_service::encryption_keys::{self, Missing};
use honoken_service::event_store::EventStore;
use honoken_service::ids::{self, IdSource};
use honoken_service::image_store::Place as ImagePlace;
use honoken_service::operations::audit::{Action, Record};
use honoken_service::operations::context::Context as OperationContext;
use honoken_service::rebuilds;
use honoken_service::running_process::RunningProcess;
use honoken_service::storage::{Database, Storage};
use honoken_service::stores::{IMAGES, start_projector};
use honoken_telemetry::metrics::Metrics;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::operator::user;
use crate::release;

/// The options that say where the event log and the read model are.
#[derive(Debug, Args)]
pub struct StorageOptions {
    /// The folder that the service uses: the SQLite files are in it, unless `DATABASE_URL` names another place.
    #[arg(long, value_name = "DIR", default_value = "./honoken-data")]
    data_dir: PathBuf,
}

/// The place of the data, as a command of an operator finds it.
pub enum Place {
    /// A database, or files that this command has alone.
    Storage(Storage),
    /// Files that a running process has.
    Running(RunningProcess),
}

impl Place {
    /// Carries out an action that is noted among those of operators.
    ///
    /// # Errors
    /// When it cannot be noted, and those of `work`.
    pub async fn notes<T>(
        &self,
        environment: &Environment,
        name: &'static str,
        target: String,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let office = match self {
            Self::Storage(storage) => storage.open_office().await?,
            Self::Running(process) => process.open_office(),
        };
        let Environment { clock, ids, .. } = environment;
        let record = Record { office, clock: &**clock, ids: &**ids, actor: &user::actor() };
        record.note(Action { name, target }, work).await
    }
}

impl Place {
    /// Likewise, and lets go of the files before: a service may start meanwhile. What has no event log is no installation, and gets no note.
    ///
    /// # Errors
    /// As [`Place::notes`].
    pub async fn notes_alone<T>(
        self,
        environment: &Environment,
        name: &'static str,
        target: String,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let office = match &self {
            Self::Storage(storage) if storage.must_have_a_log().is_err() => return work.await,
            Self::Storage(storage) => storage.open_office().await?,
            Self::Running(process) => process.open_office(),
        };
        drop(self);
        let Environment { clock, ids, .. } = environment;
        let record = Record { office, clock: &**clock, ids: &**ids, actor: &user::actor() };
        record.note(Action { name, target }, work).await
    }
}

impl StorageOptions {
    /// The data folder.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The place of the data. Nothing is created where it is missing.
    ///
    /// # Errors
    /// When it is missing.
    pub fn place(&self, config: &Config) -> anyhow::Result<Place> {
        let event_store = config.event_store.as_ref();
        match &config.database {
            Some(database) => Place::of(database, event_store, "DATABASE_URL"),
            None => Place::in_folder(&self.data_dir, event_store),
        }
    }

    /// The place of the images.
    pub fn images(&self, config: &Config) -> ImagePlace {
        let place = config.images.place.clone();
        place.unwrap_or_else(|| ImagePlace::Folder(self.data_dir.join(IMAGES)))
    }

    /// The storage for data that is not there yet; a folder is made where it is missing.
    ///
    /// # Errors
    /// When it cannot be used, or another process uses it.
    pub fn new_storage(&self, config: &Config) -> anyhow::Result<Storage> {
        let folder = || Ok(Arc::new(Folder::open(&self.data_dir)?));
        let storage = Storage::of(config.database.as_ref(), &self.data_dir, folder)?;
        Ok(storage.with_log_in(config.event_store.as_ref()))
    }

    /// The storage. It is not created where it is missing.
    ///
    /// # Errors
    /// When it is missing, or another process uses it.
    pub fn storage(&self, config: &Config) -> anyhow::Result<Storage> {
        if config.database.is_none() {
            must_exist(&self.data_dir)?;
        }
        self.new_storage(config)
    }
}

impl Place {
    /// That of a database, with the event log elsewhere if there is such a place. Nothing is created where it is missing. `setting` is the variable or the
    /// option that names the database.
    ///
    /// # Errors
    /// When it is missing.
    pub fn of(
        database: &Database,
        event_store: Option<&EventStore>,
        setting: &'static str,
    ) -> anyhow::Result<Self> {
        match database {
            Database::Postgres(_) => {
                Ok(Self::Storage(Storage::new(database, setting)?.with_log_in(event_store)))
            }
            Database::Folder(folder) => Self::in_folder(folder, event_store),
        }
    }

    fn in_folder(folder: &Path, event_store: Option<&EventStore>) -> anyhow::Result<Self> {
        must_exist(folder)?;
        Ok(match Folder::open_if_free(folder)? {
            Some(folder) => Self::Storage(Storage::in_folder(Arc::new(folder)).with_log_in(event_store)),
            None => Self::Running(RunningProcess::of(folder, event_store, release::VERSION_AND_COMMIT)),
        })
    }

    /// Its event log, which must exist.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub async fn open_log(&self, ids: &dyn IdSource) -> anyhow::Result<Log> {
        match self {
            Self::Storage(storage) => {
                storage.must_have_a_log()?;
                storage.open_log(ids).await
            }
            Self::Running(process) => process.open_log(ids).await,
        }
    }

    /// Its read model.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open_read_model(&self) -> anyhow::Result<ReadModel> {
        match self {
            Self::Storage(storage) => storage.open_read_model().await,
            Self::Running(process) => process.open_read_model().await,
        }
    }

    /// Its read model, if there is one.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn existing_read_model(&self) -> anyhow::Result<Option<ReadModel>> {
        match self {
            Self::Storage(storage) => storage.existing_read_model().await,
            Self::Running(process) => process.open_read_model().await.map(Some),
        }
    }
}

/// A folder that is missing is a mistake in the command line, and is not created.
fn must_exist(folder: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        folder.is_dir(),
        "there is no folder {}; name the one that the service uses with --data-dir, or set DATABASE_URL",
        folder.display()
    );
    Ok(())
}

/// The dependencies of a command, besides its arguments.
pub struct Environment {
    /// The configuration from the environment.
    pub config: Config,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random values.
    pub ids: Arc<dyn IdSource>,
}

/// The opened event log and read model.
pub struct Session {
    /// Carries commands to aggregates.
    pub dispatcher: Commands,
    /// The read model, which had caught up with the event log when it was opened.
    pub read_model: ReadModel,
    log: Arc<Log>,
    projector: Projector,
    metadata: Metadata,
}

/// Whether an event log may be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPresence {
    /// It is created where there is none: for commands that may be the first ever.
    CreateIfMissing,
    /// It must exist: for commands that read or change existing data.
    MustExist,
}

/// How long a command waits until readers see its changes.
const VISIBLE: Duration = Duration::from_secs(10);

impl Session {
    /// Opens the event log and the read model, runs `work`, and closes them whatever its result.
    ///
    /// # Errors
    /// When they cannot be opened, and those of `work`.
    pub async fn with<T>(
        place: &Place,
        log_presence: LogPresence,
        environment: &Environment,
        work: impl AsyncFnOnce(&Session) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let Environment { config, clock, ids } = environment;
        let (log, read_model, part) = match place {
            Place::Storage(storage) => {
                if log_presence == LogPresence::MustExist {
                    storage.must_have_a_log()?;
                }
                (storage.open_log(&**ids).await?, storage.open_read_model().await?, Part::Run)
            }
            Place::Running(process) => {
                (process.open_log(&**ids).await?, process.open_read_model().await?, Part::Watch)
            }
        };
        let log = Arc::new(log);
        let stop = CancellationToken::new();
        let times = rebuilds::times(clock.clone(), config.retention);
        let (projector, running) =
            start_projector(log.clone(), read_model.clone(), (part, times), stop.clone()).await?;
        let session = Self {
            dispatcher: Commands::new(log.clone(), Metrics::new(&config.identity, &label_sets())),
            read_model: read_model.clone(),
            log: log.clone(),
            projector,
            metadata: Metadata {
                actor: format!("operator:{}", user::actor()),
                organization: None,
                request_id: ids::request_id(&**ids),
                urgent: false,
                recorded_at_ms: clock.unix_ms(),
            },
        };
        let worked = async {
            session.catches_up().await?;
            work(&session).await
        };
        let worked = worked.await;
        stop.cancel();
        running.await.context("the projector ended with an error")?;
        read_model.close().await;
        drop(session);
        if let Some(log) = Arc::into_inner(log) {
            log.close().await;
        }
        worked
    }

    /// Waits until the read model has everything that is in the event log now.
    ///
    /// # Errors
    /// When it does not within a bounded time.
    pub async fn catches_up(&self) -> anyhow::Result<()> {
        let head = *self.log.head().borrow();
        anyhow::ensure!(
            self.is_visible(head).await,
            "the read model does not follow the event log: start a process with the role projector, and try again"
        );
        Ok(())
    }

    /// The event log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The metadata of the command's events: the actor and the time.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// What the operations of `honoken_service::operations` need.
    pub fn context<'a>(&'a self, environment: &'a Environment) -> OperationContext<'a> {
        OperationContext {
            dispatcher: &self.dispatcher,
            read_model: &self.read_model,
            projector: &self.projector,
            ids: &*environment.ids,
            metadata: &self.metadata,
            visible: VISIBLE,
        }
    }

    /// How far the read model is; a change wakes those that wait for one.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.projector.progress()
    }

    /// Waits until readers see every event up to a position, for a bounded time.
    pub async fn is_visible(&self, position: Position) -> bool {
        let mut progress = self.projector.progress();
        let reached = progress.wait_for(|progress| progress.position >= position);
        matches!(tokio::time::timeout(VISIBLE, reached).await, Ok(Ok(_)))
    }

    /// Like [`is_visible`](Self::is_visible), and logs a warning when they do not.
    pub async fn settle(&self, position: Position) {
        if !self.is_visible(position).await {
            tracing::warn!(
                "the change is in the event log, and readers do not see it yet: is a process with the role projector running?"
            );
        }
    }
}

/// The keys for a command that seals private keys. A data folder without a key gets one, unless a process runs in it.
///
/// # Errors
/// When there is none and none may be generated, since other processes would not have it; or when it is not that of the running process.
pub async fn sealing_keys(
    place: &Place,
    location: &StorageOptions,
    environment: &Environment,
) -> anyhow::Result<SealingKeys> {
    let Environment { config, ids, .. } = environment;
    if let Place::Storage(storage) = place
        && let Some(folder) = storage.folder()
    {
        let found = encryption_keys::find(config.encryption_keys.as_ref(), folder.path())?;
        encryption_keys::check(found.as_ref(), storage, folder.path(), Missing::IsMade).await?;
        return encryption_keys::ensure(config.encryption_keys.as_ref(), folder.path(), &**ids);
    }
    let keys = opening_keys(place, location, environment)?;
    if let Place::Running(process) = place {
        process.check_keys(keys.as_ref()).await?;
    }
    keys.with_context(|| format!("the encryption key is missing: {}", encryption_keys::HOW_TO_SET))
}

/// The keys that open private keys, if there are any.
///
/// # Errors
/// When the data folder's key cannot be read.
pub fn opening_keys(
    place: &Place,
    location: &StorageOptions,
    environment: &Environment,
) -> anyhow::Result<Option<SealingKeys>> {
    let folder = match place {
        Place::Storage(storage) => storage.folder().map_or(&*location.data_dir, |folder| folder.path()),
        Place::Running(process) => process.folder(),
    };
    encryption_keys::find(environment.config.encryption_keys.as_ref(), folder)
}
