//! Makes a backup of a data folder, which a process may be using.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use honoken_database::sqlite;
use honoken_domain::rfc3339;
use honoken_event_store::EventLog;
use honoken_event_store::transfer::Checksum;

use super::manifest::{self, Manifest};
use super::shared_images;
use crate::clock::Clock;
use crate::data_dir::{self, Folder};
use crate::ids::IdSource;
use crate::storage::{FILES, Storage};

/// What a name ends with while the backup is being made.
const UNFINISHED: &str = ".unfinished";

/// What is backed up, and where to.
pub struct Making<'a> {
    /// The folder with the SQLite files.
    pub files: &'a Path,
    /// The folder with the images; `None` when they are elsewhere.
    pub images: Option<&'a Path>,
    /// The place of backups.
    pub to: &'a Path,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Random values.
    pub ids: &'a dyn IdSource,
}

impl Making<'_> {
    /// Makes the backup, reads it again, and gives its folder. `copied` is told the number of images.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the copy of the event log is not sound. Nothing counts as a backup then.
    pub async fn make(&self, copied: impl FnMut(u64) + Send) -> anyhow::Result<(PathBuf, Manifest)> {
        let made_at = rfc3339::milliseconds(self.clock.unix_ms());
        // Colons are no part of a file's name everywhere.
        let name = made_at.replace(':', "-");
        let backup = self.to.join(&name);
        let unfinished = self.to.join(format!("{name}{UNFINISHED}"));
        data_dir::make_folder(self.to)?;
        data_dir::make_folder(&unfinished)?;
        let mut manifest = Manifest::new(made_at);
        // The event log first: what is derived from it may be ahead of it, and a start notices that.
        for file in FILES.iter().filter(|file| self.files.join(file).is_file()) {
            let to = unfinished.join(file);
            data_dir::ensure_private(&to).with_context(|| format!("could not make {}", to.display()))?;
            let copied = sqlite::copy_into(&self.files.join(file), &to).await;
            copied.with_context(|| format!("could not copy {}", self.files.join(file).display()))?;
        }
        self.look_into(&unfinished, &mut manifest).await?;
        if let Some(images) = self.images {
            // After the event log: an image is stored before the event that names it.
            let digests = shared_images::copy_all(images, &self.to.join(shared_images::FOLDER), copied)?;
            manifest.images = Some(digests.len() as u64);
            let lines = digests.iter().flat_map(|digest| [digest.as_str(), "\n"]);
            let list: String = lines.collect();
            data_dir::write_secret(&unfinished.join(shared_images::LIST), &list)?;
            manifest.add(&unfinished, shared_images::LIST)?;
        }
        let text = serde_json::to_string_pretty(&manifest)? + "\n";
        data_dir::write_secret(&unfinished.join(manifest::NAME), &text)?;
        std::fs::rename(&unfinished, &backup)
            .with_context(|| format!("could not make {}", backup.display()))?;
        data_dir::sync_folder_of(&backup)?;
        Ok((backup, manifest))
    }

    /// Opens the copies as a service would, reads every event, and notes what there is.
    async fn look_into(&self, backup: &Path, manifest: &mut Manifest) -> anyhow::Result<()> {
        let folder = Folder::open(backup)?;
        let lock = folder.lock_file();
        let storage = Storage::Files(Arc::new(folder));
        storage.must_have_a_log()?;
        let log = storage.open_log(self.ids).await?;
        let mut checksum = Checksum::default();
        loop {
            let events = log.stored_after(checksum.last()).await?;
            if events.is_empty() {
                break;
            }
            checksum.add(&events);
        }
        manifest.epoch = log.epoch().to_string();
        log.close().await;
        (manifest.events, manifest.position) = (checksum.events(), checksum.last().0);
        let sealed = storage.sealed_secrets().await?;
        manifest.encryption_keys = sealed.into_iter().map(|(_, key)| key).collect();
        manifest.encryption_keys.sort_unstable();
        manifest.encryption_keys.dedup();
        drop(storage);
        data_dir::remove_if_there(&lock)?;
        for file in FILES.iter().filter(|file| backup.join(file).is_file()) {
            manifest.add(backup, file)?;
        }
        Ok(())
    }
}
