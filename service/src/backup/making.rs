//! Makes a backup of a data folder, which a process may be using.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use futures::future::BoxFuture;
use honoken_database::sqlite;
use honoken_domain::ids::Digest;
use honoken_domain::rfc3339;
use honoken_event_store::EventLog;
use honoken_event_store::transfer::Checksum;

use super::images::{self, Images};
use super::manifest::Manifest;
use super::place::Backups;
use crate::clock::Clock;
use crate::data_dir::{self, Folder};
use crate::ids::IdSource;
use crate::storage::{FILES, Storage};

/// The images of a service, as a backup takes them.
pub struct ImagesToKeep<'a> {
    /// Where they are.
    pub from: &'a Images,
    /// Whether they are copied; else the backup has their list alone.
    pub are_copied: bool,
    /// Which there are, asked after the event log was copied: an image is stored before the event that names it.
    pub digests: BoxFuture<'a, anyhow::Result<BTreeSet<Digest>>>,
}

/// What is backed up, and where to.
pub struct Making<'a> {
    /// The folder with the SQLite files.
    pub files: &'a Path,
    /// The images; `None` when no other process can have them.
    pub images: Option<ImagesToKeep<'a>>,
    /// The place of backups.
    pub to: &'a Backups,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Random values.
    pub ids: &'a dyn IdSource,
}

impl Making<'_> {
    /// Makes the backup, reads it again, and gives its name. `copied` is told the number of images.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the copy of the event log is not sound. Nothing counts as a backup then.
    pub async fn make(self, copied: impl FnMut(u64) + Send) -> anyhow::Result<(String, Manifest)> {
        let Self { files, images, to, clock, ids } = self;
        let made_at = rfc3339::milliseconds(clock.unix_ms());
        // Colons are no part of a file's name everywhere.
        let name = made_at.replace(':', "-");
        let draft = to.draft(&name, files)?;
        let mut manifest = Manifest::new(made_at);
        // The event log first: what is derived from it may be ahead of it, and a start notices that.
        for file in FILES.iter().filter(|file| files.join(file).is_file()) {
            let to = draft.path.join(file);
            data_dir::ensure_private(&to).with_context(|| format!("could not make {}", to.display()))?;
            let copied = sqlite::copy_into(&files.join(file), &to).await;
            copied.with_context(|| format!("could not copy {}", files.join(file).display()))?;
        }
        look_into(&draft.path, &mut manifest, ids).await?;
        if let Some(images) = images {
            let mut digests = images.digests.await?;
            if images.are_copied {
                digests = to.images().copy_all(images.from, digests, copied).await?;
                manifest.images = Some(digests.len() as u64);
            }
            manifest.listed_images = Some(digests.len() as u64);
            let file = draft.path.join(images::LIST);
            data_dir::write_secret(&file, &images::list(&digests))
                .with_context(|| format!("could not write {}", file.display()))?;
            manifest.add(&draft.path, images::LIST)?;
        }
        to.keep(&name, draft, &manifest).await?;
        Ok((name, manifest))
    }
}

/// Opens the copies as a service would, reads every event, and notes what there is.
async fn look_into(backup: &Path, manifest: &mut Manifest, ids: &dyn IdSource) -> anyhow::Result<()> {
    let folder = Folder::open(backup)?;
    let lock = folder.lock_file();
    let storage = Storage::in_folder(Arc::new(folder));
    storage.must_have_a_log()?;
    let log = storage.open_log(ids).await?;
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
