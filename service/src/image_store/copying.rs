//! Copies images from one store to another.

use bytes::Bytes;
use honoken_domain::ids::Digest;

use super::store::{ImageStore, StoreFault};

/// The outcome of copying an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// It was there already, whole.
    Before,
    /// It was copied, and read again from its new place.
    Now,
}

/// Why an image was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyFault {
    /// The source does not have it.
    #[error("{0} is missing in {1}")]
    Missing(Digest, String),
    /// The source has other bytes for it.
    #[error("{0} is damaged in {1}")]
    Damaged(Digest, String),
    /// The target gives other bytes than it was given.
    #[error("{0} was written, and {1} has other bytes for it")]
    NotKept(Digest, String),
    /// A store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// Copies an image unless it is there already, and reads it from its new place: what ends well is whole there.
///
/// # Errors
/// [`CopyFault`]
pub async fn copy(from: &ImageStore, to: &ImageStore, digest: &Digest) -> Result<Copied, CopyFault> {
    let there = to.read(digest).await?;
    let is_damaged = match &there {
        Some(bytes) if is_whole(digest, bytes) => return Ok(Copied::Before),
        Some(_) => true,
        None => false,
    };
    let place = |store: &ImageStore| store.place().to_string();
    let bytes = from.read(digest).await?.ok_or_else(|| CopyFault::Missing(digest.clone(), place(from)))?;
    if !is_whole(digest, &bytes) {
        return Err(CopyFault::Damaged(digest.clone(), place(from)));
    }
    if is_damaged {
        to.replace(digest, bytes).await?;
    } else {
        to.write(digest, bytes).await?;
    }
    match to.read(digest).await? {
        Some(bytes) if is_whole(digest, &bytes) => Ok(Copied::Now),
        _ => Err(CopyFault::NotKept(digest.clone(), place(to))),
    }
}

fn is_whole(digest: &Digest, bytes: &Bytes) -> bool {
    Digest::of(bytes) == *digest
}
