//! What the routes of the document are sorted by.

/// The tag of what phones ask.
pub const DEVICE: &str = "device";
/// The tag of what integrators ask.
pub const MANAGE: &str = "manage";
/// The tag of what operators ask.
pub const ADMIN: &str = "admin";
/// The tag of what whoever runs the service asks.
pub const RUNNING: &str = "running";
