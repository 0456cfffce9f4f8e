//! The projection of this crate: its name, the version of its tables, its lease and its channel.

use honoken_database::lease::Lease;

/// The name of the projection, under which its checkpoint is stored. It never changes.
pub const WALLET: &str = "wallet";

/// The version of the tables, to be raised when their meaning changes: tables of another version are emptied and filled again at the next start.
pub const VERSION: i64 = 9;

/// The right to write the tables, in the row of the checkpoint. A release with an older version of the tables does not take it, since it would empty
/// those of a newer release.
pub(crate) const LEASE: Lease =
    Lease::new("projection_checkpoint", "projection", WALLET, 5).of_version(VERSION);

/// The channel of `NOTIFY` on which processes tell each other how far the projection is.
pub(crate) const CHANNEL: &str = "honoken_read_model";
