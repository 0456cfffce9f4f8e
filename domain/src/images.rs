//! Which images a pass shows: its own, else those of its pass type, else the brand's.
//!
//! The choice is made per slot (`logo`), not per file: a pass with a `logo.png` of its own must not show the brand's `logo@2x.png`
//! on a sharper screen. What is chosen here is carried in the event, so that nothing is looked up on a phone's request.

use std::collections::BTreeMap;

use crate::ids::Digest;
use crate::pass::TicketStyle;

/// Images by file name (`logo@2x.png`), each as the digest of its bytes.
pub type Images = BTreeMap<String, Digest>;

/// The images a pass falls back to, as they stand when a command is decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefaultImages {
    /// Those of its pass type.
    pub pass_type: Images,
    /// Those of the brand, for all pass types.
    pub brand: Images,
}

/// The slot of a file name: `logo` for `logo.png` and `logo@2x.png`.
pub fn slot(file: &str) -> &str {
    file.split(['@', '.']).next().unwrap_or(file)
}

/// The images that end up in a pass.
pub fn resolve(style: TicketStyle, own: &Images, defaults: &DefaultImages) -> Images {
    let mut resolved = Images::new();
    for wanted in style.image_slots() {
        let of_slot = |images: &Images| -> Images {
            images
                .iter()
                .filter(|(file, _)| slot(file) == *wanted)
                .map(|(f, d)| (f.clone(), d.clone()))
                .collect()
        };
        let chosen = [own, &defaults.pass_type, &defaults.brand]
            .into_iter()
            .map(of_slot)
            .find(|images| !images.is_empty());
        resolved.extend(chosen.unwrap_or_default());
    }
    resolved
}

/// The first slot that a pass of this kind must fill and `images` does not.
pub fn missing_slot(style: TicketStyle, poster: bool, images: &Images) -> Option<&'static str> {
    style
        .required_slots(poster)
        .iter()
        .find(|wanted| !images.keys().any(|file| slot(file) == **wanted))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(files: &[(&str, &str)]) -> Images {
        files.iter().map(|(file, bytes)| ((*file).to_owned(), Digest::of(bytes.as_bytes()))).collect()
    }

    #[test]
    fn an_own_image_hides_every_scale_of_the_type_and_the_brand() {
        let defaults = DefaultImages {
            pass_type: images(&[("logo@2x.png", "type")]),
            brand: images(&[("logo.png", "brand"), ("logo@2x.png", "brand"), ("icon.png", "brand")]),
        };
        let resolved = resolve(TicketStyle::Event, &images(&[("logo.png", "own")]), &defaults);
        assert_eq!(resolved, images(&[("icon.png", "brand"), ("logo.png", "own")]));
    }

    #[test]
    fn the_types_image_comes_before_the_brands() {
        let defaults = DefaultImages {
            pass_type: images(&[("icon.png", "type")]),
            brand: images(&[("icon@3x.png", "brand")]),
        };
        assert_eq!(resolve(TicketStyle::Event, &Images::new(), &defaults), images(&[("icon.png", "type")]));
    }

    #[test]
    fn an_image_without_a_slot_in_the_style_is_left_out() {
        let own = images(&[("footer.png", "own")]);
        assert_eq!(resolve(TicketStyle::Event, &own, &DefaultImages::default()), Images::new());
    }

    #[test]
    fn any_scale_fills_a_required_slot() {
        assert_eq!(missing_slot(TicketStyle::Event, false, &images(&[("icon@3x.png", "x")])), None);
        assert_eq!(missing_slot(TicketStyle::Event, false, &images(&[("logo.png", "x")])), Some("icon"));
        assert_eq!(missing_slot(TicketStyle::Event, true, &images(&[("icon.png", "x")])), Some("background"));
    }
}
