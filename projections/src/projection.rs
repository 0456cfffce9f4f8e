//! The projection of this crate: its name, and the meaning that its tables have in this release.

/// The name under which this projection keeps its checkpoint; frozen.
pub const WALLET: &str = "wallet";

/// Raised when the tables change their meaning: those of another version are emptied and filled again at the next start.
pub const VERSION: i64 = 5;

/// Where processes tell each other how far the projection is.
pub(crate) const CHANNEL: &str = "honoken_read_model";
