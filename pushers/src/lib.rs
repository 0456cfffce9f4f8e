//! From a change to the phone.
//!
//! - [`message`]: what is said about a change. [`feed`]: where the push subscriber gets it from, NATS or the log itself.
//! - [`ports`]: what the subscriber needs from outside: APNs, credentials, and somebody to tell that a token is dead.
//! - [`apns`]: the client of APNs.
//! - [`outcome`]: what became of one push, decided from APNs' answer.
//!
//! This crate does not know HTTP routes, and it writes neither the log nor the read model.

pub mod apns;
pub mod feed;
pub mod message;
pub mod outcome;
pub mod ports;
