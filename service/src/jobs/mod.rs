//! Work that outlives a request: one worker, one job at a time, in the process that runs the projection.
//!
//! - [`worker`]: finds what there is to do, and goes on where it was left
//! - [`images`]: a step of a job that brings changed images to passes

pub mod images;
pub mod worker;
