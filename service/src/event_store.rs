//! The event log on a server of its own (`HONOKEN_EVENT_STORE_URL`), while read model, ledger and all else stay in the database. The futures are boxed for
//! the reason that [`crate::stores`] gives.

use anyhow::Context;
use futures::future::BoxFuture;
use honoken_event_store::kurrentdb::{self, Address};
use honoken_event_store::transfer::Target;
use honoken_event_store::{Epoch, KurrentLog, Log, LogError, Mark, Origin, SecretEvent};

use crate::ids::{self, IdSource};

/// A KurrentDB or EventStoreDB server, and the streams on it that are one event log.
#[derive(Debug, Clone)]
pub struct EventStore {
    address: Address,
    /// The variable or the option that names it, for errors.
    setting: &'static str,
}

impl EventStore {
    /// Reads a URL, such as `esdb://USER:PASSWORD@HOST:2113?tls=true&prefix=honoken`. `setting` is the variable or the option that has it.
    ///
    /// # Errors
    /// The fault as a part of a sentence, which does not repeat the URL.
    pub fn parse(url: &str, setting: &'static str) -> Result<Self, String> {
        Ok(Self { address: Address::parse(url)?, setting })
    }

    /// Whether two of them are one event log. Two names of one server are not noticed.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.address.is_same_place(&other.address)
    }

    /// The servers and the streams, without secrets.
    pub fn place(&self) -> String {
        self.address.to_string()
    }

    /// Opens the event log.
    ///
    /// # Errors
    /// When the server cannot be reached within half a minute.
    pub fn open_log<'a>(&'a self, ids: &'a dyn IdSource) -> BoxFuture<'a, anyhow::Result<Log>> {
        Box::pin(async move {
            let opened = KurrentLog::open(&self.address, ids::epoch(ids)).await;
            Ok(Log::Kurrentdb(self.named(opened)?))
        })
    }

    /// Opens the event log to fill it from another one.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn open_target(&self) -> BoxFuture<'_, anyhow::Result<Target>> {
        Box::pin(async move { self.named(Target::on_kurrentdb(&self.address).await) })
    }

    pub(crate) fn origin(&self) -> BoxFuture<'_, anyhow::Result<Origin>> {
        Box::pin(async move { self.named(kurrentdb::origin(&self.address).await) })
    }

    pub(crate) fn secret_events(&self) -> BoxFuture<'_, anyhow::Result<Vec<SecretEvent>>> {
        Box::pin(async move { self.named(kurrentdb::secret_events(&self.address).await) })
    }

    pub(crate) fn put_mark(&self, mark: Mark) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move { self.named(kurrentdb::put_mark(&self.address, mark).await) })
    }

    pub(crate) fn change_epoch(&self, epoch: Epoch) -> BoxFuture<'_, anyhow::Result<Epoch>> {
        Box::pin(async move { self.named(kurrentdb::change_epoch(&self.address, epoch).await) })
    }

    /// A failure names the variable and the server.
    fn named<T>(&self, outcome: Result<T, LogError>) -> anyhow::Result<T> {
        outcome
            .with_context(|| format!("the event store of {}, {}, cannot be used", self.setting, self.address))
    }
}
