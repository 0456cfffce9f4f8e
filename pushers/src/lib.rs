//! From a change to the phone.
//!
//! - [`message`]: the message about a change. [`feed`]: where the push subscriber gets it from, NATS or the event log itself.
//! - [`nats`]: the broker between processes.
//! - [`source`]: from the event log to messages, never ahead of what readers see. [`sweep`]: messages that never arrived are published again.
//! - [`ports`]: the world outside the subscriber: APNs, credentials, and the domain, which is told that a token is dead.
//! - [`ledger`]: which phones are to be pushed to for which state, and the results. [`subscriber`]: from messages to the ledger, and from there
//!   to phones.
//! - [`apns`]: the client of APNs. [`dedicated_thread`]: the thread that it runs on.
//! - [`outcome`]: the outcome of one push, decided from APNs' answer. [`labels`]: the words of this crate in metrics.
//!
//! This crate does not know HTTP routes, and it writes neither the event log nor the read model.

pub mod apns;
pub mod dedicated_thread;
pub mod feed;
pub mod labels;
pub mod ledger;
pub mod message;
pub mod nats;
pub mod outcome;
pub mod ports;
pub mod source;
pub mod subscriber;
pub mod sweep;

mod clock_jumps;
