//! The end of a connection.

/// The connection ends: the client has left or has broken a rule of HTTP/2, or the test wants it to end.
pub(super) struct Over;
