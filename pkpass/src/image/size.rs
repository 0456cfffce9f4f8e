//! How large an image has to be.

use thiserror::Error;

use crate::finding::quoted;
use crate::image::{ImageName, ImageSlot, PngHeader};

/// Why an image cannot be taken for its slot.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImageError {
    /// No pass has a file of this name.
    #[error("unknown image {}; accepted: {}", quoted(file_name), accepted_names())]
    UnknownName {
        /// The file that was sent.
        file_name: String,
    },
    /// The image has the wrong number of pixels.
    #[error("{name} is {}×{} pixels; accepted: {}", found.width, found.height, accepted_sizes(*name))]
    WrongSize {
        /// The file.
        name: ImageName,
        /// Its size.
        found: PngHeader,
    },
}

/// A size in points: pixels at 1x.
#[derive(Clone, Copy)]
enum Points {
    Exactly { width: u32, height: u32 },
    AtMost { width: u32, height: u32 },
}

/// Where there are two, today's is first, then the one of older systems, which generators still use.
const fn sizes(slot: ImageSlot) -> &'static [Points] {
    match slot {
        ImageSlot::Artwork => &[Points::AtMost { width: 358, height: 448 }],
        ImageSlot::Footer => &[Points::AtMost { width: 286, height: 15 }],
        ImageSlot::Icon => {
            &[Points::Exactly { width: 38, height: 38 }, Points::Exactly { width: 29, height: 29 }]
        }
        ImageSlot::Logo => &[Points::AtMost { width: 160, height: 50 }],
        // Sharp on a poster, blurred on the plain ticket, cropped to the card by both: only an image that is larger than any card is refused.
        ImageSlot::Background => &[Points::AtMost { width: 345, height: 505 }],
        ImageSlot::PrimaryLogo => &[Points::AtMost { width: 126, height: 30 }],
        // Coupons and store cards have the tallest strip; those of older systems are smaller.
        ImageSlot::Strip => &[Points::AtMost { width: 375, height: 144 }],
        ImageSlot::Thumbnail => &[Points::AtMost { width: 90, height: 90 }],
    }
}

/// Compares the pixels of an image with the points of its slot, times its scale.
///
/// [`ImageError::WrongSize`] names the file, its size and the sizes that are accepted.
///
/// <https://developer.apple.com/documentation/walletpasses/creating-the-source-for-a-pass>
pub fn check_size(name: &ImageName, found: PngHeader) -> Result<(), ImageError> {
    let factor = name.scale().factor();
    let fits = sizes(name.slot()).iter().any(|points| match *points {
        Points::Exactly { width, height } => found.width == width * factor && found.height == height * factor,
        Points::AtMost { width, height } => found.width <= width * factor && found.height <= height * factor,
    });
    if fits { Ok(()) } else { Err(ImageError::WrongSize { name: *name, found }) }
}

fn accepted_sizes(name: ImageName) -> String {
    let factor = name.scale().factor();
    let describe = |points: &Points| match points {
        Points::Exactly { width, height } => format!("{}×{}", width * factor, height * factor),
        Points::AtMost { width, height } => format!("at most {}×{}", width * factor, height * factor),
    };
    sizes(name.slot()).iter().map(describe).collect::<Vec<_>>().join(" or ")
}

fn accepted_names() -> String {
    ImageName::all().map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}
