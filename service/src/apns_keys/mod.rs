//! APNs keys (`.p8`): read, sealed, and installed from the environment.
//!
//! - [`mod@file`]: the file that Apple gives out for download
//! - [`seal`]: the key as an event may hold it
//! - [`standing`]: which of them pushes are sent with
//! - [`at_start`]: the key that the environment names

pub mod at_start;
pub mod file;
pub mod seal;
pub mod standing;
