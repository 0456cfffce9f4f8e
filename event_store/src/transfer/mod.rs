//! Event logs on the move: from one engine to another ([`Copying`]), into a file and out of one ([`ndjson`]).
//!
//! Events go as they are stored ([`StoredEvent`]): positions and texts stay, so tags of phones and hashes are the same on either side, and the log
//! at the other end has the epoch of the first. To and from KurrentDB, where positions are the server's, events are numbered from 1 on instead, and the
//! copy has another epoch. While a log is being filled it has a mark by which everything else refuses it.

mod checksum;
mod copying;
mod error;
pub mod ndjson;
mod stored_event;
mod target;

pub use checksum::Checksum;
pub use copying::Copying;
pub use error::TransferError;
#[cfg(feature = "kurrentdb")]
pub(crate) use stored_event::BATCH_BYTES;
pub use stored_event::StoredEvent;
pub(crate) use stored_event::{BATCH_ROWS, batch};
pub use target::Target;

use crate::epoch::Epoch;
use crate::marks::Mark;
use crate::position::Position;

/// What an event log says of itself beside its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The beginning of its update tags.
    pub epoch: Epoch,
    /// Which commands have run on it.
    pub marks: Vec<Mark>,
    /// Whether its positions are the numbers of its events, from 1 on.
    pub is_gapless: bool,
}

/// Gives events the numbers that they have in their log, in the place of their positions.
pub(crate) fn number(events: &mut [StoredEvent], before: u64) {
    for (event, number) in events.iter_mut().zip(before + 1..) {
        event.position = Position(number);
    }
}
