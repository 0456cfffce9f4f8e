//! Names of image files: a slot and a scale, `logo@2x.png`, in the folder of a language if it is for that one alone, `de.lproj/logo@2x.png`.

use std::fmt;

use thiserror::Error;

use crate::{ImageSlot, Language};

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
    /// [`UnknownImage`] names the accepted ones.
    pub fn parse(file_name: &str) -> Result<Self, UnknownImage> {
        let scale = |rest: &str| {
            Scale::ALL.into_iter().find(|scale| rest.strip_suffix(".png") == Some(scale.suffix()))
        };
        let name = |slot: ImageSlot| Some(Self::new(slot, scale(file_name.strip_prefix(slot.as_str())?)?));
        ImageSlot::ALL
            .into_iter()
            .find_map(name)
            .ok_or_else(|| UnknownImage { file_name: file_name.to_owned() })
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

/// The path of an image file within a pass: its name, in the folder of a language if it is for that language alone. Those for all languages come
/// first in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageFile {
    language: Option<Language>,
    name: ImageName,
}

impl ImageFile {
    /// The file of an image, for one language or for all.
    pub const fn new(language: Option<Language>, name: ImageName) -> Self {
        Self { language, name }
    }

    /// Reads a path such as `logo@2x.png` or `de.lproj/logo@2x.png`.
    ///
    /// # Errors
    /// [`UnknownImage`] names the accepted ones.
    pub fn parse(path: &str) -> Result<Self, UnknownImage> {
        let unknown = || UnknownImage { file_name: path.to_owned() };
        let Some((folder, name)) = path.split_once('/') else {
            return ImageName::parse(path).map(Self::from);
        };
        let language = Language::of_folder(folder).ok_or_else(unknown)?;
        Ok(Self { language: Some(language), name: ImageName::parse(name).map_err(|_| unknown())? })
    }

    /// The language that it is for; `None` if it is for all.
    pub const fn language(&self) -> Option<&Language> {
        self.language.as_ref()
    }

    /// Its name, without a folder.
    pub const fn name(&self) -> ImageName {
        self.name
    }

    /// The purpose of the image.
    pub const fn slot(&self) -> ImageSlot {
        self.name.slot
    }

    /// Whether it is an icon that a phone finds: one for all languages.
    pub fn is_icon(&self) -> bool {
        self.slot() == ImageSlot::Icon && self.language.is_none()
    }
}

impl From<ImageName> for ImageFile {
    fn from(name: ImageName) -> Self {
        Self { language: None, name }
    }
}

impl fmt::Display for ImageFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.language {
            Some(language) => write!(formatter, "{}/{}", language.folder(), self.name),
            None => self.name.fmt(formatter),
        }
    }
}

/// A file name that no image of a pass has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown image {}; accepted: {}", shortened(file_name), accepted())]
pub struct UnknownImage {
    /// The file name that was sent.
    pub file_name: String,
}

/// Characters of a name that an error repeats.
const MOST_QUOTED: usize = 60;

fn shortened(name: &str) -> String {
    let mut characters = name.chars();
    let head: String = characters.by_ref().take(MOST_QUOTED).collect();
    if characters.next().is_some() { format!("{head:?}…") } else { format!("{head:?}") }
}

fn accepted() -> String {
    let slots = ImageSlot::ALL.map(|slot| format!("{}.png", slot.as_str())).join(", ");
    format!(
        "{slots}, each also with @2x or @3x before .png, and in the folder of a language, like de.lproj/logo.png"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_slot_and_a_scale() {
        let background = ImageName::parse("background@3x.png").unwrap();
        assert_eq!((background.slot(), background.scale()), (ImageSlot::Background, Scale::Three));
        for each in ImageName::all() {
            assert_eq!(ImageName::parse(&each.to_string()), Ok(each));
        }
        assert_eq!(ImageName::all().count(), 33);
    }

    #[test]
    fn a_file_is_for_one_language_or_for_all() {
        let german = ImageFile::parse("de.lproj/logo@2x.png").unwrap();
        assert_eq!((german.language().unwrap().as_str(), german.slot()), ("de", ImageSlot::Logo));
        for text in ["de.lproj/logo@2x.png", "zh-Hans.lproj/strip.png", "icon@3x.png"] {
            assert_eq!(ImageFile::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "de/logo.png",
            "de.lproj/logo.jpg",
            "/logo.png",
            "a/de.lproj/logo.png",
            "de.lproj/",
            "../logo.png",
        ] {
            assert_eq!(ImageFile::parse(text), Err(UnknownImage { file_name: text.to_owned() }));
        }
        assert!(ImageFile::parse("logo.png").unwrap() < german, "files for all languages come first");
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_accepted_ones() {
        let long = format!("{}.png", "x".repeat(5_000));
        for text in [
            "Icon.png",
            "icon@4x.png",
            "icon@1x.png",
            "icon.pdf",
            "../icon.png",
            "stripe.png",
            "icon",
            "",
            &long,
        ] {
            let error = ImageName::parse(text).unwrap_err();
            assert_eq!(error, UnknownImage { file_name: text.to_owned() });
            let said = error.to_string();
            assert!(said.contains("background.png, footer.png") && said.len() < 600, "{said}");
        }
    }
}
