//! Commands of operators beside a running process: on SQLite that process has the files, so a command reads them and appends over a socket in the
//! folder ([`append_socket`]). On Postgres every process writes, and no socket is needed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use futures::future::BoxFuture;
use honoken_domain::sealed::{Sealed, SealingKeys};
use honoken_event_store::append_socket::{self, Greeting};
use honoken_event_store::{Log, Position, SqliteLog};
use honoken_office::Office;
use honoken_projections::{Projector, ReadModel};
use honoken_telemetry::error_chain;
use honoken_vault::Vault;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::data_dir::{self, Folder};
use crate::event_store::EventStore;
use crate::ids::{self, IdSource};
use crate::limits::VISIBLE;
use crate::service::Service;
use crate::storage::{EVENTS, OFFICE, PERSON_KEYS, READ_MODEL};

/// The socket in the folder.
const SOCKET: &str = "honoken.sock";

/// The owner and the content of the sealed text that shows which encryption key a process has.
const SHOWN: &str = "commands of operators";

/// The release of a program that takes or gives commands.
pub type Release = &'static str;

/// The place of a process where commands of operators come in.
pub struct Entrance {
    listener: UnixListener,
    socket: PathBuf,
    greeting: Greeting,
    log: Arc<Log>,
    projector: Projector,
}

impl Entrance {
    /// Opens it in the folder of a service. Without it the service runs all the same: `None`, and a warning.
    pub fn open(folder: &Folder, service: &Service, release: Release) -> Option<Self> {
        let socket = folder.path().join(SOCKET);
        let listener = match append_socket::listen(&socket) {
            Ok(listener) => listener,
            Err(fault) => {
                tracing::warn!(
                    error = error_chain(&fault),
                    "could not listen on {}: commands such as `honoken keys` work only while this process is stopped",
                    socket.display()
                );
                return None;
            }
        };
        let sealed = service.keys.as_ref().map(|keys| shown_key(keys, &*service.ids));
        Some(Self {
            listener,
            socket,
            greeting: Greeting { release: release.to_owned(), sealed },
            log: service.stores.log.clone(),
            projector: service.stores.projector.clone(),
        })
    }

    /// Takes what commands append until `stop`. Each is answered when readers see it, or after two seconds.
    pub async fn answer(self, stop: CancellationToken) {
        let Self { listener, socket, greeting, log, projector } = self;
        let shown = move |position: Position| {
            let mut progress = projector.progress();
            async move {
                let reached = progress.wait_for(|progress| progress.position >= position);
                let _ = tokio::time::timeout(VISIBLE, reached).await;
            }
        };
        append_socket::serve(listener, log, greeting, shown, stop).await;
        if let Err(fault) = data_dir::remove_if_there(&socket) {
            tracing::debug!(error = error_chain(&fault), "the socket of commands was not removed");
        }
    }
}

fn shown_key(keys: &SealingKeys, ids: &dyn IdSource) -> String {
    keys.seal(SHOWN.as_bytes(), SHOWN, ids::nonce(ids)).as_str().to_owned()
}

/// A process that has a folder, as a command of an operator sees it.
#[derive(Debug)]
pub struct RunningProcess {
    folder: PathBuf,
    /// Where the event log is, if not in the folder.
    event_store: Option<EventStore>,
    release: Release,
}

impl RunningProcess {
    /// The process that has this folder, and its event log elsewhere if there is such a place.
    pub fn of(folder: &Path, event_store: Option<&EventStore>, release: Release) -> Self {
        Self { folder: folder.to_owned(), event_store: event_store.cloned(), release }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its event log, to read beside it and to append over its socket; a store of its own takes appends from every process.
    ///
    /// # Errors
    /// When the process does not answer, or is of another release; the sentence says what to do.
    pub fn open_log<'a>(&'a self, ids: &'a dyn IdSource) -> BoxFuture<'a, anyhow::Result<Log>> {
        Box::pin(async move {
            if let Some(event_store) = &self.event_store {
                self.greeting().await?;
                return event_store.open_log(ids).await;
            }
            let opened = SqliteLog::beside_its_process(&self.folder.join(EVENTS), &self.socket()).await;
            let (log, greeting) = opened.with_context(|| self.takes_no_command())?;
            self.must_be_of_this_release(&greeting)?;
            Ok(Log::Sqlite(log))
        })
    }

    async fn greeting(&self) -> anyhow::Result<Greeting> {
        let greeting =
            append_socket::greeting(&self.socket()).await.with_context(|| self.takes_no_command())?;
        self.must_be_of_this_release(&greeting)?;
        Ok(greeting)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join(SOCKET)
    }

    fn takes_no_command(&self) -> String {
        format!(
            "another process is using {}, and takes no command: stop it and try again",
            self.folder.display()
        )
    }

    fn must_be_of_this_release(&self, greeting: &Greeting) -> anyhow::Result<()> {
        let Self { folder, release, .. } = self;
        anyhow::ensure!(
            greeting.release == *release,
            "the process that uses {} is Honoken {}, and this program is {release}: use the same program, or stop the process and try again",
            folder.display(),
            greeting.release
        );
        Ok(())
    }

    /// Its read model, to read beside it.
    ///
    /// # Errors
    /// When it cannot be found out which of its copies is the live one.
    pub async fn open_read_model(&self) -> anyhow::Result<ReadModel> {
        let file = self.folder.join(READ_MODEL);
        let opened = ReadModel::beside_its_process(&file).await;
        opened.with_context(|| format!("could not open {}", file.display()))
    }

    /// The records of its office, to write beside it.
    pub fn open_office(&self) -> Office {
        Office::beside_its_process(&self.folder.join(OFFICE))
    }

    /// Its keys of personal data, to read beside it.
    pub fn open_vault(&self) -> Vault {
        Vault::beside_its_process(&self.folder.join(PERSON_KEYS))
    }

    /// Refuses keys that are not those of the process: what a command seals would not open there.
    ///
    /// # Errors
    /// When it does not answer, or seals under another key; the sentence says what to do.
    pub async fn check_keys(&self, keys: Option<&SealingKeys>) -> anyhow::Result<()> {
        let greeting = self.greeting().await?;
        let theirs = greeting.sealed.map(Sealed::parse).transpose();
        let theirs = theirs.context("the running process shows a key that cannot be read")?;
        let is_same = match (keys, &theirs) {
            (Some(keys), Some(sealed)) => {
                keys.current() == sealed.key_version() && keys.open(sealed, SHOWN).is_ok()
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let number =
            theirs.map_or_else(|| "no key".to_owned(), |sealed| format!("key {}", sealed.key_version()));
        anyhow::ensure!(
            is_same,
            "the running process seals under {number}, and this command does not have the same: set the HONOKEN_ENCRYPTION_KEY_… variables of the process \
             for this command too"
        );
        Ok(())
    }
}
