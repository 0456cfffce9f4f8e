//! Finds the images that nothing refers to, and removes them so that they can be put back.

use std::collections::BTreeSet;

use bytes::Bytes;
use honoken_domain::ids::{Digest, UnixSeconds};

use super::listing::Listed;
use super::store::{ImageStore, StoreFault};

/// The images of a store, divided.
#[derive(Debug, Default)]
pub struct Found {
    /// Images that something refers to.
    pub referred_to: u64,
    /// Images that nothing refers to, and that were stored too lately.
    pub new: u64,
    /// All others.
    pub garbage: Vec<Listed>,
}

impl Found {
    /// Bytes of the images that may be removed.
    pub fn bytes(&self) -> u64 {
        self.garbage.iter().map(|image| image.bytes).sum()
    }
}

/// Divides the images of a store: what is not among `referred_to` and was stored before a moment is garbage.
///
/// # Errors
/// When the store cannot be used.
pub async fn find(
    store: &ImageStore,
    referred_to: &BTreeSet<Digest>,
    before: UnixSeconds,
) -> Result<Found, StoreFault> {
    let mut found = Found::default();
    for image in store.list().await? {
        if referred_to.contains(&image.digest) {
            found.referred_to += 1;
        } else if image.stored_at >= before {
            found.new += 1;
        } else {
            found.garbage.push(image);
        }
    }
    Ok(found)
}

/// Removes an image. Gives its bytes, if it was there and whole.
///
/// # Errors
/// When the store cannot be used.
pub async fn remove(store: &ImageStore, digest: &Digest) -> Result<Option<(Digest, Bytes)>, StoreFault> {
    let bytes = store.read(digest).await?;
    store.remove(digest).await?;
    Ok(bytes.filter(|bytes| Digest::of(bytes) == *digest).map(|bytes| (digest.clone(), bytes)))
}

/// Puts those images back that something refers to by now. Gives how many.
///
/// # Errors
/// When the store cannot be used.
pub async fn put_back(
    store: &ImageStore,
    removed: Vec<(Digest, Bytes)>,
    referred_to: &BTreeSet<Digest>,
) -> Result<u64, StoreFault> {
    let mut put_back = 0;
    for (digest, bytes) in removed {
        if referred_to.contains(&digest) {
            store.write(&digest, bytes).await?;
            put_back += 1;
        }
    }
    Ok(put_back)
}
