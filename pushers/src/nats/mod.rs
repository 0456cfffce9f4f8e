//! NATS with JetStream between the event log and the processes that push.
//!
//! - [`connection`]: one connection per process, which comes back by itself. [`stream`]: the stream `HONOKEN` and its consumers, created or
//!   checked, also after an operator has deleted them. `reasons`: why a server cannot be used.
//! - [`relay`]: from the event log to the stream. [`feed`]: from the stream to the push subscriber. [`message_headers`]: the headers of a message.
//!
//! The broker is a courier, not a record: messages that it loses are published again from the event log, by the relay's sweep.

pub mod connection;
pub mod feed;
pub mod message_headers;
pub mod relay;
pub mod stream;

mod reasons;

pub use connection::{Nats, NatsError, NatsOptions, NatsTls};
pub use feed::JetStreamFeed;
pub use relay::{Relay, RelaySettings};
