//! Finds the images that nothing refers to, and removes them so that they can be put back.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use honoken_domain::ids::{Digest, UnixSeconds};

use super::first_seen::FirstSeen;
use super::listing::Listed;
use super::store::{ImageStore, StoreFault};

/// Images that a store is asked for at a time.
const AT_A_TIME: usize = 16;

/// The images of a store, divided.
#[derive(Debug, Default)]
pub struct Found {
    /// Images that something refers to.
    pub referred_to: u64,
    /// Images that nothing refers to, and that were stored too lately, or have been so for too short a time.
    pub new: u64,
    /// All others.
    pub garbage: Vec<Listed>,
    /// The images that are there and that nothing refers to.
    pub unreferred: BTreeSet<Digest>,
}

impl Found {
    /// Bytes of the images that may be removed.
    pub fn bytes(&self) -> u64 {
        self.garbage.iter().map(|image| image.bytes).sum()
    }

    fn add_unreferred(&mut self, image: Listed, before: UnixSeconds) {
        self.unreferred.insert(image.digest.clone());
        if image.stored_at >= before {
            self.new += 1;
        } else {
            self.garbage.push(image);
        }
    }
}

/// Divides the images of a store that lists them: what is not among `referred_to` and was stored before a moment is garbage.
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
        } else {
            found.add_unreferred(image, before);
        }
    }
    Ok(found)
}

/// Divides those images of a store that are `known`, where it neither lists them nor says when they were stored. An image is garbage once nothing
/// has referred to it since `before`, as far as was looked: the store keeps when that was seen first. With `now` this look counts as well; without
/// it nothing is written.
///
/// # Errors
/// When the store cannot be used.
pub async fn find_among(
    store: &ImageStore,
    known: &BTreeSet<Digest>,
    referred_to: &BTreeSet<Digest>,
    before: UnixSeconds,
    now: Option<UnixSeconds>,
) -> Result<Found, StoreFault> {
    let earlier = FirstSeen::read(store).await?;
    let asked = stream::iter(known).map(async |digest| Ok((digest, store.facts_of(digest).await?)));
    let mut asked = Box::pin(asked.buffer_unordered(AT_A_TIME));
    let (mut found, mut seen) = (Found::default(), FirstSeen::default());
    while let Some((digest, facts)) = asked.try_next().await? {
        let Some(facts) = facts else { continue };
        if referred_to.contains(digest) {
            found.referred_to += 1;
            continue;
        }
        let first = earlier.0.get(digest).copied().or(now);
        if let Some(first) = first {
            seen.0.insert(digest.clone(), first);
        }
        let stored_at = first.unwrap_or(UnixSeconds(i64::MAX));
        let listed = Listed { digest: digest.clone(), bytes: facts.content_length(), stored_at };
        found.add_unreferred(listed, before);
    }
    if now.is_some() {
        seen.write(store).await?;
    }
    Ok(found)
}

/// Forgets since when nothing referred to images that are not there any more: if they come again, that counts anew.
///
/// # Errors
/// When the store cannot be used.
pub async fn forget_removed(store: &ImageStore, garbage: &[Listed]) -> Result<(), StoreFault> {
    let mut seen = FirstSeen::read(store).await?;
    for image in garbage {
        seen.0.remove(&image.digest);
    }
    seen.write(store).await
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
