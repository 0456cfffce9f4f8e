//! The routes of operators.

pub mod audit;
pub mod brand_assets;
pub mod jobs;
pub mod keys;
pub mod messages;
pub mod operators;
pub mod parked;
pub mod projections;
pub mod push;
pub mod pushing;
pub mod repair;
