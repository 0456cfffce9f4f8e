//! Backups, as operators take them.

use std::io::Write;
use std::process::Stdio;

use crate::programs;

/// Copies a database into an empty one, in the same server or another: `pg_dump`, then `psql`.
///
/// # Panics
///
/// When one of the two fails.
pub fn copy(from: &str, to: &str) {
    let folder = programs::folder();
    let mut dump = programs::command("pg_dump", folder.path());
    let dump = dump.args(["--no-owner", "--dbname", from]).output().expect("pg_dump starts");
    assert!(dump.status.success(), "pg_dump: {}", String::from_utf8_lossy(&dump.stderr));

    let mut psql = programs::command("psql", folder.path());
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", to]);
    psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut psql = psql.spawn().expect("psql starts");
    psql.stdin.take().expect("the pipe was asked for").write_all(&dump.stdout).expect("psql reads on");
    let read = psql.wait_with_output().expect("psql can be waited for");
    assert!(read.status.success(), "psql: {}", String::from_utf8_lossy(&read.stderr));
}
