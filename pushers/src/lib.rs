//! From a change to the phone.
//!
//! - [`message`]: what is said about a change. [`feed`]: where the push subscriber gets it from, NATS or the log itself.
//! - [`nats`]: the broker between processes.
//! - [`source`]: from the log to messages, never ahead of what readers see. [`sweep`]: what never arrived is said again.
//! - [`ports`]: what the subscriber needs from outside: APNs, credentials, and somebody to tell that a token is dead.
//! - [`ledger`]: who is to be woken for what, and what became of it. [`subscriber`]: from messages to the ledger, and from there to phones.
//! - [`apns`]: the client of APNs. [`apart`]: the thread that it runs on.
//! - [`outcome`]: what became of one push, decided from APNs' answer.
//!
//! This crate does not know HTTP routes, and it writes neither the log nor the read model.

pub mod apart;
pub mod apns;
pub mod feed;
pub mod ledger;
pub mod message;
pub mod nats;
pub mod outcome;
pub mod ports;
pub mod source;
pub mod subscriber;
pub mod sweep;

mod clock_jumps;
