//! Where the event log, the read model and the ledger of deliveries are: in files of a folder, or in a database of a Postgres server; the event log can
//! also be in a store of its own ([`crate::event_store`]). The futures are boxed for the reason that [`crate::stores`] gives.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use futures::future::BoxFuture;
use honoken_database::postgres;
use honoken_domain::sealed::Sealed;
use honoken_event_store::transfer::Target;
use honoken_event_store::{
    Epoch, EventLog, Log, Mark, Origin, PostgresLog, SecretEvent, SqliteLog, postgres as postgres_log,
    sqlite as sqlite_log,
};
use honoken_office::{self as office, Office};
use honoken_projections::{ReadModel, read_model};
use honoken_pushers::ledger::{self, Ledger};
use honoken_vault::{self as vault, Vault};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::data_dir::{Folder, ensure_private};
use crate::event_store::EventStore;
use crate::ids::{self, IdSource};

/// Which database was configured.
#[derive(Debug, Clone)]
pub enum Database {
    /// `sqlite:FOLDER`: in the files of this folder: event log, read model and deliveries.
    Folder(PathBuf),
    /// `postgres://USER:PASSWORD@HOST/DATABASE`: in a Postgres database. The URL may hold a password.
    Postgres(SecretString),
}

impl Database {
    /// Whether two of them are one. Two names of one server are not noticed.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let place = |url: &SecretString| {
            postgres::options(url.expose_secret()).map(|options| postgres::place(&options))
        };
        match (self, other) {
            (Self::Folder(one), Self::Folder(other)) => is_same(one, other),
            (Self::Postgres(one), Self::Postgres(other)) => match (place(one), place(other)) {
                (Ok(one), Ok(other)) => one == other,
                _ => false,
            },
            _ => false,
        }
    }
}

/// Where an event log, its read model and the ledger of deliveries are.
pub struct Storage {
    database: Opened,
    /// Where the event log is, if not in the database.
    event_store: Option<EventStore>,
}

/// The database.
enum Opened {
    /// Files in a folder that is locked for as long as this lives.
    Files(Arc<Folder>),
    /// One for any number of processes.
    Server(Box<Server>),
}

/// The database of a Postgres server.
pub struct Server {
    options: postgres::Options,
    /// The variable or the option that names it, for errors.
    setting: &'static str,
}

impl Deref for Server {
    type Target = postgres::Options;

    fn deref(&self) -> &Self::Target {
        &self.options
    }
}

impl Storage {
    /// The database that is configured, else the data folder, which `open` locks.
    ///
    /// # Errors
    /// When the folder cannot be used, or another process uses it.
    pub fn of(
        database: Option<&Database>,
        data_dir: &Path,
        open: impl FnOnce() -> anyhow::Result<Arc<Folder>>,
    ) -> anyhow::Result<Self> {
        Ok(match database {
            Some(Database::Folder(folder)) if is_same(folder, data_dir) => Self::in_folder(open()?),
            Some(database) => Self::new(database, "DATABASE_URL")?,
            None => Self::in_folder(open()?),
        })
    }

    /// The files of a folder.
    pub fn in_folder(folder: Arc<Folder>) -> Self {
        Self { database: Opened::Files(folder), event_store: None }
    }

    /// The same, with the event log elsewhere if there is such a place.
    #[must_use]
    pub fn with_log_in(mut self, event_store: Option<&EventStore>) -> Self {
        self.event_store = event_store.cloned();
        self
    }

    /// The folder with the files, where the database is one.
    pub fn folder(&self) -> Option<&Arc<Folder>> {
        match &self.database {
            Opened::Files(folder) => Some(folder),
            Opened::Server(_) => None,
        }
    }

    /// The server of the database, where it is on one.
    pub fn server(&self) -> Option<&Server> {
        match &self.database {
            Opened::Files(_) => None,
            Opened::Server(server) => Some(server),
        }
    }

    /// Where the event log is, if not in the database.
    pub fn event_store(&self) -> Option<&EventStore> {
        self.event_store.as_ref()
    }

