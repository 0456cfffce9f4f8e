//! Gives tests a real Postgres, for use in development only.
//!
//! - [`database()`]: a fresh empty [`Database`] in the server that all tests share, named by the variable
//!   `HONOKEN_TEST_POSTGRES`. `scripts/with-postgres COMMAND` starts such a server, and `scripts/test` uses that.
//! - [`Cluster`]: a server of the test's own, for tests that stop, freeze and kill it. [`put_bytes()`]: damage as a disk does it.
//! - [`dump()`], [`restore()`], [`copy()`]: a database, moved as an operator would.
//!
//! The content of the databases is up to the tests; nothing here knows another crate of the workspace.

mod cluster;
mod database;
mod dump;
mod programs;

pub use cluster::Cluster;
pub use database::{Database, database, put_bytes};
pub use dump::{copy, dump, restore};
pub use programs::program;
