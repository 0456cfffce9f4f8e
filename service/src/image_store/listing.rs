//! What an image store has, where it can say so.

use futures::TryStreamExt;
use honoken_domain::ids::{Digest, UnixSeconds};
use opendal::Entry;

use super::store::{ImageStore, StoreFault, digest_of};

/// A stored image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was stored.
    pub stored_at: UnixSeconds,
}

impl ImageStore {
    /// The images, in no particular order. What has another name than that of an image is left out.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn list(&self) -> Result<Vec<Listed>, StoreFault> {
        let mut listed = Vec::new();
        let Some(mut entries) = self.entries(true).await? else { return Ok(listed) };
        while let Some(entry) = entries.try_next().await.map_err(|fault| self.fault(&fault))? {
            if let Some(digest) = digest_of(entry.path()) {
                listed.push(self.described(digest, entry).await?);
            }
        }
        Ok(listed)
    }

    async fn described(&self, digest: Digest, entry: Entry) -> Result<Listed, StoreFault> {
        let (path, mut facts) = entry.into_parts();
        if facts.last_modified().is_none() {
            facts = self.facts(&path).await?.unwrap_or(facts);
        }
        // Without a time it is taken for new.
        let stored_at = facts.last_modified().map_or(i64::MAX, |time| time.into_inner().as_second());
        Ok(Listed { digest, bytes: facts.content_length(), stored_at: UnixSeconds(stored_at) })
    }
}
