//! Why the event log could not be used, or an append did not happen.

use std::str::Utf8Error;

use honoken_database::MigrationError;
use sqlx::error::BoxDynError;

use crate::event::RecordedEvent;

/// Why an append did not happen.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The stream has grown since it was loaded.
    #[error("the stream has grown since it was loaded")]
    Conflict,
    /// The store did not take it: nothing was written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The commit was sent and not answered, and the store cannot be asked for its fate. Repeating the command is safe, since it is decided on
    /// the state of then.
    #[error("the commit was not answered, and its result is not known")]
    Unknown(#[source] BoxDynError),
}

/// Why the event log could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store is unavailable, full or broken.
    #[error("the event log could not be {doing}")]
    Unavailable {
        /// The operation that failed.
        doing: &'static str,
        /// The driver's reason.
        #[source]
        source: BoxDynError,
    },
    /// The tables are not there, or of an older release.
    #[error("the event log could not be opened")]
    Schema(#[from] MigrationError),
    /// It is being filled, so it lacks events.
    #[error(
        "the event log is not complete: `honoken log copy` or `honoken log import` is filling it, or was interrupted; let the same command come to its end, or name another place"
    )]
    Filling,
    /// The event log has been closed.
    #[error("the event log is closed")]
    Closed,
    /// A stored row is not one that this service writes.
    #[error("the event at position {} is not readable", .event.position)]
    Unreadable {
        /// The known parts of it: all but its payload and metadata, which are null. Text that is not UTF-8 has replacement characters.
        event: Box<RecordedEvent>,
        /// Why.
        #[source]
        source: Unreadable,
    },
}

impl LogError {
    /// The store is unavailable, full or broken.
    pub(crate) fn unavailable<E: Into<BoxDynError>>(doing: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Unavailable { doing, source: source.into() }
    }
}

/// Why a stored event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A column is not text.
    #[error("its column `{column}` is not UTF-8")]
    NotText {
        /// Which.
        column: &'static str,
        /// Where in it.
        #[source]
        source: Utf8Error,
    },
    /// A column is text, and not JSON.
    #[error("its column `{column}` is not JSON")]
    NotJson {
        /// Which.
        column: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}
