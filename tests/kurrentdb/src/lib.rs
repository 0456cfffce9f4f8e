//! Gives tests a KurrentDB, for use in development only: a stand-in, or the real server that `HONOKEN_TEST_KURRENTDB` names.
//!
//! [`Kurrent`] is what a test begins with; `kurrentdb-stand-in` is the stand-in as a program, for clients in other languages. The stand-in
//! keeps everything in memory. Its messages are generated from the protocol files that the official client ships, and it answers as the source
//! of KurrentDB does, down to trailers, fields for older clients and the places of checkpoints. The official clients for Rust, Python and
//! JavaScript work with it unchanged (`tests/kurrentdb/main.rs`, `scripts/kurrentdb-clients`).
//!
//! Served are `Streams` (`Read` with subscriptions and filters, `Append`, `BatchAppend`, `Delete`, `Tombstone`), `Gossip.Read` and
//! `ServerFeatures.GetSupportedMethods`. Left out, so that nothing is learnt about it here:
//!
//! - Users and access rights: without TLS it is like a server that was started with `--insecure` and lets everybody do everything; with TLS
//!   there is one user, who may do everything.
//! - Followers: one node, which leads. `not-leader` comes only if a test asks for it.
//! - Links are read as they are, whatever `resolve_links` says. Projections, persistent subscriptions, operations, monitoring, appends to
//!   several streams at once and everything over HTTP are missing.
//! - Metadata of a stream: `$maxCount` and `$tb` count; `$maxAge`, `$cacheControl` and `$acl` do not. Nothing is scavenged.
//! - Event ids are remembered for ever, at the real server as many as its cache holds.
//! - One limit on the size of an append, none on that of an event. Calls over one connection are limited as at the real server.
//! - Time, disks and restarts: nothing is slow, nothing is written to disk, and a server that stops cuts its connections.

#![expect(clippy::result_large_err, reason = "the library of gRPC wants its statuses unboxed")]

mod errors;
mod faults;
mod features;
mod filter;
mod kurrent;
mod log;
mod protocol;
mod server;
mod stand_in;
mod state;
mod streams;
mod tls;
mod wire;

pub use faults::Refusal;
pub use kurrent::{Kurrent, VARIABLE};
pub use stand_in::StandIn;
