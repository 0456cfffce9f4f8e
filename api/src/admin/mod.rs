//! The routes of operators.

pub mod apns_keys;
pub mod audit;
pub mod brand_assets;
pub mod certificate_answer;
pub mod certificate_body;
pub mod certificate_requests;
pub mod certificates;
pub mod jobs;
pub mod keys;
pub mod messages;
pub mod operators;
pub mod organizations;
pub mod parked;
pub mod pass_types;
pub mod projections;
pub mod push;
pub mod pushing;
pub mod repair;
pub mod reseal;
