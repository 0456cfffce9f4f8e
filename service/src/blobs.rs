//! Images by the SHA-256 of their bytes: stored once, hashed once, never changed.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use honoken_domain::ids::Digest;
use honoken_pkpass::image::{
    HEAD_BYTES, Image, ImageName, ImageSlot, PngError, PngHeader, UnknownImage, decode_png, read_head,
    read_png, scaled,
};
use honoken_telemetry::metrics::{ImageSource, Metric, Metrics};
use moka::future::Cache;
use prometheus::IntCounter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::image_store::{DiskCache, ImageStore, Place, StoreFault};
use crate::limits;

/// Bytes of images kept in memory.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Why an image was not stored or found.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It is not a PNG file that Wallet can show.
    #[error(transparent)]
    NotAPng(#[from] PngError),
    /// No image of a pass has this name.
    #[error(transparent)]
    UnknownName(#[from] UnknownImage),
    /// It was not uploaded.
    #[error("no image with the digest {0} has been uploaded")]
    Unknown(Digest),
    /// The stored bytes are not those that were uploaded.
    #[error("the stored image {0} is damaged")]
    Damaged(Digest),
    /// The store is unavailable.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The thread that decoded the image panicked.
    #[error("the image could not be checked")]
    Died,
}

/// An image that was checked, and may be stored.
#[derive(Debug)]
pub struct Checked {
    digest: Digest,
    bytes: Bytes,
    stored: Stored,
}

/// Counts where images came from that were not in memory.
#[derive(Debug, Clone)]
struct Reads {
    disk: IntCounter,
    store: IntCounter,
}

/// What the store has for a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Nothing,
    Damaged,
    Whole,
}

impl Checked {
    /// The digest of its bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The number of its bytes.
    pub fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether the store has it already, whole.
    pub fn is_stored(&self) -> bool {
        self.stored == Stored::Whole
    }
}

/// The images of an image store, with those that were used last in memory.
#[derive(Debug, Clone)]
pub struct Blobs {
    store: ImageStore,
    cache: Cache<Digest, Arc<Image>>,
    /// Images of a store on another machine, on this one.
    disk: Option<DiskCache>,
    /// The sizes of images that the store had a moment ago.
    sizes: Cache<Digest, PngHeader>,
    /// The SHA-1 of images that went out of memory: it is not computed again when they come back.
    hashes: Cache<Digest, [u8; 20]>,
    reads: Option<Reads>,
    /// Pixels that may be decoded at a time.
    pixels: Arc<Semaphore>,
}

impl Blobs {
    /// The images of a store.
    pub fn of(store: ImageStore) -> Self {
        let weigh = |_: &Digest, image: &Arc<Image>| u32::try_from(image.bytes().len()).unwrap_or(u32::MAX);
        Self {
            store,
            cache: Cache::builder().weigher(weigh).max_capacity(CACHE_BYTES).build(),
            disk: None,
            sizes: Cache::builder()
                .max_capacity(limits::IMAGES_REMEMBERED)
                .time_to_live(limits::IMAGE_CONFIRMED)
                .build(),
            hashes: Cache::new(limits::IMAGES_REMEMBERED),
            reads: None,
            pixels: Arc::new(Semaphore::new(limits::PIXELS_AT_WORK as usize)),
        }
    }

    /// With a cache on disk in front of the store.
    #[must_use]
    pub fn behind(mut self, disk: Option<DiskCache>) -> Self {
        self.disk = disk;
        self
    }

    /// With its reads counted.
    #[must_use]
    pub fn counted(mut self, metrics: &Metrics) -> Self {
        let counter = |source: ImageSource| metrics.counter(Metric::ImagesRead, &[source.into()]);
        self.reads = Some(Reads { disk: counter(ImageSource::Disk), store: counter(ImageSource::Store) });
        self.store = self.store.counted(metrics);
        self
    }

