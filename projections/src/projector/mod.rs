//! From the event log to the tables.
//!
//! - [`handle`] is for other crates: start the projector, see its [`progress`], send it an operator's [`operation`].
//! - [`runner`] follows the event log with an [`event_reader`]: [`begin`] finds the position to go on from, [`batch`] is one transaction,
//!   [`apply`] hands each event to its table, [`checkpoint`] stores how far the tables are.
//! - [`lease`] decides which of several processes writes.
//! - [`parked`] keeps events that could not be applied, and [`resume`] lets their aggregates go on.
//! - [`purge`] deletes rows of devices that left long ago.
//! - [`refill`] fills the tables again where they stand, after [`reset`] has emptied them.
//! - [`comparison`] compares the tables with fresh ones, [`table_rows`] row by row.

pub(crate) mod apply;
pub(crate) mod batch;
pub(crate) mod begin;
pub(crate) mod checkpoint;
pub(crate) mod comparison;
pub(crate) mod event_reader;
pub(crate) mod handle;
pub(crate) mod lease;
pub(crate) mod operation;
pub(crate) mod parked;
pub(crate) mod progress;
pub(crate) mod purge;
pub(crate) mod refill;
pub(crate) mod reset;
pub(crate) mod resume;
pub(crate) mod runner;
pub(crate) mod table_rows;
