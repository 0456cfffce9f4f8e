//! From the log to the read model, and the questions asked of it.
//!
//! - [`runner`] follows the log: a batch of events and the checkpoint in one transaction.
//! - One file per read table, its projector and its queries together: [`wallet_pass`], [`wallet_registration`], [`wallet_pass_type`],
//!   [`wallet_organization`].
//! - [`parked`]: events that could not be applied, and what waits behind them.
//!
//! Nobody else writes these tables: every function that does is private to this crate. This crate does not know HTTP, NATS or Apple.

pub mod parked;
pub mod read_model;
pub mod runner;
pub mod wallet_organization;
pub mod wallet_pass;
pub mod wallet_pass_type;
pub mod wallet_registration;

mod apply;

pub use read_model::{QueryError, ReadModel};
pub use runner::{OperationError, Progress, Projector};
