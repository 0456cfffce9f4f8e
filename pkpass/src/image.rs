//! The images of a pass: their sizes, and enough of PNG to know that a file is one. Their names are those of `honoken-styles`.
//!
//! Reading an image's size walks its chunks and compares their checksums, which costs no memory. Whether its pixels can be read is looked at
//! once, when it is uploaded ([`decode_png`]).
//!
//! <https://developer.apple.com/documentation/walletpasses/creating-the-source-for-a-pass>

mod png;
mod scales;
mod size;

use std::fmt;

use bytes::Bytes;
use sha1::{Digest, Sha1};

pub use honoken_styles::{ImageFile, ImageName, ImageSlot, Scale, UnknownImage};
pub use png::{HEAD_BYTES, PngError, PngHeader, decode_png, read_head, read_png};
pub use scales::scaled;
pub use size::{WrongSize, check_size};

/// The largest image accepted, in bytes: 2 MiB.
pub const MAX_IMAGE_BYTES: usize = 2 * 1024 * 1024;

/// The largest width or height accepted, in pixels.
pub const MAX_IMAGE_PIXELS: u32 = 4096;

/// The bytes of an image with their SHA-1, which every manifest that lists the image needs.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    bytes: Bytes,
    sha1: [u8; 20],
}

impl Image {
    /// Hashes the bytes, once. They are not checked here: see [`read_png`] and [`check_size`].
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let sha1 = Sha1::digest(&bytes).into();
        Self { bytes, sha1 }
    }

    /// The bytes with the SHA-1 that was computed of them before.
    pub fn with_sha1(bytes: impl Into<Bytes>, sha1: [u8; 20]) -> Self {
        Self { bytes: bytes.into(), sha1 }
    }

    /// The file itself.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// SHA-1 of the file, as the manifest lists it.
    pub fn sha1(&self) -> &[u8; 20] {
        &self.sha1
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Image({} bytes, sha1 {})", self.bytes.len(), hex::encode(self.sha1))
    }
}
