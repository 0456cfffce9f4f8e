//! Names of image files: which of them a phone knows, and which one was meant.

use crate::image::{ImageName, ImageSlot};

const ENDINGS: [&str; 8] = ["png", "jpg", "jpeg", "gif", "webp", "heic", "pdf", "svg"];

/// The most characters that a misspelt name may differ in.
const TYPOS: usize = 2;

/// Characters of a name that are compared; a longer one is far from every slot.
const LONGEST: usize = 40;

/// Whether a file is an image by its ending.
pub(super) fn is_image(path: &str) -> bool {
    ENDINGS.iter().any(|known| ending(path).eq_ignore_ascii_case(known))
}

/// What stands behind the last full stop of the name; `jpg` is short for `jpeg`.
pub(super) fn ending(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    match name.rsplit_once('.') {
        Some((_, ending)) if ending.eq_ignore_ascii_case("jpg") => "jpeg",
        Some((_, ending)) => ending,
        None => "",
    }
}

/// What an image is by its first bytes, if it is one that is known.
pub(super) fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("PNG"),
        [0xff, 0xd8, 0xff, ..] => Some("JPEG"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("WEBP"),
        [b'%', b'P', b'D', b'F', ..] => Some("PDF"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'h', b'e', b'i', ..] => Some("HEIC"),
        _ => None,
    }
}

/// Reads the name of a file without its folder.
///
/// # Errors
/// A sentence that says which name was meant, if that can be told.
pub(super) fn read(name: &str) -> Result<ImageName, String> {
    // Apple's own tool takes PDF for every slot.
    let as_png = name.strip_suffix(".pdf").map(|stem| format!("{stem}.png"));
    ImageName::parse(as_png.as_deref().unwrap_or(name)).map_err(|_| unknown(name))
}

fn unknown(name: &str) -> String {
    if name.contains('/') {
        return "a phone looks for images at the root and in folders of languages like en.lproj only"
            .to_owned();
    }
    match meant(name) {
        Some(meant) => format!("a phone ignores this name; did you mean {meant}?"),
        None => "no image of a pass has this name, and a phone ignores it".to_owned(),
    }
}

fn meant(name: &str) -> Option<String> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_lowercase();
    let (base, suffix) = scale(&stem);
    let base = base.trim_end_matches(['@', '-', '_', ' ', '.', '~']);
    let base: String = base.chars().take(LONGEST).collect();
    let slots = ImageSlot::ALL.into_iter().map(ImageSlot::as_str);
    let near = slots.map(|slot| (strsim::osa_distance(&base, &slot.to_lowercase()), slot));
    let (_, slot) = near.filter(|(distance, slot)| *distance <= TYPOS.min(slot.len() / 3)).min()?;
    Some(format!("{slot}{suffix}.png"))
}

/// A stem without its scale, and the scale as it is written right.
fn scale(stem: &str) -> (&str, &'static str) {
    for (digit, suffix) in [("1", ""), ("2", "@2x"), ("3", "@3x")] {
        for ending in [format!("{digit}x"), format!("x{digit}"), digit.to_owned()] {
            if let Some(base) = stem.strip_suffix(&ending) {
                return (base, suffix);
            }
        }
    }
    (stem, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_slot_is_known() {
        for name in ["icon.png", "icon@2x.png", "primaryLogo@3x.png", "venueMap.png", "strip.pdf"] {
            assert!(read(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_name_that_was_meant_is_told() {
        for (name, meant) in [
            ("icon@2X.png", "icon@2x.png"),
            ("Icon.png", "icon.png"),
            ("icon2x.png", "icon@2x.png"),
            ("icon_3x.png", "icon@3x.png"),
            ("logo@2.png", "logo@2x.png"),
            ("logo-2x.png", "logo@2x.png"),
            ("logo@2x.PNG", "logo@2x.png"),
            ("logo@2x.jpg", "logo@2x.png"),
            ("tumbnail.png", "thumbnail.png"),
            ("backgroud@2x.png", "background@2x.png"),
            ("primarylogo.png", "primaryLogo.png"),
            ("primary_logo@2x.png", "primaryLogo@2x.png"),
        ] {
            assert!(
                read(name).unwrap_err().ends_with(&format!("did you mean {meant}?")),
                "{name}: {:?}",
                read(name)
            );
        }
        for name in ["map.png", "photo.png", "x.png", "icon@4x.png.png"] {
            assert!(!read(name).unwrap_err().contains("did you mean"), "{name}: {:?}", read(name));
        }
        assert!(read("images/icon.png").unwrap_err().contains("at the root"));
    }
}
