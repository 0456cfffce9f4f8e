//! Where an operator's command works: log and read model, opened for as long as it takes.
//!
//! On Postgres that is beside running processes, which see what it does at once. SQLite files have one process at a time, so there it is in the
//! service's storage.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use honoken_domain::sealed::SealingKeys;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Metadata, Position};
use honoken_projections::{Part, Projector, ReadModel};
use honoken_service::clock::Clock;
use honoken_service::commands::Commands;
use honoken_service::data_dir::Folder;
use honoken_service::encryption_keys;
use honoken_service::ids::{self, IdSource};
use honoken_service::storage::Storage;
use honoken_telemetry::metrics::Metrics;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Where the log and the read model are.
#[derive(Debug, Args)]
pub struct StorageOptions {
    /// The folder that the service uses: the SQLite files are in it, unless `DATABASE_URL` names another storage.
    #[arg(long, value_name = "DIR", default_value = "./honoken-data")]
    data_dir: PathBuf,
}

impl StorageOptions {
    /// The storage, which is not made where it is missing.
    ///
    /// # Errors
    /// When it is missing, or another process uses it.
    pub fn storage(&self, config: &Config) -> anyhow::Result<Storage> {
        if config.database.is_none() {
            must_exist(&self.data_dir)?;
        }
        Storage::of(config.database.as_ref(), &self.data_dir, || Ok(Arc::new(Folder::open(&self.data_dir)?)))
    }
}

/// A folder that is missing is a slip of the pen, and not to be made.
fn must_exist(folder: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        folder.is_dir(),
        "there is no folder {}; name the one that the service uses with --data-dir, or set DATABASE_URL",
        folder.display()
    );
    Ok(())
}

/// What a command needs besides its arguments.
pub struct Environment {
    /// The environment.
    pub config: Config,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random values.
    pub ids: Arc<dyn IdSource>,
}

/// Log and read model at hand.
pub struct Session {
    /// Carries commands to aggregates.
    pub dispatcher: Commands,
    /// Answers questions, and knew the whole log when it was opened.
    pub read_model: ReadModel,
    projector: Projector,
    metadata: Metadata,
}

/// A new log is made where there is none, or must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPresence {
    /// For what may be the first command ever.
    CreateIfMissing,
    /// For what asks or changes what is there.
    MustExist,
}

/// How long a command waits until readers see what it did.
const VISIBLE: Duration = Duration::from_secs(10);

impl Session {
    /// Opens log and read model, lets `work` work, and closes them whatever comes of it.
    ///
    /// # Errors
    /// When they cannot be opened, and those of `work`.
    pub async fn with<T>(
        storage: &Storage,
        log_presence: LogPresence,
        environment: &Environment,
        work: impl AsyncFnOnce(&Session) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if log_presence == LogPresence::MustExist {
            storage.must_have_a_log()?;
        }
        let Environment { config, clock, ids } = environment;
        let log = Arc::new(storage.open_log(&**ids).await?);
        let read_model = storage.open_read_model().await?;
        let stop = CancellationToken::new();
        let (projector, run) =
            Projector::start(log.clone(), Upcasters::current(), read_model.clone(), Part::Run, stop.clone())
                .await?;
        let running = tokio::spawn(run);
        let session = Self {
            dispatcher: Commands::new(log.clone(), Metrics::new(&config.identity)),
            read_model: read_model.clone(),
            projector,
            metadata: Metadata {
                actor: "operator:command-line".to_owned(),
                organization: None,
                request_id: ids::request_id(&**ids),
                urgent: false,
                recorded_at_ms: clock.unix_ms(),
            },
        };
        let head = *log.head().borrow();
        let worked = async {
            let about = "the read model does not follow the log: start a process with the role projector, and try again";
            anyhow::ensure!(session.is_visible(head).await, about);
            work(&session).await
        };
        let worked = worked.await;
        stop.cancel();
        running.await.context("the projector ended badly")?;
        read_model.close().await;
        drop(session);
        if let Some(log) = Arc::into_inner(log) {
            log.close().await;
        }
        worked
    }

    /// Who does what the command does, and when.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Waits until readers see everything up to a position; not for ever.
    pub async fn is_visible(&self, position: Position) -> bool {
        let mut progress = self.projector.progress();
        let reached = progress.wait_for(|progress| progress.position >= position);
        matches!(tokio::time::timeout(VISIBLE, reached).await, Ok(Ok(_)))
    }

    /// Like [`is_visible`](Self::is_visible), and says in the log when they do not.
    pub async fn settle(&self, position: Position) {
        if !self.is_visible(position).await {
            tracing::warn!(
                "it is in the log, and readers do not see it yet: is there a process with the role projector?"
            );
        }
    }
}

/// What seals private keys, for a command that seals. A folder without any gets a key of its own.
///
/// # Errors
/// When there is none and none may be made, since other processes would not have it.
pub fn sealing_keys(
    storage: &Storage,
    location: &StorageOptions,
    environment: &Environment,
) -> anyhow::Result<SealingKeys> {
    let Environment { config, ids, .. } = environment;
    match storage {
        Storage::Files(folder) => {
            encryption_keys::ensure(config.encryption_keys.as_ref(), folder.path(), &**ids)
        }
        Storage::Server(_) => encryption_keys::find(config.encryption_keys.as_ref(), &location.data_dir)?
            .with_context(|| format!("there is no encryption key: {}", encryption_keys::HOW_TO_SET)),
    }
}

/// What opens private keys, if there is anything.
///
/// # Errors
/// When the data folder's key cannot be read.
pub fn opening_keys(
    storage: &Storage,
    location: &StorageOptions,
    environment: &Environment,
) -> anyhow::Result<Option<SealingKeys>> {
    match storage {
        Storage::Files(folder) => {
            encryption_keys::find(environment.config.encryption_keys.as_ref(), folder.path())
        }
        Storage::Server(_) => {
            encryption_keys::find(environment.config.encryption_keys.as_ref(), &location.data_dir)
        }
    }
}
