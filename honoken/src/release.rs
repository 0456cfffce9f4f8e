//! The release, and the commit it was built from.

/// The commit, or `unknown`; `honoken/build.rs` finds it out.
pub const COMMIT: &str = env!("HONOKEN_COMMIT");

/// Both, as `--version` says them: `0.2.0 (34af1987c0de)`.
pub const VERSION_AND_COMMIT: &str = env!("HONOKEN_VERSION");
