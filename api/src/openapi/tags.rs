//! The tags that group the routes of the document.

/// The routes of phones.
pub const DEVICE: &str = "device";
/// The routes of integrators.
pub const MANAGE: &str = "manage";
/// The routes of operators.
pub const ADMIN: &str = "admin";
/// The routes for running the service.
pub const RUNNING: &str = "running";
