//! From the event log to the tables.
//!
//! - [`handle`] is what other crates hold: how far the read model is, and what an operator asks.
//! - [`runner`] follows the event log: [`begin`] says where it goes on, [`batch`] is one transaction, [`apply`] knows which event goes to which
//!   table, [`checkpoint`] how far the tables are.
//! - [`lease`] says which of several processes writes.
//! - [`parked`] is about events that could not be applied, and [`resume`] lets their aggregates go on.
//! - [`rebuild`] fills the tables again from the whole event log, after [`reset`] has emptied them.

pub(crate) mod apply;
pub(crate) mod batch;
pub(crate) mod begin;
pub(crate) mod checkpoint;
pub(crate) mod event_reader;
pub(crate) mod handle;
pub(crate) mod lease;
pub(crate) mod operation;
pub(crate) mod parked;
pub(crate) mod progress;
pub(crate) mod rebuild;
pub(crate) mod reset;
pub(crate) mod resume;
pub(crate) mod runner;
