//! The commands of operators.
//!
//! - [`session`]: the stores, opened for one command; [`mod@print`]: printing; [`list`]: lists; [`progress`]: progress bars; [`user`]: the person who runs a command
//! - [`database`]: `migrate`, `rebuild`; [`log`]: copies, exports and imports of the event log; [`backup`] and [`restore`]
//! - [`blobs`]: images between stores, and those that nothing refers to
//! - [`certs`], [`apns_keys`], [`keys`]: certificates, APNs keys, API keys and encryption keys

pub mod apns_keys;
pub mod backup;
pub mod blobs;
pub mod certs;
pub mod database;
pub mod keys;
pub mod list;
pub mod log;
pub mod print;
pub mod progress;
pub mod rebuild;
pub mod resealing;
pub mod restore;
pub mod session;
pub mod user;
