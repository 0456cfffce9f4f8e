//! The programs of Postgres: where they are, and the user that they run as.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Where Debian keeps them, one folder per major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The programs that the tests run; all of them come with the server.
const PROGRAMS: [&str; 6] = ["initdb", "postgres", "pg_ctl", "pg_dump", "psql", "pgbench"];

/// The user that runs the server when we are root, which its programs refuse to be.
const USER: &str = "postgres";

/// An empty folder that the server's user owns.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("honoken-postgres-").tempdir().expect("a temporary folder");
    if are_root() {
        runs(Command::new("chown").arg(format!("{USER}:")).arg(folder.path()));
    }
    folder
}

/// One of Postgres's programs, to be run in such a folder by its owner.
pub(crate) fn command(program: &str, folder: &Path) -> Command {
    let path = bin().join(program);
    let mut command = if are_root() {
        let mut command = Command::new("setpriv");
        let user = [format!("--reuid={USER}"), format!("--regid={USER}"), "--clear-groups".to_owned()];
        command.args(user).arg(path);
        command
    } else {
        Command::new(path)
    };
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// A file belongs to the user that makes it.
fn are_root() -> bool {
    let file = tempfile::tempfile().expect("a temporary file");
    file.metadata().expect("its owner").uid() == 0
}

/// Runs a command that must succeed; returns its output.
#[track_caller]
pub(crate) fn runs(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    output.stdout
}

/// The folder of the programs: the first in `PATH` that has them all, else Debian's newest.
fn bin() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "where programs are is for the environment to say")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(debian())
        .find(|folder| PROGRAMS.iter().all(|program| folder.join(program).is_file()));
    found.expect("Postgres is not installed: `scripts/test` installs it, on Debian and as root")
}

/// Debian's folders, the newest version first.
fn debian() -> Vec<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// Where a program of Postgres's is, such as `pgbench`, of the same version as the servers.
pub fn program(name: &str) -> PathBuf {
    bin().join(name)
}
