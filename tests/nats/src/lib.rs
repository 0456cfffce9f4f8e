//! Gives tests a real NATS server with JetStream, for use in development only.
//!
//! A [`Server`] belongs to one test, which may stop, kill and start it again; `scripts/test` installs the program. What is said on it is up
//! to the tests; nothing here knows another crate of the workspace.

mod program;
mod server;

pub use server::Server;
