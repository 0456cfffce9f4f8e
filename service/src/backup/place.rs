//! Where backups are: a folder of this machine, or a store on another one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use honoken_telemetry::error_chain;

use super::images::{Images, SHARED};
use super::manifest::{self, Manifest};
use crate::data_dir;
use crate::image_store::{ImageStore, Place};

/// What the name of a folder ends with while its backup is being made.
const UNFINISHED: &str = ".unfinished";

/// A place of backups.
#[derive(Debug, Clone)]
pub struct Backups {
    place: Place,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Folder(PathBuf),
    /// The store of the place, and that of the images below it.
    Store(Box<ImageStore>, Box<ImageStore>),
}

impl Backups {
    /// Opens a place, and makes sure that a store answers.
    ///
    /// # Errors
    /// When it cannot be used, or cannot say what it has.
    pub async fn open(place: Place) -> anyhow::Result<Self> {
        let kind = match &place {
            Place::Folder(folder) => Kind::Folder(folder.clone()),
            Place::Memory => {
                anyhow::bail!("memory: is the memory of this command, and ends with it: name another place")
            }
            Place::Remote(_) => {
                let store = ImageStore::open_patient(&place)?;
                store.reach().await?;
                ensure!(
                    store.can_list(),
                    "{place} cannot say which backups it has: name a folder, S3 or Vercel Blob"
                );
                Kind::Store(Box::new(store), Box::new(ImageStore::open(&place.below(SHARED))?))
            }
        };
        Ok(Self { place, kind })
    }

    /// The place that a path or a URL means, and the name of the backup in it: the named one, else the newest.
    ///
    /// # Errors
    /// When there is none.
    pub async fn find(place: Place) -> anyhow::Result<(Self, String)> {
        let named = match &place {
            Place::Folder(folder) if folder.join(manifest::NAME).is_file() => {
                let folder = fs::canonicalize(folder)
                    .with_context(|| format!("could not read {}", folder.display()))?;
                let name = folder.file_name().and_then(|name| name.to_str()).map(str::to_owned);
                folder.parent().map(|parent| Place::Folder(parent.to_owned())).zip(name)
            }
            Place::Folder(_) | Place::Memory => None,
            Place::Remote(_) => place.split().filter(|(_, name)| is_moment(name)),
        };
        if let Some((parent, name)) = named {
            return Ok((Self::open(parent).await?, name));
        }
        let backups = Self::open(place).await?;
        let newest = backups.names().await?.pop();
        let newest = newest
            .with_context(|| format!("{} is neither a backup nor a place with one", backups.shown()))?;
        Ok((backups, newest))
    }

    /// How the place is written for people; it holds no secret.
    pub fn shown(&self) -> String {
        match &self.kind {
            Kind::Folder(folder) => folder.display().to_string(),
            Kind::Store(..) => self.place.to_string(),
        }
    }

    /// How a backup is written for people.
    pub fn shown_backup(&self, name: &str) -> String {
        match &self.kind {
            Kind::Folder(folder) => folder.join(name).display().to_string(),
            Kind::Store(..) => self.place.below(name).to_string(),
        }
    }

    /// The images that the backups share.
    pub fn images(&self) -> Images {
        match &self.kind {
            Kind::Folder(folder) => Images::Folder(folder.join(SHARED)),
            Kind::Store(_, images) => Images::Store(images.clone()),
        }
    }

