//! The epoch of an event log: the beginning of its update tags.

use std::fmt;

use sha2::{Digest, Sha256};

/// Eight hex digits fixed when an event log is created. They begin every update tag, so that a tag of another event log is known as foreign. An
/// event log that was restored from a backup is another one: it may have lost positions that phones have seen, and gives them out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl Epoch {
    /// An epoch that is not this one: `drawn`, but for when that is how this one came to be.
    pub(crate) fn another(self, drawn: Self) -> Self {
        if drawn == self { Self(drawn.0.wrapping_add(1)) } else { drawn }
    }

    /// The epoch of a copy in which events have other positions: always the same one, so that an interrupted copy is known again.
    pub(crate) fn of_a_renumbered_copy(self) -> Self {
        let hash: [u8; 32] = Sha256::digest(self.to_string()).into();
        self.another(Self(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])))
    }

    /// Reads a stored epoch.
    pub(crate) fn parse(text: &str) -> sqlx::Result<Self> {
        u32::from_str_radix(text, 16).map(Self).map_err(|fault| sqlx::Error::Decode(Box::new(fault)))
    }
}

// The same on either engine.

/// Gives a new event log its epoch.
pub(crate) const CREATE: &str = "insert into log (id, epoch) values (1, $1) on conflict do nothing";

/// Gives an event log another epoch.
pub(crate) const CHANGE: &str =
    "insert into log (id, epoch) values (1, $1) on conflict (id) do update set epoch = excluded.epoch";

/// The epoch of an event log.
pub(crate) const READ: &str = "select epoch from log";

/// Gives an event log another epoch, unless another process has done so already.
pub(crate) const CHANGE_FROM: &str = "update log set epoch = $2 where epoch = $1";
