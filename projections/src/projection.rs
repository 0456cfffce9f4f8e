//! The projection of this crate: its name, the version of its tables and its channel.

/// The name of the projection, under which its checkpoint is stored. It never changes.
pub const WALLET: &str = "wallet";

/// The version of the tables, to be raised when their meaning changes: tables of another version are emptied and filled again at the next start.
pub const VERSION: i64 = 5;

/// The channel of `NOTIFY` on which processes tell each other how far the projection is.
pub(crate) const CHANNEL: &str = "honoken_read_model";
