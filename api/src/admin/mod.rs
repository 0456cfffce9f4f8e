//! The routes of operators.

pub mod brand_assets;
pub mod jobs;
pub mod messages;
pub mod parked;
pub mod projections;
pub mod push;
pub mod pushing;
