//! Dumps, as an operator makes and restores them.

use std::fs;

use crate::programs;

/// The output of `pg_dump` for a database: SQL.
///
/// # Panics
///
/// When it fails.
pub fn dump(url: &str) -> String {
    let folder = programs::folder();
    let output = programs::runs(programs::command("pg_dump", folder.path()).arg(format!("--dbname={url}")));
    String::from_utf8(output).expect("a dump is UTF-8")
}

/// Gives such a dump to `psql` for an empty database.
///
/// # Panics
///
/// When any of it fails.
pub fn restore(dump: &str, url: &str) {
    let folder = programs::folder();
    let file = folder.path().join("dump.sql");
    fs::write(&file, dump).expect("a file for the dump");
    let mut psql = programs::command("psql", folder.path());
    psql.args(["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]);
    programs::runs(psql.arg(format!("--dbname={url}")).arg("--file=dump.sql"));
}

/// Copies a database into an empty one, in the same server or another.
///
/// # Panics
///
/// When either half fails.
pub fn copy(from: &str, to: &str) {
    restore(&dump(from), to);
}
