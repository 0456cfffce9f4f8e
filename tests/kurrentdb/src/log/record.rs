//! What one record of the log holds, and how many bytes it takes there.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

/// The bytes of a record beside its names and its contents: lengths, kind, version, flags, positions, ids and time.
const FIXED_BYTES: u64 = 90;

/// The number that a tombstone has in its stream.
pub(crate) const TOMBSTONE: u64 = i64::MAX.unsigned_abs();

/// A place in `$all` as the protocol says it. An event stands at the place whose halves are both its first byte; checkpoints of a
/// subscription have places between events, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Where the transaction was committed, in bytes.
    pub(crate) commit: u64,
    /// Where the event was prepared, in bytes.
    pub(crate) prepare: u64,
}

impl Place {
    /// The first byte of the log.
    pub(crate) const FIRST: Place = Place { commit: 0, prepare: 0 };

    /// The place of the event that begins at a byte.
    pub(crate) fn of(byte: u64) -> Self {
        Place { commit: byte, prepare: byte }
    }
}

/// What a client asks to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    pub(crate) id: Uuid,
    pub(crate) event_type: String,
    pub(crate) is_json: bool,
    pub(crate) data: Bytes,
    pub(crate) metadata: Bytes,
}

impl Proposal {
    /// The bytes that count against the limits of an append: a letter of the type counts twice.
    pub(crate) fn size(&self) -> usize {
        self.data.len() + self.metadata.len() + 2 * self.event_type.encode_utf16().count()
    }
}

/// Who sees a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// Readers of its stream and of `$all`.
    Event,
    /// Nobody: it takes a place in the log, and that is all.
    Hidden,
}

/// One record, as it stands in the log.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Its first byte.
    pub(crate) position: u64,
    pub(crate) stream: Arc<str>,
    pub(crate) revision: u64,
    /// In steps of 100 ns since 1970.
    pub(crate) created: u64,
    pub(crate) visibility: Visibility,
    pub(crate) event: Proposal,
    /// How many bytes it takes; they stay the same when its contents are damaged.
    size: u64,
}

impl Record {
    pub(crate) fn new(position: u64, stream: Arc<str>, revision: u64, created: u64, event: Proposal) -> Self {
        let contents = event.data.len() + event.metadata.len() + event.event_type.len() + stream.len();
        let size = FIXED_BYTES + contents as u64;
        Record { position, stream, revision, created, visibility: Visibility::Event, event, size }
    }

    /// The first byte behind it.
    pub(crate) fn end(&self) -> u64 {
        self.position + self.size
    }

    pub(crate) fn place(&self) -> Place {
        Place::of(self.position)
    }
}
