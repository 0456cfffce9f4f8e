//! The folder or the store with the images.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use honoken_service::image_store::{ImageStore, Place, StoreFault, StoredFile};

use crate::config::Config;

/// How often an image is tried while a store is away.
const TRIES: usize = 10;

/// Where the images are.
#[derive(Clone)]
pub(super) struct Source {
    store: ImageStore,
    name: String,
}

impl Source {
    /// Opens a folder or a store, and makes sure that it answers.
    ///
    /// # Errors
    /// When it is not there, or does not answer.
    pub(super) async fn open(text: &str, config: &Config) -> anyhow::Result<Self> {
        let place = config.place("FROM", text)?;
        if let Place::Folder(folder) = &place {
            ensure!(folder.is_dir(), "there is no folder {}", folder.display());
        }
        let store = ImageStore::open_to_read(&place)?;
        store.reach().await?;
        let name = place.to_string();
        Ok(Self { store, name })
    }

    /// How it is called, without secrets.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The folder, if it is one.
    pub(super) fn folder(&self) -> Option<&Path> {
        match self.store.place() {
            Place::Folder(folder) => Some(folder),
            Place::Memory | Place::Remote(_) => None,
        }
    }

    /// How many images it has.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(super) async fn count(&self) -> anyhow::Result<u64> {
        let images =
            self.store.paths().await?.try_fold(0, async |count, path| Ok(count + u64::from(is_image(&path))));
        Ok(images.await?)
    }

    /// The names of its images, in no particular order.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(super) async fn images(
        &self,
    ) -> anyhow::Result<impl Stream<Item = Result<String, StoreFault>> + Send> {
        Ok(self.store.paths().await?.try_filter(|path| std::future::ready(is_image(path))))
    }

    /// The size and the time of an image, waiting while the store is away for a moment.
    ///
    /// # Errors
    /// When the store stays away, or the image has gone.
    pub(super) async fn describe(&self, path: &str) -> anyhow::Result<StoredFile> {
        let found = patiently(|| self.store.file(path)).await?;
        found.with_context(|| format!("{path} went away"))
    }

    /// The bytes of an image, likewise.
    ///
    /// # Errors
    /// When the store stays away, or the image has gone.
    pub(super) async fn read(&self, path: &str) -> anyhow::Result<Bytes> {
        let found = patiently(|| self.store.read_file(path)).await?;
        found.with_context(|| format!("{path} went away"))
    }
}

async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, StoreFault>
where
    F: Future<Output = Result<T, StoreFault>>,
{
    let mut tries = 1;
    loop {
        match ask().await {
            Err(_) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            answer => return answer,
        }
    }
}

/// Other files than images are left alone.
fn is_image(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
}
