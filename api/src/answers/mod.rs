//! Parts that the answers of several handlers share.
//!
//! - [`headers`]: entity tags as headers; [`update_tag`]: the tags and dates that phones send back
//! - [`job`]: a job as callers see it

pub mod headers;
pub mod job;
pub mod update_tag;
