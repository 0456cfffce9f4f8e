//! From the event log to the read model, and the questions asked of it.
//!
//! - `projector/` applies the events of the event log, in one of several processes: [`Projector`] is the handle.
//! - `copies/` holds the copies of the tables, and `rebuild/` fills one beside the live one and lets it take over: [`Filler`].
//! - `tables/` holds the writes: one file for each table, with the effects of events on it.
//! - `questions/` holds the reads, methods of [`ReadModel`]: one file for each subject, with the types of its answers.
//! - `rows/` holds the rows and columns that more than one of these reads or writes.
//! - [`read_model`] opens the read model, `migrations.rs` makes its tables, `row_cache.rs` keeps hot rows in memory, [`words`] are those by which a pass is found, and
//!   `projection.rs` holds the name and the version of the projection.
//!
//! Imports point one way: `projector` to `tables` to `rows`, and `questions` to `rows`. The statements run on either engine
//! (`honoken_database::statements`).
//!
//! No other crate writes these tables: every function that does is private to this one. This crate does not know HTTP, NATS or Apple.

pub mod read_model;
pub mod words;

mod copies;
mod migrations;
mod projection;
mod projector;
mod query_error;
mod questions;
mod rebuild;
mod row_cache;
mod rows;
mod tables;

pub use copies::directory::{Copy, CopyComparison, CopyDirectory, CopyError, CopyState};
pub use projection::{VERSION, WALLET};
pub use projector::comparison::{Comparison, compare_with_fresh};
pub use projector::handle::Projector;
pub use projector::lease::Part;
pub use projector::operation::OperationError;
pub use projector::progress::{AggregateKey, Progress};
pub use query_error::QueryError;
pub use questions::{
    apns_keys, certificates, jobs, organizations, parked_events, pass_heads, pass_holders, pass_list,
    pass_types, passes, personalization, shown_parts, updated_serials,
};
pub use read_model::{OpenError, ReadModel};
pub use rebuild::filler::{Filler, Times};