    /// A database, or a folder, which is made where it is missing. `setting` is the variable or the option that names it.
    ///
    /// # Errors
    /// When the folder cannot be used, or another process uses it.
    pub fn new(database: &Database, setting: &'static str) -> anyhow::Result<Self> {
        let database = match database {
            Database::Postgres(url) => {
                let options = postgres::options(url.expose_secret())?;
                Opened::Server(Box::new(Server { options, setting }))
            }
            Database::Folder(folder) => Opened::Files(Arc::new(Folder::open(folder)?)),
        };
        Ok(Self { database, event_store: None })
    }

    /// Migrates the tables to the newest schema, and creates those that are missing.
    ///
    /// # Errors
    /// When the storage cannot be reached, or a migration fails.
    pub fn migrate<'a>(&'a self, ids: &'a dyn IdSource) -> BoxFuture<'a, anyhow::Result<()>> {
        Box::pin(async move {
            match &self.database {
                // Only this process uses the files, so they are migrated whenever they are opened.
                Opened::Files(_) => {
                    self.open_log(ids).await?.close().await;
                    self.open_read_model().await?.close().await;
                    self.open_ledger().await?.close().await;
                    self.open_vault().await?.close().await;
                    self.open_office().await?.close().await;
                }
                Opened::Server(options) => {
                    // Also where the event log is elsewhere: the tables stay empty.
                    on_server(options, postgres_log::migrate(options)).await?;
                    on_server(options, read_model::migrate(options)).await?;
                    on_server(options, ledger::migrate(options)).await?;
                    on_server(options, vault::migrate(options)).await?;
                    on_server(options, office::migrate(options)).await?;
                }
            }
            Ok(())
        })
    }

    /// Refuses a folder without an event log: another folder is meant, and no log is to be created.
    ///
    /// # Errors
    /// When there is none. For Postgres, opening the log finds that out.
    pub fn must_have_a_log(&self) -> anyhow::Result<()> {
        if let (Opened::Files(folder), None) = (&self.database, &self.event_store) {
            let folder = folder.path();
            anyhow::ensure!(
                folder.join(EVENTS).is_file(),
                "the folder {} holds no event log; name the folder that the service uses with --data-dir, or set DATABASE_URL",
                folder.display()
            );
        }
        Ok(())
    }

