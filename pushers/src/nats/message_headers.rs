//! The headers of messages about changes.

/// The request that led to a change.
pub const REQUEST_ID: &str = "Honoken-Request-Id";

/// The header by which the broker recognises a message that it has already.
pub const MESSAGE_ID: &str = "Nats-Msg-Id";
