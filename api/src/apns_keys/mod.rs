//! `honoken apns-keys`: the keys that pushes are authenticated with.
//!
//! - `file.rs`: what Apple gives you
pub mod file;