    /// What is known about the beginning of the event log. Nothing is made where there is none.
    ///
    /// # Errors
    /// When the storage cannot be reached or read.
    pub fn origin(&self) -> BoxFuture<'_, anyhow::Result<Origin>> {
        Box::pin(async move {
            if let Some(event_store) = &self.event_store {
                return event_store.origin().await;
            }
            match &self.database {
                Opened::Files(folder) => {
                    let file = folder.path().join(EVENTS);
                    if !file.is_file() {
                        return Ok(Origin::default());
                    }
                    sqlite_log::origin(&file).await.with_context(|| about(&file))
                }
                Opened::Server(options) => on_server(options, postgres_log::origin(options)).await,
            }
        })
    }

    /// What is sealed, in words, and the number of the key that it is sealed under. Nothing is made where there is none.
    ///
    /// # Errors
    /// When the storage cannot be reached or read.
    pub fn sealed_secrets(&self) -> BoxFuture<'_, anyhow::Result<Vec<(String, u32)>>> {
        Box::pin(async move {
            let (events, has_persons) = match (&self.event_store, &self.database) {
                (Some(event_store), database) => {
                    let has_persons = match database {
                        Opened::Files(folder) => folder.path().join(PERSON_KEYS).is_file(),
                        Opened::Server(_) => true,
                    };
                    (event_store.secret_events().await?, has_persons)
                }
                (None, Opened::Files(folder)) => {
                    let (file, persons) = (folder.path().join(EVENTS), folder.path().join(PERSON_KEYS));
                    if !file.is_file() {
                        return Ok(Vec::new());
                    }
                    let events = sqlite_log::secret_events(&file).await.with_context(|| about(&file))?;
                    (events, persons.is_file())
                }
                (None, Opened::Server(options)) => {
                    (on_server(options, postgres_log::secret_events(options)).await?, true)
                }
            };
            let mut sealed = of_events(events);
            if has_persons {
                let vault = self.open_vault().await?;
                let keys = vault.all().await;
                vault.close().await;
                let persons = keys?.into_iter();
                sealed
                    .extend(persons.map(|(pass, key)| (format!("the person of {pass}"), key.key_version())));
            }
            Ok(sealed)
        })
    }

    /// Leaves a mark in the event log, before it is opened.
    ///
    /// # Errors
    /// When the event log cannot be opened or written.
    pub fn put_mark(&self, mark: Mark) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            if let Some(event_store) = &self.event_store {
                return event_store.put_mark(mark).await;
            }
            match &self.database {
                Opened::Files(folder) => {
                    let file = private(folder, EVENTS)?;
                    sqlite_log::put_mark(&file, mark).await.with_context(|| about(&file))
                }
                Opened::Server(options) => on_server(options, postgres_log::put_mark(options, mark)).await,
            }
        })
    }

    /// Opens the event log.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_log<'a>(&'a self, ids: &'a dyn IdSource) -> BoxFuture<'a, anyhow::Result<Log>> {
        Box::pin(async move {
            if let Some(event_store) = &self.event_store {
                return event_store.open_log(ids).await;
            }
            let new_epoch = ids::epoch(ids);
            match &self.database {
                Opened::Files(folder) => {
                    let file = private(folder, EVENTS)?;
                    let log = SqliteLog::open(&file, new_epoch).await.with_context(|| about(&file))?;
                    Ok(Log::Sqlite(log))
                }
                Opened::Server(options) => {
                    Ok(Log::Postgres(on_server(options, PostgresLog::open(options, new_epoch)).await?))
                }
            }
        })
    }

    /// Opens the event log to fill it from another one. On a server it gets all tables of a service, so that one can start on it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_target<'a>(&'a self, ids: &'a dyn IdSource) -> BoxFuture<'a, anyhow::Result<Target>> {
        Box::pin(async move {
            if let Some(event_store) = &self.event_store {
                return event_store.open_target().await;
            }
            match &self.database {
                Opened::Files(folder) => {
                    let file = private(folder, EVENTS)?;
                    Target::in_file(&file).await.with_context(|| about(&file))
                }
                Opened::Server(options) => {
                    self.migrate(ids).await?;
                    on_server(options, Target::on_server(options)).await
                }
            }
        })
    }

    /// Opens the read model.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_read_model(&self) -> BoxFuture<'_, anyhow::Result<ReadModel>> {
        Box::pin(async move {
            match &self.database {
                Opened::Files(folder) => {
                    let file = private(folder, READ_MODEL)?;
                    ReadModel::in_file(&file).await.with_context(|| about(&file))
                }
                Opened::Server(options) => on_server(options, ReadModel::on_server(options)).await,
            }
        })
    }

    /// Opens the read model, if there is one: a folder need not have its file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn existing_read_model(&self) -> anyhow::Result<Option<ReadModel>> {
        match &self.database {
            Opened::Files(folder) if !folder.path().join(READ_MODEL).is_file() => Ok(None),
            Opened::Files(_) | Opened::Server(_) => self.open_read_model().await.map(Some),
        }
    }

    /// Opens the ledger of deliveries.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_ledger(&self) -> BoxFuture<'_, anyhow::Result<Ledger>> {
        Box::pin(async move {
            match &self.database {
                Opened::Files(folder) => {
                    let file = private(folder, DELIVERIES)?;
                    Ledger::in_file(&file).await.with_context(|| about(&file))
                }
                Opened::Server(options) => on_server(options, Ledger::on_server(options)).await,
            }
        })
    }

    /// Opens the keys of personal data.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub fn open_vault(&self) -> BoxFuture<'_, anyhow::Result<Vault>> {
        Box::pin(async move {
            match &self.database {
                Opened::Files(folder) => {
                    let file = private(folder, PERSON_KEYS)?;
                    Vault::in_file(&file).await.with_context(|| about(&file))
                }
                Opened::Server(options) => on_server(options, Vault::on_server(options)).await,
            }
        })
    }

    /// Opens the records of the operators' office.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub fn open_office(&self) -> BoxFuture<'_, anyhow::Result<Office>> {
        Box::pin(async move {
            match &self.database {
                Opened::Files(folder) => {
                    let file = private(folder, OFFICE)?;
                    Office::in_file(&file).await.with_context(|| about(&file))
                }
                Opened::Server(options) => on_server(options, Office::on_server(options)).await,
            }
        })
    }

    /// Says that the event log was restored from a backup: it gets another epoch, and what the ledger knows of lost events is forgotten. No
    /// process may be using it.
    ///
    /// # Errors
    /// When the event log or the ledger cannot be opened or written.
    pub async fn begin_anew(&self, ids: &dyn IdSource) -> anyhow::Result<Epoch> {
        let ledger = self.open_ledger().await?;
        let epoch = self.change_epoch(ids).await?;
        let log = self.open_log(ids).await?;
        // This is done while no process appends: positions of lost events that the ledger knows must not hide the new events at those
        // positions.
        let head = *log.head().borrow();
        ledger.follow_log(epoch, head).await?;
        log.close().await;
        ledger.close().await;
        Ok(epoch)
    }

    /// Gives the event log another epoch. No process may be using it.
    ///
    /// # Errors
    /// When the event log cannot be opened or written.
    pub fn change_epoch<'a>(&'a self, ids: &'a dyn IdSource) -> BoxFuture<'a, anyhow::Result<Epoch>> {
        Box::pin(async move {
            let epoch = ids::epoch(ids);
            if let Some(event_store) = &self.event_store {
                return event_store.change_epoch(epoch).await;
            }
            Ok(match &self.database {
                Opened::Files(folder) => sqlite_log::change_epoch(&private(folder, EVENTS)?, epoch).await?,
                Opened::Server(options) => {
                    on_server(options, postgres_log::change_epoch(options, epoch)).await?
                }
            })
        })
    }
}

