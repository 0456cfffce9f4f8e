//! Names of image files: a slot and a scale, `logo@2x.png`.

use std::fmt;

use crate::image::ImageError;

/// The purpose of an image; the first part of its file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageSlot {
    /// Behind the poster look of a generic pass (iOS 27).
    Artwork,
    /// Behind the front of an event ticket: blurred on the plain look, sharp on the poster look.
    Background,
    /// Above the barcode of a boarding pass.
    Footer,
    /// On the lock screen, in Mail, in notifications. A pass without an icon does not open.
    Icon,
    /// In the top left corner of the front.
    Logo,
    /// In the top left corner of the looks of iOS 26 and 27.
    PrimaryLogo,
    /// Behind the primary field of a coupon or a store card.
    Strip,
    /// Beside the primary field of a generic pass.
    Thumbnail,
}

impl ImageSlot {
    /// Every slot, in the order of their names.
    pub const ALL: [Self; 8] = [
        Self::Artwork,
        Self::Background,
        Self::Footer,
        Self::Icon,
        Self::Logo,
        Self::PrimaryLogo,
        Self::Strip,
        Self::Thumbnail,
    ];

    /// The base name, without scale and ending.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Artwork => "artwork",
            Self::Background => "background",
            Self::Footer => "footer",
            Self::Icon => "icon",
            Self::Logo => "logo",
            Self::PrimaryLogo => "primaryLogo",
            Self::Strip => "strip",
            Self::Thumbnail => "thumbnail",
        }
    }
}

/// Pixels per point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scale {
    /// `name.png`
    One,
    /// `name@2x.png`
    Two,
    /// `name@3x.png`
    Three,
}

impl Scale {
    /// Every scale, smallest first.
    pub const ALL: [Self; 3] = [Self::One, Self::Two, Self::Three];

    /// Pixels per point, 1 to 3.
    pub const fn factor(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::One => "",
            Self::Two => "@2x",
            Self::Three => "@3x",
        }
    }
}

/// The name of an image file of a pass. Only names that Wallet knows exist; they order as their slots and scales do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName {
    slot: ImageSlot,
    scale: Scale,
}

impl ImageName {
    /// The name of a slot at a scale.
    pub const fn new(slot: ImageSlot, scale: Scale) -> Self {
        Self { slot, scale }
    }

    /// Every name there is, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        ImageSlot::ALL.into_iter().flat_map(|slot| Scale::ALL.map(|scale| Self::new(slot, scale)))
    }

    /// Reads a file name such as `background@3x.png`.
    ///
    /// # Errors
    /// [`ImageError::UnknownName`] names the accepted ones.
    pub fn parse(file_name: &str) -> Result<Self, ImageError> {
        Self::all()
            .find(|name| name.to_string() == file_name)
            .ok_or_else(|| ImageError::UnknownName { file_name: file_name.to_owned() })
    }

    /// The purpose of the image.
    pub const fn slot(&self) -> ImageSlot {
        self.slot
    }

    /// Its pixels per point.
    pub const fn scale(&self) -> Scale {
        self.scale
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}.png", self.slot.as_str(), self.scale.suffix())
    }
}
