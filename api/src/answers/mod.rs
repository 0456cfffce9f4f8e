//! Parts that the answers of several handlers share.
//!
//! - [`headers`]: entity tags as headers; [`update_tag`]: the tags that phones send back
//! - [`file_name`]: the name under which a browser saves a pass
//! - [`job`]: a job as callers see it

pub mod file_name;
pub mod headers;
pub mod job;
pub mod update_tag;
