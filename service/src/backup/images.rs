//! The images of a service or of its backups, in a folder or in a store, and the list that each backup has of its own.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use honoken_domain::ids::Digest;

use crate::data_dir;
use crate::image_store::{self, ImageStore};

/// The name that the images of all backups in a place share.
pub(super) const SHARED: &str = "images";

/// The list of a backup: a digest on each line.
pub(super) const LIST: &str = "images.txt";

/// Images that are copied at a time.
const AT_A_TIME: usize = 16;

/// Where images are.
#[derive(Debug, Clone)]
pub enum Images {
    /// In a folder, in files that only their owner can read.
    Folder(PathBuf),
    /// In a store.
    Store(Box<ImageStore>),
}

impl Images {
    /// Whether they can be listed.
    pub fn can_list(&self) -> bool {
        match self {
            Self::Folder(_) => true,
            Self::Store(store) => store.can_list(),
        }
    }

    /// The digests of all of them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn digests(&self) -> anyhow::Result<BTreeSet<Digest>> {
        match self {
            Self::Folder(folder) => in_folder(folder),
            Self::Store(store) => Ok(store.list().await?.into_iter().map(|image| image.digest).collect()),
        }
    }

    /// How many of these are missing.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub async fn missing(&self, digests: &BTreeSet<Digest>) -> anyhow::Result<u64> {
        let missing = stream::iter(digests).map(|digest| self.lacks(digest)).buffer_unordered(AT_A_TIME);
        missing.try_fold(0, async |missing, is_missing| Ok(missing + u64::from(is_missing))).await
    }

    async fn lacks(&self, digest: &Digest) -> anyhow::Result<bool> {
        match self {
            Self::Folder(folder) => Ok(!path(folder, digest).is_file()),
            Self::Store(store) => Ok(!store.has(digest).await?),
        }
    }

    /// Copies those images from elsewhere that are not there, and gives those that are there then. One that is missing or damaged where it comes
    /// from is left out, and said. What was written into a store is read again; what a store had before is not read, and is compared with its
    /// digest when it is restored.
    ///
    /// # Errors
    /// When one of the two places cannot be used.
    pub async fn copy_all(
        &self,
        from: &Self,
        digests: BTreeSet<Digest>,
        mut copied: impl FnMut(u64),
    ) -> anyhow::Result<BTreeSet<Digest>> {
        let (mut kept, mut done) = (BTreeSet::new(), 0);
        let copying = digests.into_iter().map(|digest| self.copy(from, digest));
        let mut copying = Box::pin(stream::iter(copying).buffer_unordered(AT_A_TIME));
        while let Some(digest) = copying.try_next().await? {
            kept.extend(digest);
            done += 1;
            copied(done);
        }
        Ok(kept)
    }

    /// Copies an image unless it is there. `None` when it is missing or damaged where it comes from, which is logged.
    async fn copy(&self, from: &Self, digest: Digest) -> anyhow::Result<Option<Digest>> {
        let is_there = match self {
            Self::Folder(_) => self.read(&digest).await?.is_some_and(|bytes| Digest::of(&bytes) == digest),
            Self::Store(store) => store.has(&digest).await?,
        };
        if is_there {
            return Ok(Some(digest));
        }
        let bytes = from.read(&digest).await?.unwrap_or_default();
        if Digest::of(&bytes) != digest {
            tracing::warn!("the image {digest} is missing or damaged: it is left out");
            return Ok(None);
        }
        self.write(&digest, bytes).await?;
        Ok(Some(digest))
    }

    async fn read(&self, digest: &Digest) -> anyhow::Result<Option<Bytes>> {
        let folder = match self {
            Self::Folder(folder) => folder,
            Self::Store(store) => return Ok(store.read(digest).await?),
        };
        let file = path(folder, digest);
        match fs::read(&file) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(fault).with_context(|| format!("could not read {}", file.display())),
        }
    }

    async fn write(&self, digest: &Digest, bytes: Bytes) -> anyhow::Result<()> {
        let folder = match self {
            Self::Folder(folder) => folder,
            Self::Store(store) => {
                store.write(digest, bytes.clone()).await?;
                let kept = store.read(digest).await?;
                ensure!(
                    kept.as_ref() == Some(&bytes),
                    "{digest} was written, and {} has other bytes for it",
                    store.place()
                );
                return Ok(());
            }
        };
        let file = path(folder, digest);
        if let Some(group) = file.parent() {
            data_dir::make_folder(group)?;
        }
        data_dir::write_private(&file, &bytes).with_context(|| format!("could not write {}", file.display()))
    }

    /// Removes the images that no list has.
    ///
    /// # Errors
    /// When they cannot be read or removed.
    pub(super) async fn remove_others(&self, listed: &BTreeSet<Digest>) -> anyhow::Result<()> {
        for digest in self.digests().await?.difference(listed) {
            match self {
                Self::Store(store) => store.remove(digest).await?,
                Self::Folder(folder) => {
                    let file = path(folder, digest);
                    let removed = data_dir::remove_if_there(&file);
                    removed.with_context(|| format!("could not remove {}", file.display()))?;
                }
            }
        }
        Ok(())
    }
}

/// The digests in the list of a backup.
pub(super) fn listed(text: &str) -> anyhow::Result<BTreeSet<Digest>> {
    let digests = text.lines().map(|line| Digest::parse(line.to_owned()));
    digests.collect::<Result<_, _>>().with_context(|| format!("{LIST} has a line that is no digest"))
}

/// The list with these digests.
pub(super) fn list(digests: &BTreeSet<Digest>) -> String {
    digests.iter().flat_map(|digest| [digest.as_str(), "\n"]).collect()
}

/// As images are stored in a data folder.
fn path(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join(image_store::path(digest))
}

fn in_folder(folder: &Path) -> anyhow::Result<BTreeSet<Digest>> {
    let mut digests = BTreeSet::new();
    for group in entries(folder)? {
        for file in entries(&group)? {
            // A file that is being written has another name.
            let name = file.strip_prefix(folder).ok().and_then(Path::to_str);
            digests.extend(name.and_then(image_store::digest_of));
        }
    }
    Ok(digests)
}

/// What is in a folder; nothing where there is none.
fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let about = || format!("could not read {}", folder.display());
    let entries = fs::read_dir(folder).with_context(about)?;
    entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>().with_context(about)
}
