//! The disk under the files: what it is, and how often a second it syncs.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::rounds::Stopwatch;

/// How long one look at the disk takes.
const LOOK: Duration = Duration::from_millis(250);

/// The name of the file system that a folder lies on, with a warning where that is memory.
pub(crate) fn file_system(folder: &Path) -> String {
    let output = Command::new("df").arg("--output=fstype").arg(folder).output().expect("df can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    let name = text.lines().last().unwrap_or("unknown").trim();
    match name {
        "tmpfs" | "ramfs" => format!("{name}, WHICH IS MEMORY: these figures say nothing"),
        name => name.to_owned(),
    }
}

/// Writes of 4 KiB at the end of a file, each followed by `fsync`, per second.
pub(crate) fn syncs_per_second(file: &mut File) -> f64 {
    let (watch, mut syncs) = (Stopwatch::start(), 0);
    while watch.elapsed() < LOOK {
        file.write_all(&[0x5a; 4096]).expect("the disk takes a block");
        file.sync_all().expect("the disk syncs");
        syncs += 1;
    }
    watch.rate(syncs)
}
