//! The log: append with optimistic concurrency, load a stream, read all in order.
