//! Work that outlives a request: one worker, one job at a time, in the process that runs the projection.
//!
//! - [`worker`]: finds the next job, and continues where it was left
//! - [`resealing`]: one step of a job that seals secrets under another encryption key
//! - [`restored_image`]: one step of a job that states passes anew whose image the store has again
//! - [`defaults`]: one step of a job that applies changed images and texts to passes

pub mod defaults;
pub mod resealing;
pub mod restored_image;
pub mod worker;
