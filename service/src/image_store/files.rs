//! What a store has under names that are not digests, such as the images of another service.

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use honoken_domain::ids::UnixSeconds;

use super::place::Place;
use super::remote;
use super::store::{ImageStore, StoreFault};

/// What is stored under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// The name, with slashes, below the prefix or folder of the store.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was stored; 0 where the store does not say.
    pub stored_at: UnixSeconds,
}

impl ImageStore {
    /// The names of everything that is stored, in no particular order. They are read as they are taken. In a Redis one may come twice.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn paths(&self) -> Result<BoxStream<'_, Result<String, StoreFault>>, StoreFault> {
        if let (Place::Remote(redis), false) = (self.place(), self.can_list()) {
            return Ok(remote::scan(redis).map_err(|cause| self.fault_of(cause)).boxed());
        }
        let entries = self.entries().await?;
        let entries = stream::iter(entries.map(Ok)).try_flatten();
        let paths = entries.try_filter_map(async |entry| {
            let path = entry.path().trim_start_matches('/');
            Ok((!path.is_empty() && !path.ends_with('/')).then(|| path.to_owned()))
        });
        Ok(paths.map_err(|fault| self.fault(&fault)).boxed())
    }

    /// What is stored under a name, if there is anything.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn file(&self, path: &str) -> Result<Option<StoredFile>, StoreFault> {
        let facts = self.facts(path).await?;
        Ok(facts.map(|facts| {
            let stored_at = facts.last_modified().map_or(0, |time| time.into_inner().as_second());
            let (path, bytes) = (path.to_owned(), facts.content_length());
            StoredFile { path, bytes, stored_at: UnixSeconds(stored_at) }
        }))
    }
}
