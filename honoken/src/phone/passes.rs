//! Reads passes from files.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use honoken_simulator::Package;

/// The limit on the size of a file: Wallet would refuse a larger one too.
pub(super) const FILE_BYTES: u64 = 64 * 1024 * 1024;
/// The most files that are read.
const FILES: usize = 10_000;

/// The advice when no pass is given.
pub(super) const NONE: &str = "--pass FILE is needed: a .pkpass as a phone would be given it. The first line with `curl` that `honoken dev` prints fetches one, and \
     `GET /manage/v1/passes/{type}/{serial}/pkpass` any that was issued";

/// Reads one pass.
pub(super) fn read(file: &Path) -> anyhow::Result<Package> {
    let bytes = read_limited(file, FILE_BYTES)?;
    let name = file.display();
    Package::open(bytes).with_context(|| {
        format!("{name} is not a pass that a phone would take (`honoken inspect {name}` prints its faults)")
    })
}

/// The named files; for a folder, all its files that end in `.pkpass`, sorted by name.
pub(super) fn files(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if path.is_dir() {
            files.extend(files_of(path)?);
        } else {
            files.push(path.clone());
        }
        ensure!(files.len() <= FILES, "more than {FILES} passes are not read");
    }
    Ok(files)
}

fn files_of(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let about = || format!("could not read {}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(about)? {
        let path = entry.with_context(about)?.path();
        if path.extension().is_some_and(|extension| extension == "pkpass") {
            found.push(path);
        }
        ensure!(found.len() <= FILES, "{} holds more than {FILES} passes", folder.display());
    }
    ensure!(!found.is_empty(), "{} holds no file that ends in .pkpass", folder.display());
    found.sort();
    Ok(found)
}

/// Reads a file of at most so many bytes, whatever size the system reports.
pub(super) fn read_limited(file: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let about = || format!("could not read {}", file.display());
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).with_context(about)?;
    opened.take(limit + 1).read_to_end(&mut bytes).with_context(about)?;
    ensure!(u64::try_from(bytes.len())? <= limit, "{} has more than {limit} bytes", file.display());
    Ok(bytes)
}
