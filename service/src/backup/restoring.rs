//! Makes a data folder out of a backup.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use honoken_event_store::Epoch;

use super::keeping;
use super::manifest::{self, Manifest};
use super::shared_images;
use crate::data_dir::{self, Folder};
use crate::ids::IdSource;
use crate::storage::{EVENTS, FILES, Storage};

/// The folder inside the data folder where the files are made ready.
const UNFINISHED: &str = "restoring";

/// The backup that a path means: itself, or the newest in a place of backups.
///
/// # Errors
/// When there is none.
pub fn backup_at(path: &Path) -> anyhow::Result<PathBuf> {
    if path.join(manifest::NAME).is_file() {
        return Ok(path.to_owned());
    }
    keeping::backups(path)?
        .pop()
        .with_context(|| format!("{} is neither a backup nor a place with one", path.display()))
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the backup said of itself.
    pub manifest: Manifest,
    /// The beginning of update tags from now on.
    pub epoch: Epoch,
    /// Images that the backup should have and does not.
    pub lost_images: u64,
}

/// Makes a data folder out of a backup: its files and images, and another epoch, so that phones ask for everything. The event log comes last, so
/// whatever ends this early can be done again. `copied` is told the number of images.
///
/// # Errors
/// When the backup was changed, the folder has an event log already, or something cannot be read or written.
pub async fn restore(
    backup: &Path,
    data_dir: &Path,
    ids: &dyn IdSource,
    mut copied: impl FnMut(u64) + Send,
) -> anyhow::Result<Restored> {
    let manifest = Manifest::verified(backup)?;
    let folder = Folder::open(data_dir)?;
    let place = folder.path();
    anyhow::ensure!(
        !place.join(EVENTS).exists(),
        "the folder {} has an event log already: restore into another folder, or move that one away",
        place.display()
    );
    let unfinished = place.join(UNFINISHED);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)
            .with_context(|| format!("could not remove {}", unfinished.display()))?;
    }
    data_dir::make_folder(&unfinished)?;
    for name in FILES.iter().filter(|name| manifest.files.contains_key(**name)) {
        copy_private(&backup.join(name), &unfinished.join(name))?;
    }
    let epoch = begin_anew(&unfinished, ids).await?;
    let mut lost_images = 0;
    if manifest.images.is_some() {
        let from = backup.parent().unwrap_or(backup).join(shared_images::FOLDER);
        for (number, digest) in (1..).zip(&shared_images::listed(backup)?) {
            if !shared_images::copy(&from, &place.join("blobs"), digest)? {
                lost_images += 1;
            }
            copied(number);
        }
    }
    for name in FILES.iter().rev().filter(|name| unfinished.join(name).is_file()) {
        let to = place.join(name);
        fs::rename(unfinished.join(name), &to).with_context(|| format!("could not make {}", to.display()))?;
    }
    data_dir::sync_folder_of(&place.join(EVENTS))?;
    fs::remove_dir_all(&unfinished).with_context(|| format!("could not remove {}", unfinished.display()))?;
    Ok(Restored { manifest, epoch, lost_images })
}

/// As `honoken log restored`, on the copies.
async fn begin_anew(files: &Path, ids: &dyn IdSource) -> anyhow::Result<Epoch> {
    let storage = Storage::Files(Arc::new(Folder::open(files)?));
    storage.begin_anew(ids).await
}

fn copy_private(from: &Path, to: &Path) -> anyhow::Result<()> {
    let about = || format!("could not copy {}", from.display());
    data_dir::ensure_private(to).with_context(about)?;
    fs::copy(from, to).with_context(about)?;
    fs::File::open(to).and_then(|file| file.sync_all()).with_context(about)
}
