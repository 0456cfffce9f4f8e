//! How large an image should be.

use honoken_styles::{ImageName, Points};
use thiserror::Error;

use crate::image::PngHeader;

/// An image of another size than Wallet draws. A phone scales or cuts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "{name} is {}×{} pixels, and Wallet draws {}: a phone scales or cuts it",
    found.width,
    found.height,
    drawn_sizes(*name)
)]
pub struct WrongSize {
    /// The file.
    pub name: ImageName,
    /// Its size.
    pub found: PngHeader,
}

/// Compares the pixels of an image with the points of its slot, times its scale.
///
/// <https://developer.apple.com/documentation/walletpasses/creating-the-source-for-a-pass>
///
/// # Errors
/// [`WrongSize`] names the file, its size and the sizes that Wallet draws. It is worth a warning and no more.
pub fn check_size(name: &ImageName, found: PngHeader) -> Result<(), WrongSize> {
    let (factor, sizes) = (name.scale().factor(), name.slot().sizes());
    let fits = sizes.iter().any(|points| match *points {
        Points::Exactly(width, height) => found.width == width * factor && found.height == height * factor,
        Points::AtMost(width, height) => found.width <= width * factor && found.height <= height * factor,
    });
    if fits || sizes.is_empty() { Ok(()) } else { Err(WrongSize { name: *name, found }) }
}

fn drawn_sizes(name: ImageName) -> String {
    let factor = name.scale().factor();
    let describe = |points: &Points| match points {
        Points::Exactly(width, height) => format!("{}×{}", width * factor, height * factor),
        Points::AtMost(width, height) => format!("at most {}×{}", width * factor, height * factor),
    };
    name.slot().sizes().iter().map(describe).collect::<Vec<_>>().join(" or ")
}
