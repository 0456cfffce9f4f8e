//! Where the program `nats-server` is.

use std::path::PathBuf;

/// Names the program, for those who want to test with another one than the machine's.
const VARIABLE: &str = "HONOKEN_TEST_NATS_SERVER";

/// Where Debian puts it, which is not in everybody's `PATH`.
const DEBIAN: &str = "/usr/sbin";

/// What the variable names, else the first in `PATH`, else Debian's.
///
/// # Panics
///
/// When there is none.
#[expect(clippy::disallowed_methods, reason = "where programs are is for the environment to say")]
pub(crate) fn nats_server() -> PathBuf {
    if let Some(named) = std::env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "{VARIABLE} names {}, which is no file", named.display());
        return named;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from(DEBIAN)]);
    let found = folders.map(|folder| folder.join("nats-server")).find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!("nats-server is not installed: `scripts/test` installs it, on Debian and as root; or name it in {VARIABLE}")
    })
}
