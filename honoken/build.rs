//! Which commit is built: `GIT_SHA` where it is set, else what git says, else `unknown`, as in an archive of the sources.
//!
//! A new commit makes cargo build this crate again; nothing else here does.

use std::path::Path;
use std::process::Command;

const GIVEN: Option<&str> = option_env!("GIT_SHA");

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let commit = match GIVEN.map(str::trim).filter(|given| !given.is_empty()) {
        Some(given) => given.to_owned(),
        None => checked_out().unwrap_or_else(|| "unknown".to_owned()),
    };
    let version = env!("CARGO_PKG_VERSION");
    let short: String = commit.chars().take(12).collect();
    println!("cargo::rustc-env=HONOKEN_COMMIT={commit}");
    println!("cargo::rustc-env=HONOKEN_VERSION={version} ({short})");
}

/// The commit of the repository whose root is the workspace; not of one that happens to be around an unpacked archive.
fn checked_out() -> Option<String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let root = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&root).canonicalize().ok()? != workspace.canonicalize().ok()? {
        return None;
    }
    watch("HEAD");
    // A branch that git has packed has no file until its next commit; until then, the log of HEAD tells of that.
    match git(&["symbolic-ref", "--quiet", "HEAD"]) {
        Some(branch) if watch(&branch) => {}
        Some(_) => drop((watch("logs/HEAD"), watch("packed-refs"))),
        None => {}
    }
    git(&["rev-parse", "--verify", "HEAD"])
}

/// Has cargo run this again when a file of git changes; `false` when there is none, since cargo would run this every time.
fn watch(name: &str) -> bool {
    let file = git(&["rev-parse", "--git-path", name]).filter(|file| Path::new(file).exists());
    file.inspect(|file| println!("cargo::rerun-if-changed={file}")).is_some()
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
