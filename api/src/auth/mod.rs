//! Authentication: a phone for one pass, an integrator for its organisation, an operator for everything.
//!
//! - [`phone`], [`integrator`], [`operator`]: one file for each
//! - [`scopes`]: what the key of an integrator has to allow
//! - [`signing`]: the signatures of operators' requests, over `structured_fields`
//! - [`admin_credentials`]: the name and password of the operator of the configuration

pub mod admin_credentials;
mod header;
pub mod integrator;
pub mod operator;
pub mod phone;
pub mod scopes;
mod signed;
pub mod signing;
mod structured_fields;
