//! NATS with JetStream between the log and those who wake phones.
//!
//! - [`connection`]: one connection per process, which comes back by itself. [`stream`]: the stream `HONOKEN` and its consumers, created or
//!   checked, also after somebody has deleted them.
//! - [`relay`]: from the log to the stream. [`feed`]: from the stream to the push subscriber. [`message_headers`]: what both know a message by.
//!
//! The broker is a courier, not a record: whatever it loses, the relay's sweep says again from the log.

pub mod connection;
pub mod feed;
pub mod message_headers;
pub mod relay;
pub mod stream;

pub use connection::{Nats, NatsError, NatsOptions};
pub use feed::JetStreamFeed;
pub use relay::{Relay, RelaySettings};
