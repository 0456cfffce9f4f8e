//! The images that the backups in a place share, and the list that each backup has of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use honoken_domain::ids::Digest;

use crate::{data_dir, image_store};

/// The folder that backups share.
pub(super) const FOLDER: &str = "images";

/// The list of a backup: a digest on each line.
pub(super) const LIST: &str = "images.txt";

/// Copies every image of one folder into another that lacks it, and gives the digests of all. An image that is damaged is left out, and said.
pub(super) fn copy_all(
    from: &Path,
    to: &Path,
    mut copied: impl FnMut(u64),
) -> anyhow::Result<BTreeSet<Digest>> {
    let mut digests = BTreeSet::new();
    for group in entries(from)? {
        for file in entries(&group)? {
            // A file that is being written has another name.
            let Some(digest) = digest_of(from, &file) else { continue };
            if copy(from, to, &digest)? {
                digests.insert(digest);
                copied(digests.len() as u64);
            }
        }
    }
    Ok(digests)
}

/// Copies an image unless it is there. `false` when it is missing or damaged, which is logged.
pub(super) fn copy(from: &Path, to: &Path, digest: &Digest) -> anyhow::Result<bool> {
    let (source, target) = (path(from, digest), path(to, digest));
    let about = |file: &Path| format!("could not copy {}", file.display());
    if target.is_file() && Digest::of(&fs::read(&target).with_context(|| about(&target))?) == *digest {
        return Ok(true);
    }
    let bytes = match fs::read(&source) {
        Ok(bytes) => bytes,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(fault) => return Err(fault).with_context(|| about(&source)),
    };
    if Digest::of(&bytes) != *digest {
        tracing::warn!("the image {} is missing or damaged: it is left out", source.display());
        return Ok(false);
    }
    if let Some(group) = target.parent() {
        data_dir::make_folder(group)?;
    }
    data_dir::write_private(&target, &bytes).with_context(|| about(&target))?;
    Ok(true)
}

/// The digests in the list of a backup.
pub(super) fn listed(backup: &Path) -> anyhow::Result<BTreeSet<Digest>> {
    let file = backup.join(LIST);
    let text = fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
    let digests = text.lines().map(|line| Digest::parse(line.to_owned()));
    digests
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} has a line that is no digest", file.display()))
}

/// Removes the images that no list has.
pub(super) fn remove_others(folder: &Path, listed: &BTreeSet<Digest>) -> anyhow::Result<()> {
    for group in entries(folder)? {
        for file in entries(&group)? {
            let digest = digest_of(folder, &file);
            if digest.is_some_and(|digest| !listed.contains(&digest)) {
                data_dir::remove_if_there(&file)
                    .with_context(|| format!("could not remove {}", file.display()))?;
            }
        }
    }
    Ok(())
}

/// As images are stored in a data folder.
fn path(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join(image_store::path(digest))
}

/// The image that a file in a folder is; `None` for one with another name.
fn digest_of(folder: &Path, file: &Path) -> Option<Digest> {
    image_store::digest_of(file.strip_prefix(folder).ok()?.to_str()?)
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
