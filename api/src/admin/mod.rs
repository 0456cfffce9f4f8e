//! What operators ask.

pub mod brand_assets;
pub mod jobs;
pub mod parked;
pub mod projections;
