//! Makes a data folder out of a backup.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use honoken_domain::ids::Digest;
use honoken_event_store::Epoch;

use super::images::{self, Images};
use super::manifest::Manifest;
use super::place::Backups;
use crate::clock::Clock;
use crate::data_dir::{self, Folder};
use crate::ids::IdSource;
use crate::operations::audit::{Action, Record};
use crate::storage::{EVENTS, FILES, Storage};

/// The folder inside the data folder where the files are made ready.
const UNFINISHED: &str = "restoring";

/// What is restored, and where to.
pub struct Restoring<'a> {
    /// The place of backups.
    pub from: &'a Backups,
    /// The backup.
    pub name: &'a str,
    /// The data folder.
    pub to: &'a Path,
    /// Where its images go.
    pub images: &'a Images,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Random values.
    pub ids: &'a dyn IdSource,
    /// Who restores it, as the action is noted.
    pub actor: &'a str,
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
    /// The images that the backup lists and does not have.
    pub elsewhere: BTreeSet<Digest>,
}

impl Restoring<'_> {
    /// Makes a data folder out of a backup: its files and images, and another epoch, so that phones ask for everything. The event log comes last,
    /// so whatever ends this early can be done again. `copied` is told the number of images.
    ///
    /// # Errors
    /// When the backup was changed, the folder has an event log already, or something cannot be read or written.
    pub async fn restore(&self, copied: impl FnMut(u64) + Send) -> anyhow::Result<Restored> {
        let manifest = self.from.manifest(self.name).await?;
        let folder = Folder::open(self.to)?;
        let place = folder.path();
        anyhow::ensure!(
            !place.join(EVENTS).exists(),
            "the folder {} has an event log already: restore into another folder, or move that one away",
            place.display()
        );
        let unfinished = place.join(UNFINISHED);
        remove_folder(&unfinished)?;
        data_dir::make_folder(&unfinished)?;
        let fetched = self.fetch(&manifest, &unfinished).await;
        if fetched.is_err() {
            remove_folder(&unfinished)?;
        }
        let mut elsewhere = fetched?;
        let epoch = self.begin_anew(&unfinished).await?;
        let mut lost_images = 0;
        if manifest.images.is_some() {
            let listed = std::mem::take(&mut elsewhere);
            let count = listed.len();
            let restored = self.images.copy_all(&self.from.images(), listed, copied).await?;
            lost_images = (count - restored.len()) as u64;
        }
        for name in FILES.iter().rev().filter(|name| unfinished.join(name).is_file()) {
            let to = place.join(name);
            fs::rename(unfinished.join(name), &to)
                .with_context(|| format!("could not make {}", to.display()))?;
        }
        data_dir::sync_folder_of(&place.join(EVENTS))?;
        remove_folder(&unfinished)?;
        Ok(Restored { manifest, epoch, lost_images, elsewhere })
    }

    /// Brings the files here, compares them, and gives the images in the list.
    async fn fetch(&self, manifest: &Manifest, unfinished: &Path) -> anyhow::Result<BTreeSet<Digest>> {
        let shown = self.from.shown_backup(self.name);
        let mut listed = BTreeSet::new();
        for name in manifest.files.keys() {
            let file = unfinished.join(name);
            self.from.fetch(self.name, name, &file).await?;
            manifest.check(name, &file, &shown)?;
            if name == images::LIST {
                let text = fs::read_to_string(&file);
                listed =
                    images::listed(&text.with_context(|| format!("could not read {}", file.display()))?)?;
            }
        }
        Ok(listed)
    }

    /// As `honoken log restored`, on the copies. The action is noted there, since there were no records before.
    async fn begin_anew(&self, files: &Path) -> anyhow::Result<Epoch> {
        let storage = Storage::in_folder(Arc::new(Folder::open(files)?));
        let Self { clock, ids, actor, .. } = *self;
        let record = Record { office: storage.open_office().await?, clock, ids, actor };
        let action = Action { name: "restoreBackup", target: self.from.shown_backup(self.name) };
        record.note(action, storage.begin_anew(ids)).await
    }
}

fn remove_folder(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("could not remove {}", folder.display()))?;
    }
    Ok(())
}
