//! Which release this is, and which commit it was built from.

/// Its version: that of every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit, or `unknown`; `api/build.rs` finds it out.
pub const COMMIT: &str = env!("HONOKEN_COMMIT");

/// Both, as `--version` says them: `0.2.0 (34af1987c0de)`.
pub const VERSION_AND_COMMIT: &str = env!("HONOKEN_VERSION");
