//! From the event log to the read model, and the questions asked of it.
//!
//! - [`ReadModel`] is where questions are asked; `questions/` has a file for each subject, with the types of its answers.
//! - [`Projector`] is the handle on the process that follows the event log, in `projector/`.
//! - `tables/` says what events do to the tables, one file for each aggregate's.
//! - `rows/` is what questions and tables have in common; `row_cache.rs` keeps hot rows in memory; [`words`] are those by which a pass is found.
//!
//! Imports point one way: `projector` to `tables` to `rows`, and `questions` to `rows`. The statements run on either engine
//! (`honoken_database::statements`).
//!
//! No other crate writes these tables: every function that does is private to this one. This crate does not know HTTP, NATS or Apple.

pub mod read_model;
pub mod words;

mod projection;
mod projector;
mod query_error;
mod questions;
mod row_cache;
mod rows;
mod tables;

pub use projection::{VERSION, WALLET};
pub use projector::handle::Projector;
pub use projector::lease::Part;
pub use projector::operation::OperationError;
pub use projector::progress::{AggregateKey, Progress};
pub use projector::rebuild::rebuild;
pub use query_error::QueryError;
pub use questions::apns_keys as wallet_apns_key;
pub use questions::certificates as wallet_cert;
pub use questions::jobs as wallet_job;
pub use questions::organizations as wallet_organization;
pub use questions::parked_events as parked;
pub use questions::pass_heads;
pub use questions::pass_holders as wallet_push;
pub use questions::pass_images as wallet_outdated_pass;
pub use questions::pass_list;
pub use questions::pass_types as wallet_pass_type;
pub use questions::passes as wallet_pass;
pub use questions::updated_serials as wallet_registration;
pub use read_model::{OpenError, ReadModel};
