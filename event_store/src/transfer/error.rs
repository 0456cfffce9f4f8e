//! Why an event log could not be moved.

use crate::epoch::Epoch;
use crate::error::LogError;
use crate::position::Position;

/// Why an event log could not be moved. What was moved until then stays, and the same command goes on behind it.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// One of the two is unavailable, or has an event that cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log that is to be filled has been used already.
    #[error(
        "the event log to fill is not empty, and no copy of this one: its update tags begin with {theirs}, these with {ours}"
    )]
    Another {
        /// The epoch of the log that is to be filled.
        theirs: Epoch,
        /// That of the log that it would be filled from.
        ours: Epoch,
    },
    /// A service ran on the log that is to be filled before it had an event.
    #[error(
        "the event log to fill is empty, but a service has been started on it: stop it, and name an empty database or a new folder"
    )]
    Used,
    /// The log that is to be filled was a copy, and has gone on by itself.
    #[error(
        "the event log to fill has an event at position {0} that this one does not have: it has gone on by itself, and cannot be filled any more"
    )]
    HasGoneOn(Position),
    /// What was written is not what was read.
    #[error("the copy differs from its original somewhere from position {from} to {to}")]
    Differs {
        /// The position before the first that may differ.
        from: Position,
        /// The last that may.
        to: Position,
    },
    /// A stream does not have all of its events.
    #[error("the events of {0} are not numbered from 1 on without a gap")]
    Gap(String),
    /// A line of an exported log is not one.
    #[error("line {line}: {detail}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// The fault and what is expected.
        detail: String,
    },
    /// The file, or the pipe, could not be read or written.
    #[error("the exported event log could not be read or written")]
    Stream(#[from] std::io::Error),
}
