//! What operators ask.

pub mod parked;
pub mod projections;
