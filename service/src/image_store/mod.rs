//! The image store: where the bytes of images are, whatever keeps them. [`Place`] says which store is configured; [`ImageStore`] reads and
//! writes it in bounded time, and [`DiskCache`] keeps what was read from another machine. What the bytes are is the business of [`crate::blobs`].
//!
//! Images are stored under their digests, so a write never changes what is stored, may be repeated, and may come from any process.

mod away;
mod collecting;
mod copying;
mod disk_cache;
mod files;
mod first_seen;
mod listing;
mod operator;
mod options;
mod place;
#[cfg(feature = "full")]
mod remote;
#[cfg(not(feature = "full"))]
#[path = "no_remote.rs"]
mod remote;
mod store;
#[cfg(test)]
#[cfg(feature = "full")]
mod tests;

pub use collecting::{Found, find, find_among, forget_removed, put_back, remove};
pub use copying::{Copied, CopyFault, copy};
pub use disk_cache::DiskCache;
pub use files::StoredFile;
pub use listing::Listed;
pub use options::ImageOptions;
pub use place::{Credentials, Place, PlaceFault, Remote};
pub use store::{ImageStore, StoreFault};
pub(crate) use store::{digest_of, path};
