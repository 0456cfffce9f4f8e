//! From the log to the read model, and the questions asked of it.
//!
//! - [`projector`] is the handle: how far it is, and what an operator asks. Behind it `runner.rs` follows the log, `batch.rs` is what happens
//!   in one transaction, `apply.rs` knows which event goes to which table, `lease.rs` which of several processes writes.
//! - `rebuild.rs` fills the tables again from the whole log. `row_cache.rs` keeps hot rows in memory. The statements run on either engine (`honoken_database::statements`).
//! - One file per read table, its projector and its queries together: [`wallet_pass`], [`wallet_registration`], [`wallet_pass_type`],
//!   [`wallet_cert`], [`wallet_apns_key`], [`wallet_organization`], [`wallet_image`], [`wallet_job`], [`wallet_outdated_pass`].
//! - [`wallet_push`]: what a push subscriber asks of several of them at once.
//! - [`pass_heads`]: how far the rows of many passes are, for whoever tells others of changes.
//! - [`pass_list`]: the passes of an organisation page by page, all or those found by their [`words`].
//! - [`parked`]: events that could not be applied, and what waits behind them.
//!
//! Nobody else writes these tables: every function that does is private to this crate. This crate does not know HTTP, NATS or Apple.

pub mod parked;
pub mod pass_heads;
pub mod pass_list;
pub mod projector;
pub mod read_model;
pub mod wallet_apns_key;
pub mod wallet_cert;
pub mod wallet_image;
pub mod wallet_job;
pub mod wallet_organization;
pub mod wallet_outdated_pass;
pub mod wallet_pass;
pub mod wallet_pass_type;
pub mod wallet_push;
pub mod wallet_registration;
pub mod words;

mod apply;
mod batch;
mod lease;
mod rebuild;
mod row_cache;
mod runner;

pub use batch::{VERSION, WALLET};
pub use projector::{OperationError, Part, Progress, Projector};
pub use read_model::{OpenError, QueryError, ReadModel};
pub use rebuild::rebuild;
