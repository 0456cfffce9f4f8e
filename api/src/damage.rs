//! An event that cannot be read stops everything that was to be decided on it: the words for callers.

use std::error::Error;

/// The remedy that every kind of stream has.
const FIX: &str = "An operator has to run the release that wrote the event, or restore the event log from the backup and run `honoken log restored`";

/// A stream of which an event cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("an event of {stream} cannot be read")]
pub struct Damage {
    /// The subject of the stream, in words; a device shortened.
    stream: String,
    /// A remedy that does not need a backup, as the end of a sentence; empty if there is none.
    otherwise: &'static str,
    #[source]
    cause: Box<dyn Error + Send + Sync>,
}

impl Damage {
    /// Only a backup, or another release, helps.
    pub fn of(stream: String, cause: Box<dyn Error + Send + Sync>) -> Self {
        Self { stream, otherwise: "", cause }
    }

    /// An operator may also do this instead.
    #[must_use]
    pub fn or(self, otherwise: &'static str) -> Self {
        Self { otherwise, ..self }
    }

    /// The stream, the place of the event and the remedies. The reason of a parser may quote the event, and is only in the log output.
    pub fn detail(&self) -> String {
        let Self { stream, otherwise, cause } = self;
        format!(
            "An event of {stream} cannot be read ({cause}), so it stays as it is and takes no change. {FIX}{otherwise}."
        )
    }
}