    /// The images of a folder.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn in_folder(folder: &Path) -> Result<Self, StoreFault> {
        ImageStore::open(&Place::Folder(folder.to_owned())).map(Self::of)
    }

    /// Checks and stores an image.
    ///
    /// # Errors
    /// [`BlobError`] when it is not an image, or the store is unavailable.
    pub async fn put(&self, bytes: Bytes) -> Result<Digest, BlobError> {
        self.store(self.check(bytes).await?).await
    }

    /// Checks an image, and looks whether the store has it.
    ///
    /// # Errors
    /// [`BlobError::NotAPng`] when it is not an image.
    pub async fn check(&self, bytes: Bytes) -> Result<Checked, BlobError> {
        let room = Arc::new(self.room_for(read_png(&bytes)?).await?);
        let (checked, held) = (bytes.clone(), room.clone());
        // Every pixel is decoded, which takes longer than other requests should wait.
        let checked = tokio::task::spawn_blocking(move || {
            let checked = decode_png(&checked).map(drop);
            // Held until the thread is done, also when the request has ended before.
            drop(held);
            checked
        });
        checked.await.map_err(|_| BlobError::Died)??;
        let digest = Digest::of(&bytes);
        // The stored bytes are read, not merely looked up and not from memory: uploading a damaged file again repairs it.
        let stored = match self.read_stored(&digest).await {
            Ok(_) => Stored::Whole,
            Err(BlobError::Unknown(_)) => Stored::Nothing,
            // What a folder cannot read is written anew. A store on another machine that is away says nothing about the image.
            Err(fault @ BlobError::Store(_)) if self.store.place().is_remote() => return Err(fault),
            Err(_) => Stored::Damaged,
        };
        drop(room);
        Ok(Checked { digest, bytes, stored })
    }

    /// Stores an image that was checked.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn store(&self, image: Checked) -> Result<Digest, BlobError> {
        let Checked { digest, bytes, stored } = image;
        match stored {
            Stored::Nothing => self.store.write(&digest, bytes.clone()).await?,
            Stored::Damaged => self.store.replace(&digest, bytes.clone()).await?,
            Stored::Whole => {}
        }
        if let Some(disk) = &self.disk {
            disk.put(&digest, bytes.clone()).await;
        }
        let image = self.hashed(&digest, bytes).await;
        self.cache.insert(digest.clone(), image).await;
        Ok(digest)
    }

    /// Checks an image, and those that are made of it for a slot at every scale. Gives the one, and the others by their names.
    ///
    /// # Errors
    /// As [`Blobs::check`].
    pub async fn check_scaled(
        &self,
        slot: ImageSlot,
        bytes: Bytes,
    ) -> Result<(Checked, Vec<(ImageName, Checked)>), BlobError> {
        let original = self.check(bytes.clone()).await?;
        let room = self.room_for(read_png(&bytes)?).await?;
        let made = tokio::task::spawn_blocking(move || {
            let made = scaled(slot, &bytes);
            // Held until the thread is done, and not while the images are checked, which needs room as well.
            drop(room);
            made
        });
        let mut images = Vec::new();
        for (name, bytes) in made.await.map_err(|_| BlobError::Died)?? {
            images.push((name, self.check(Bytes::from(bytes)).await?));
        }
        Ok((original, images))
    }

    /// Waits until few enough pixels are being decoded for one more image. Small images count as larger than they are, since each needs a
    /// thread of its own.
    async fn room_for(&self, image: PngHeader) -> Result<OwnedSemaphorePermit, BlobError> {
        let pixels = image.width.saturating_mul(image.height);
        let pixels = pixels.clamp(limits::PIXELS_OF_AN_IMAGE, limits::PIXELS_AT_WORK);
        self.pixels.clone().acquire_many_owned(pixels).await.map_err(|_| BlobError::Died)
    }

    /// The size of a stored image. The store is asked whether it still has the image, unless it was a moment ago, and for no more than the first
    /// bytes where it is on another machine.
    ///
    /// # Errors
    /// As [`Blobs::get`].
    pub async fn measure(&self, digest: &Digest) -> Result<PngHeader, BlobError> {
        if let Some(size) = self.sizes.get(digest).await {
            return Ok(size);
        }
        let size = if self.store.place().is_remote() {
            self.measure_head(digest).await?
        } else {
            if !self.store.has(digest).await? {
                return Err(BlobError::Unknown(digest.clone()));
            }
            read_png(self.get(digest).await?.bytes())?
        };
        self.sizes.insert(digest.clone(), size).await;
        Ok(size)
    }

    async fn measure_head(&self, digest: &Digest) -> Result<PngHeader, BlobError> {
        let head = match self.store.read_head(digest, HEAD_BYTES).await {
            Ok(Some(head)) => head,
            Ok(None) => return Err(BlobError::Unknown(digest.clone())),
            // What is at hand is measured without the store.
            Err(fault) => match self.at_hand(digest).await {
                Some(image) => image.bytes().clone(),
                None => return Err(fault.into()),
            },
        };
        match read_head(&head) {
            Some(size) => Ok(size),
            // It does not begin as an image does: reading all of it tells whether it is damaged.
            None => Ok(read_png(self.read_stored(digest).await?.bytes())?),
        }
    }

    /// An image, from memory, from the cache on disk or from the store. Where it is read, it is compared with its digest.
    ///
    /// # Errors
    /// [`BlobError`] when it is unknown or damaged, or the store is unavailable.
    pub async fn get(&self, digest: &Digest) -> Result<Arc<Image>, BlobError> {
        if let Some(image) = self.at_hand(digest).await {
            return Ok(image);
        }
        let image = self.read_stored(digest).await?;
        if let Some(reads) = &self.reads {
            reads.store.inc();
        }
        if let Some(disk) = &self.disk {
            disk.put(digest, image.bytes().clone()).await;
        }
        self.cache.insert(digest.clone(), image.clone()).await;
        Ok(image)
    }

    /// Several images, in this order, of which a few are read at a time.
    pub async fn get_all(
        &self,
        digests: impl IntoIterator<Item = &Digest>,
    ) -> Vec<Result<Arc<Image>, BlobError>> {
        let digests: Vec<&Digest> = digests.into_iter().collect();
        let mut images = Vec::with_capacity(digests.len());
        for few in digests.chunks(limits::IMAGES_READ_AT_A_TIME) {
            let reads: Vec<_> = few.iter().map(|digest| self.get(digest)).collect();
            images.extend(join_all(reads).await);
        }
        images
    }

    /// An image that is in memory or in the cache on disk.
    async fn at_hand(&self, digest: &Digest) -> Option<Arc<Image>> {
        if let Some(image) = self.cache.get(digest).await {
            return Some(image);
        }
        let bytes = self.disk.as_ref()?.get(digest).await?;
        if let Some(reads) = &self.reads {
            reads.disk.inc();
        }
        let image = self.hashed(digest, bytes).await;
        self.cache.insert(digest.clone(), image.clone()).await;
        Some(image)
    }

    /// The image with these bytes, whose digest is known to be right.
    async fn hashed(&self, digest: &Digest, bytes: Bytes) -> Arc<Image> {
        if let Some(sha1) = self.hashes.get(digest).await {
            return Arc::new(Image::with_sha1(bytes, sha1));
        }
        let image = Image::new(bytes);
        self.hashes.insert(digest.clone(), *image.sha1()).await;
        Arc::new(image)
    }

    async fn read_stored(&self, digest: &Digest) -> Result<Arc<Image>, BlobError> {
        let Some(bytes) = self.store.read(digest).await? else {
            return Err(BlobError::Unknown(digest.clone()));
        };
        if Digest::of(&bytes) != *digest {
            return Err(BlobError::Damaged(digest.clone()));
        }
        Ok(self.hashed(digest, bytes).await)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::dev::drawing;
    use crate::image_store::path;

    #[tokio::test]
    async fn an_image_that_was_damaged_is_noticed_and_mended_by_uploading_it_again() {
        let folder = TempDir::new().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let bytes = drawing::brand()[0].bytes.clone();
        let digest = blobs.put(bytes.clone()).await.unwrap();
        std::fs::write(folder.path().join(path(&digest)), b"").unwrap();

        let later = || Blobs::in_folder(folder.path()).unwrap();
        assert!(matches!(later().get(&digest).await, Err(BlobError::Damaged(_))));
        assert_eq!(
            blobs.put(bytes.clone()).await.unwrap(),
            digest,
            "though the good bytes are still in memory"
        );
        assert_eq!(*later().get(&digest).await.unwrap().bytes(), bytes);
    }

    #[tokio::test]
    async fn an_image_that_the_store_lost_is_noticed_where_it_is_measured_though_it_is_in_memory() {
        let folder = TempDir::new().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let digest = blobs.put(drawing::brand()[0].bytes.clone()).await.unwrap();
        std::fs::remove_file(folder.path().join(path(&digest))).unwrap();
        blobs.get(&digest).await.unwrap();
        assert!(matches!(blobs.measure(&digest).await, Err(BlobError::Unknown(_))));
    }

    #[tokio::test]
    async fn what_is_no_image_is_not_stored() {
        let folder = TempDir::new().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        assert!(matches!(blobs.put(Bytes::from_static(b"GIF89a")).await, Err(BlobError::NotAPng(_))));
        let nobody = Digest::of(b"never uploaded");
        assert!(matches!(blobs.get(&nobody).await, Err(BlobError::Unknown(digest)) if digest == nobody));
    }
}
