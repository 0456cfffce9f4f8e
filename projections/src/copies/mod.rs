//! Copies of the tables: one that is read, one that is filled beside it, one that is kept to go back to.
//!
//! - [`directory`]: the rows that say which copies there are, in which state; operators' wishes are written there.
//! - [`claims`]: one process at a time makes a place or removes it.
//! - [`place`]: where the tables of a copy are: a file, or a schema on a server.
//! - [`reading`]: on a server each process says which copy it reads.

pub(crate) mod claims;
pub(crate) mod directory;
pub(crate) mod place;
pub(crate) mod reading;
