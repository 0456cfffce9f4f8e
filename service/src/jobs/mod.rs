//! Work that outlives a request: one worker, one job at a time, in the process that runs the projection.
//!
//! - [`worker`]: finds the next job, and continues where it was left
//! - [`defaults`]: one step of a job that applies changed images and texts to passes

pub mod defaults;
pub mod worker;
