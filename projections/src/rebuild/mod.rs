//! Rebuilds: a copy of the tables is filled beside the live one, compared with it on request, and takes its place.
//!
//! - [`filler`]: the task that does so, in one of several processes.
//! - [`filling`] applies events to a copy, [`comparing`] compares it with the live one, [`switching`] lets it take over.
//!
//! A switch changes one row. Every process finds that out by itself within a second, and reads the other copy from then on
//! (`docs/decisions/0120-a-rebuild-fills-a-copy.md`).

pub(crate) mod comparing;
pub(crate) mod filler;
pub(crate) mod filling;
pub(crate) mod switching;