    /// The names of the backups, the oldest first.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub async fn names(&self) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        match &self.kind {
            Kind::Folder(folder) => {
                let about = || format!("could not read {}", folder.display());
                for entry in fs::read_dir(folder).with_context(about)? {
                    let path = entry.with_context(about)?.path();
                    if path.join(manifest::NAME).is_file() {
                        names.extend(path.file_name().and_then(|name| name.to_str()).map(str::to_owned));
                    }
                }
            }
            Kind::Store(store, _) => {
                for name in store.folders().await? {
                    if is_moment(&name) && store.file(&format!("{name}/{}", manifest::NAME)).await?.is_some()
                    {
                        names.push(name);
                    }
                }
            }
        }
        // Their names have the order of their moments.
        names.retain(|name| is_moment(name));
        names.sort();
        Ok(names)
    }

    /// What a backup has.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn manifest(&self, backup: &str) -> anyhow::Result<Manifest> {
        Manifest::parse(&self.read(backup, manifest::NAME).await?, &self.shown_backup(backup))
    }

    /// A small file of a backup.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn read(&self, backup: &str, file: &str) -> anyhow::Result<Vec<u8>> {
        let about = || format!("could not read {file} of {}", self.shown_backup(backup));
        match &self.kind {
            Kind::Folder(folder) => fs::read(folder.join(backup).join(file)).with_context(about),
            Kind::Store(store, _) => {
                let bytes = store.read_file(&format!("{backup}/{file}")).await?;
                bytes.map(Vec::from).context("it is missing").with_context(about)
            }
        }
    }

    /// Brings a file of a backup here, readable by its owner alone.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(super) async fn fetch(&self, backup: &str, file: &str, to: &Path) -> anyhow::Result<()> {
        let about = || format!("could not copy {file} of {}", self.shown_backup(backup));
        data_dir::ensure_private(to).with_context(about)?;
        match &self.kind {
            Kind::Folder(folder) => drop(fs::copy(folder.join(backup).join(file), to).with_context(about)?),
            Kind::Store(store, _) => {
                store.download(&format!("{backup}/{file}"), to).await.with_context(about)?;
            }
        }
        fs::File::open(to).and_then(|file| file.sync_all()).with_context(about)
    }

    /// The folder in which the files of a new backup are made: in the place itself, or, for a store, in the data folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn draft(&self, name: &str, data_dir: &Path) -> anyhow::Result<Draft> {
        let (path, is_sent) = match &self.kind {
            Kind::Folder(folder) => (folder.join(format!("{name}{UNFINISHED}")), false),
            Kind::Store(..) => (data_dir.join(format!("backup{UNFINISHED}")), true),
        };
        if path.exists() {
            // A run that was killed left it.
            fs::remove_dir_all(&path).with_context(|| format!("could not remove {}", path.display()))?;
        }
        data_dir::make_folder(&path)?;
        Ok(Draft { path, is_sent })
    }

    /// Makes a backup of a draft. The manifest comes last: without it there is no backup. What a store took is read again and compared.
    ///
    /// # Errors
    /// When it cannot be written, or is another one afterwards.
    pub(super) async fn keep(&self, name: &str, draft: Draft, manifest: &Manifest) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(manifest)? + "\n";
        let about = || format!("could not make {}", self.shown_backup(name));
        match &self.kind {
            Kind::Folder(folder) => {
                data_dir::write_secret(&draft.path.join(manifest::NAME), &text).with_context(about)?;
                let backup = folder.join(name);
                fs::rename(&draft.path, &backup).with_context(about)?;
                data_dir::sync_folder_of(&backup).with_context(about)
            }
            Kind::Store(store, _) => {
                for (file, expected) in &manifest.files {
                    let stored = format!("{name}/{file}");
                    store.upload(&draft.path.join(file), &stored).await.with_context(about)?;
                    let kept = store.sha256(&stored).await.with_context(about)?;
                    ensure!(
                        kept == *expected,
                        "{stored} was written, and {} has other bytes for it",
                        self.place
                    );
                }
                store.write_file(&format!("{name}/{}", manifest::NAME), text.into()).await.with_context(about)
            }
        }
    }

    /// Removes a backup. Without its manifest it is none any more, however far this comes.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) async fn remove(&self, name: &str, manifest: &Manifest) -> anyhow::Result<()> {
        let about = || format!("could not remove {}", self.shown_backup(name));
        match &self.kind {
            Kind::Folder(folder) => {
                let backup = folder.join(name);
                fs::remove_file(backup.join(manifest::NAME)).with_context(about)?;
                fs::remove_dir_all(&backup).with_context(about)
            }
            Kind::Store(store, _) => {
                let files = [manifest::NAME].into_iter().chain(manifest.files.keys().map(String::as_str));
                for file in files {
                    store.remove_file(&format!("{name}/{file}")).await.with_context(about)?;
                }
                Ok(())
            }
        }
    }
}

/// The files of a backup while it is being made.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) path: PathBuf,
    /// They are sent elsewhere, and go.
    is_sent: bool,
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.is_sent
            && let Err(fault) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(error = error_chain(&fault), "could not remove {}", self.path.display());
        }
    }
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