/// The certificates and APNs keys that are in use after these events, and the keys that wait for a certificate.
fn of_events(events: Vec<SecretEvent>) -> Vec<(String, u32)> {
    let mut sealed = BTreeMap::new();
    for SecretEvent { aggregate_type, aggregate_id, event_type, payload } in events {
        let kind = if aggregate_type == "ApnsKey" { "the APNs key" } else { "the certificate of" };
        let (signs, waits) = (
            format!("{kind} {aggregate_id}"),
            format!("the key that waits for the certificate {aggregate_id}"),
        );
        let payload: Value = serde_json::from_str(&payload).unwrap_or_default();
        let payload = &payload[&event_type];
        if event_type == "CertificateRequestWithdrawn" || payload["requestedKey"].is_string() {
            sealed.remove(&waits);
        }
        if event_type.ends_with("Revoked") {
            sealed.remove(&signs);
        }
        let text = payload["privateKey"].as_str();
        if let Some(secret) = text.and_then(|text| Sealed::parse(text).ok()) {
            let what = if event_type.starts_with("CertificateRequest") { waits } else { signs };
            sealed.insert(what, secret.key_version());
        }
    }
    sealed.into_iter().collect()
}

/// Does something with a server. A failure names the variable, the server and, where it can be told, what to do.
async fn on_server<T, E: std::error::Error + Send + Sync + 'static>(
    server: &Server,
    work: impl Future<Output = Result<T, E>>,
) -> anyhow::Result<T> {
    work.await.map_err(|fault| {
        let (place, setting) = (postgres::place(server), server.setting);
        let about = match postgres::advice(&fault) {
            Some(advice) => format!("the database of {setting}, {place}, cannot be used: {advice}"),
            None => format!("the database of {setting}, {place}, cannot be used"),
        };
        anyhow::Error::new(fault).context(about)
    })
}

pub(crate) const EVENTS: &str = "events.sqlite";
pub(crate) const READ_MODEL: &str = "read_model.sqlite";
const DELIVERIES: &str = "deliveries.sqlite";
pub(crate) const PERSON_KEYS: &str = "person_keys.sqlite";
pub(crate) const OFFICE: &str = "office.sqlite";

/// The files that cannot be made again, in the order in which they are copied.
pub(crate) const FILES: [&str; 4] = [EVENTS, DELIVERIES, PERSON_KEYS, OFFICE];

/// A file that only its owner can read, whatever the mode of the folder: it holds authentication tokens.
fn private(folder: &Folder, name: &str) -> anyhow::Result<PathBuf> {
    let file = folder.path().join(name);
    ensure_private(&file).with_context(|| about(&file))?;
    Ok(file)
}

/// Whether two paths lead to the same folder. A path that does not exist yet is a different folder.
fn is_same(one: &Path, other: &Path) -> bool {
    one == other || one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

fn about(file: &Path) -> String {
    format!("could not open {}", file.display())
}
