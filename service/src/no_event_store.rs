//! The event log on a server of its own, in a program that was built without the feature `full`: there is none.

use futures::future::BoxFuture;
use honoken_event_store::transfer::Target;
use honoken_event_store::{Epoch, Log, Mark, Origin, SecretEvent};

use crate::ids::IdSource;

/// None: [`EventStore::parse`] refuses every URL.
#[derive(Debug, Clone)]
pub enum EventStore {}

impl EventStore {
    /// Refuses a URL.
    ///
    /// # Errors
    /// Always, as a part of a sentence.
    pub fn parse(_: &str, _: &'static str) -> Result<Self, String> {
        Err("needs a program with the feature `full`, which released ones have: build it with `cargo build --release --features full`, or keep the event \
             log in the database and unset it"
            .to_owned())
    }

    /// Whether two of them are one event log.
    pub fn is_same_place(&self, _: &Self) -> bool {
        match *self {}
    }

    /// The server.
    pub fn place(&self) -> String {
        match *self {}
    }

    /// Opens the event log.
    ///
    /// # Errors
    /// None.
    pub fn open_log<'a>(&'a self, _: &'a dyn IdSource) -> BoxFuture<'a, anyhow::Result<Log>> {
        match *self {}
    }

    /// Opens the event log to fill it from another one.
    ///
    /// # Errors
    /// None.
    pub fn open_target(&self) -> BoxFuture<'_, anyhow::Result<Target>> {
        match *self {}
    }

    pub(crate) fn origin(&self) -> BoxFuture<'_, anyhow::Result<Origin>> {
        match *self {}
    }

    pub(crate) fn secret_events(&self) -> BoxFuture<'_, anyhow::Result<Vec<SecretEvent>>> {
        match *self {}
    }

    pub(crate) fn put_mark(&self, _: Mark) -> BoxFuture<'_, anyhow::Result<()>> {
        match *self {}
    }

    pub(crate) fn change_epoch(&self, _: Epoch) -> BoxFuture<'_, anyhow::Result<Epoch>> {
        match *self {}
    }
}
