//! APNs keys (`.p8`): read, sealed, and installed from the environment.
//!
//! - [`mod@file`]: the file that Apple gives out for download
//! - [`seal`]: the key as an event may hold it
//! - [`at_start`]: the key that the environment names

pub mod at_start;
pub mod file;
pub mod seal;
