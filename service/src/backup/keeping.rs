//! The backups in a place: which there are, and which go.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::manifest::{self, Manifest};
use super::shared_images;

/// The backups in a place, the oldest first.
///
/// # Errors
/// When the place cannot be read.
pub fn backups(place: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let about = || format!("could not read {}", place.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(place).with_context(about)? {
        let path = entry.with_context(about)?.path();
        let is_named = path.file_name().and_then(|name| name.to_str()).is_some_and(is_moment);
        if is_named && path.join(manifest::NAME).is_file() {
            found.push(path);
        }
    }
    // Their names have the order of their moments.
    found.sort();
    Ok(found)
}

/// Removes all but the newest `keep` backups, and the images that only they had. Gives how many went.
///
/// # Errors
/// When the place cannot be read or written.
pub fn keep(place: &Path, keep: usize) -> anyhow::Result<usize> {
    let all = backups(place)?;
    let gone = all.len().saturating_sub(keep);
    for backup in &all[..gone] {
        let about = || format!("could not remove {}", backup.display());
        // Without its manifest it is no backup any more, however far this comes.
        fs::remove_file(backup.join(manifest::NAME)).with_context(about)?;
        fs::remove_dir_all(backup).with_context(about)?;
    }
    if gone > 0 {
        let mut listed = BTreeSet::new();
        for backup in &all[gone..] {
            if Manifest::read(backup)?.images.is_some() {
                listed.append(&mut shared_images::listed(backup)?);
            }
        }
        shared_images::remove_others(&place.join(shared_images::FOLDER), &listed)?;
    }
    Ok(gone)
}

/// `2026-11-30T09-40-00.000Z`, as backups are named.
fn is_moment(name: &str) -> bool {
    let pattern = "0000-00-00T00-00-00.000Z";
    name.len() == pattern.len()
        && name.bytes().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_with_the_name_of_a_moment_are_backups() {
        assert!(is_moment("2026-11-30T09-40-00.000Z"));
        for name in ["images", "2026-11-30T09-40-00.000Z.unfinished", "2026-11-30T09:40:00.000Z", ""] {
            assert!(!is_moment(name), "{name}");
        }
    }
}
