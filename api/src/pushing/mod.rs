//! Waking phones, put together.
//!
//! - [`counts`]: what is counted of it

pub mod counts;
