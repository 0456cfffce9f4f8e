//! Bundles of passes, `.pkpasses`. A bundle is as large as all its passes, so a bounded number of bytes of them is in memory at a time,
//! until each has been sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use honoken_pkpass::MAX_BUNDLE_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::permits::Overloaded;

/// A permit of the semaphore stands for so many bytes.
const UNIT: usize = 1024;

/// Units of a bundle of the largest size.
const LARGEST: usize = MAX_BUNDLE_BYTES.div_ceil(UNIT);

/// The longest that a bundle waits for memory.
const TURN: Duration = Duration::from_secs(10);

/// Memory for bundles: one of the largest size being packed, and as many bytes again of others.
#[derive(Debug, Clone)]
pub struct Bundles {
    memory: Arc<Semaphore>,
}

/// A bundle that passes are put into, with the memory of one of the largest size.
#[derive(Debug)]
pub struct Bundle {
    memory: OwnedSemaphorePermit,
    passes: Vec<Bytes>,
    bytes: usize,
}

/// A packed bundle, and its memory.
struct Packed {
    bytes: Vec<u8>,
    _memory: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Packed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why passes were not packed.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The passes have more bytes than a phone takes in one bundle.
    #[error("the passes have {bytes} bytes or more, and a phone takes {MAX_BUNDLE_BYTES} in one bundle")]
    TooLarge {
        /// Bytes of the passes up to the one that is too much.
        bytes: usize,
    },
    /// The archive could not be written.
    #[error("the bundle could not be packed")]
    Pack(#[source] honoken_pkpass::BuildError),
    /// The thread that packed it panicked.
    #[error("the packing ended unexpectedly")]
    Died,
}

impl Default for Bundles {
    fn default() -> Self {
        Self { memory: Arc::new(Semaphore::new(2 * LARGEST)) }
    }
}

impl Bundles {
    /// Waits for the memory of a bundle of the largest size.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn begin(&self) -> Result<Bundle, Overloaded> {
        let units = u32::try_from(LARGEST).map_err(|_| Overloaded)?;
        let permit = tokio::time::timeout(TURN, self.memory.clone().acquire_many_owned(units)).await;
        // The semaphore is never closed, so the only failure is the timeout.
        let memory = permit.ok().and_then(Result::ok).ok_or(Overloaded)?;
        Ok(Bundle { memory, passes: Vec::new(), bytes: 0 })
    }
}

impl Bundle {
    /// Adds a signed pass.
    ///
    /// # Errors
    /// [`BundleError::TooLarge`].
    pub fn add(&mut self, pass: Bytes) -> Result<(), BundleError> {
        self.bytes += pass.len();
        if self.bytes > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLarge { bytes: self.bytes });
        }
        self.passes.push(pass);
        Ok(())
    }

    /// The bytes of the `.pkpasses`. Memory that it does not need is free at once, the rest when the last copy of the bytes is dropped.
    ///
    /// # Errors
    /// [`BundleError`].
    pub async fn pack(self) -> Result<Bytes, BundleError> {
        let Self { mut memory, passes, .. } = self;
        let packing =
            tokio::task::spawn_blocking(move || honoken_pkpass::bundle(passes.iter().map(|pass| &**pass)));
        let bytes = packing.await.map_err(|_| BundleError::Died)?.map_err(BundleError::Pack)?;
        let kept = memory.split(bytes.len().div_ceil(UNIT).min(memory.num_permits()));
        Ok(match kept {
            Some(kept) => Bytes::from_owner(Packed { bytes, _memory: kept }),
            None => bytes.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bundle_holds_the_memory_of_its_bytes_until_they_are_dropped() {
        let bundles = Bundles::default();
        let mut bundle = bundles.begin().await.unwrap();
        bundle.add(Bytes::from(vec![7; 4096])).unwrap();
        let bundle = bundle.pack().await.unwrap();
        let used = 2 * LARGEST - bundles.memory.available_permits();
        assert_eq!(used, bundle.len().div_ceil(UNIT));
        let copy = bundle.clone();
        drop(bundle);
        assert_eq!(2 * LARGEST - bundles.memory.available_permits(), used);
        drop(copy);
        assert_eq!(bundles.memory.available_permits(), 2 * LARGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn two_of_unknown_size_are_packed_at_a_time_and_a_third_is_refused_in_the_end() {
        let bundles = Bundles::default();
        let first = bundles.begin().await.unwrap();
        let _second = bundles.begin().await.unwrap();
        assert_eq!(bundles.begin().await.unwrap_err(), Overloaded);
        drop(first);
        bundles.begin().await.unwrap();
    }

    #[tokio::test]
    async fn more_bytes_than_a_phone_takes_are_refused_before_they_are_packed() {
        let bundles = Bundles::default();
        let half = Bytes::from(vec![0; MAX_BUNDLE_BYTES / 2 + 1]);
        let mut bundle = bundles.begin().await.unwrap();
        bundle.add(half.clone()).unwrap();
        let refused = bundle.add(half).unwrap_err();
        assert!(matches!(refused, BundleError::TooLarge { bytes } if bytes == MAX_BUNDLE_BYTES + 2));
        drop(bundle);
        assert_eq!(bundles.memory.available_permits(), 2 * LARGEST);
    }
}
