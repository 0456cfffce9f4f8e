//! Gives tests an event log and a read model of their own, on SQLite and on Postgres, for use in development only.
//!
//! - [`Stores`]: a new folder or database, which goes when it is dropped. Its [`Location`] opens the stores, as often as a test has processes.
//! - [`Sql`]: a connection beside those of the service, for questions and changes that the service would not make.
//! - [`Engine`] and [`on_both_engines!`]: one test of each kind for each engine.
//! - [`soon()`] and [`eventually()`]: waits that end.
//!
//! A store that only some rooms know is opened by their own tests, beside these: in the folder, or in the database.
#![expect(clippy::missing_panics_doc, reason = "every helper of a test panics when a store refuses")]

mod engine;
mod location;
mod sql;
mod stores;
mod waiting;

pub use engine::Engine;
pub use location::Location;
pub use sql::Sql;
pub use stores::Stores;
pub use waiting::{LIMIT, eventually, soon};
