//! The bindings of a newer release of this crate, which brings a SQLite without the corruption by a WAL reset.

pub use current::*;
