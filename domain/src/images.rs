//! Which images a pass shows: its own, else those of its pass type, else the brand's.
//!
//! The choice is made per slot (`logo`), not per file: a pass with a `logo.png` of its own must not show the brand's `logo@2x.png`
//! on a sharper screen. What is chosen here is carried in the event, so that nothing is looked up on a phone's request.
//!
//! A slot may have images for one language each (`de.lproj/logo.png`). A file for all languages hides them on a phone, so where a slot has an image in
//! any language, none for all is taken from where the pass falls back to. The icon is the exception: a phone reads it for all languages only.

use std::collections::{BTreeMap, BTreeSet};

use honoken_styles::{ImageFile, ImageSlot, Language, PassKind};

use crate::ids::Digest;

/// Images by file name (`logo@2x.png`, `de.lproj/logo@2x.png`), each as the digest of its bytes.
pub type Images = BTreeMap<String, Digest>;

/// The images a pass falls back to, as they stand when a command is decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefaultImages {
    /// Those of its pass type.
    pub pass_type: Images,
    /// Those of the brand, for all pass types.
    pub brand: Images,
}

/// A slot, and the language if it is one of a single language.
type Place = (ImageSlot, Option<Language>);

/// The place of a file name: that of `logo` for `logo.png` and `logo@2x.png`; none for a name that no image of a pass has.
fn place(file: &str) -> Option<Place> {
    let file = ImageFile::parse(file).ok()?;
    Some((file.slot(), file.language().cloned()))
}

/// These images with others in place of all that they have for the slots of those, in the same languages.
pub fn in_place_of_slots(images: &Images, others: Images) -> Images {
    let places: BTreeSet<Option<Place>> = others.keys().map(|file| place(file)).collect();
    let kept = images.iter().filter(|(file, _)| !places.contains(&place(file)));
    kept.map(|(file, digest)| (file.clone(), digest.clone())).chain(others).collect()
}

/// The images that end up in a pass.
///
/// What the pass falls back to never stands beside an image that excludes it: a ticket with a strip of its own gets no thumbnail of its type.
pub fn resolve(kind: PassKind, own: &Images, defaults: &DefaultImages) -> Images {
    let mut by_slot: BTreeMap<ImageSlot, InSlot> = BTreeMap::new();
    for (slot, images) in slots_of(own).into_iter().filter(|(slot, _)| kind.shows(*slot)) {
        by_slot.insert(slot, images);
    }
    fill(&mut by_slot, kind, &defaults.pass_type, |_| true);
    fill(&mut by_slot, kind, &defaults.brand, |slot| kind.takes_from_brand(slot));
    by_slot.into_values().flat_map(BTreeMap::into_values).flatten().collect()
}

/// The images of a slot, for all languages or for one.
type InSlot = BTreeMap<Option<Language>, Images>;

fn slots_of(images: &Images) -> BTreeMap<ImageSlot, InSlot> {
    let mut by_slot: BTreeMap<ImageSlot, InSlot> = BTreeMap::new();
    for (file, digest) in images {
        if let Some((slot, language)) = place(file) {
            let images = by_slot.entry(slot).or_default().entry(language).or_default();
            images.insert(file.clone(), digest.clone());
        }
    }
    by_slot
}

/// Fills the slots that are still empty, the strip last: where there are a background and a strip, a ticket shows the background.
fn fill(
    by_slot: &mut BTreeMap<ImageSlot, InSlot>,
    kind: PassKind,
    from: &Images,
    takes: impl Fn(ImageSlot) -> bool,
) {
    let mut from = slots_of(from);
    let is_strip = |slot: &ImageSlot| *slot == ImageSlot::Strip;
    let others = kind.slots().filter(|slot| !is_strip(slot));
    for wanted in others.chain(kind.slots().filter(is_strip)).filter(|slot| takes(*slot)) {
        // A poster cannot do without a background, whatever the plain look has.
        let is_needed = kind.poster && wanted == ImageSlot::Background;
        let is_excluded = kind.excluded_by(wanted).iter().any(|other| by_slot.contains_key(other));
        if is_excluded && !is_needed {
            continue;
        }
        if let Some(images) = from.remove(&wanted) {
            add(by_slot.entry(wanted).or_default(), wanted, images);
        }
    }
}

/// Adds images to fall back to, where they hide none that is there and none that is there hides them.
fn add(there: &mut InSlot, slot: ImageSlot, mut images: InSlot) {
    let for_all = images.remove(&None);
    if !there.contains_key(&None) {
        for (language, images) in images {
            there.entry(language).or_insert(images);
        }
    }
    let hides_none = there.is_empty() || slot == ImageSlot::Icon;
    if let Some(for_all) = for_all.filter(|_| hides_none) {
        there.entry(None).or_insert(for_all);
    }
}

/// The first slots, of which a pass of this kind must fill one and `images` fills none.
pub fn missing_slots(kind: PassKind, images: &Images) -> Option<&'static [ImageSlot]> {
    let places: BTreeSet<Place> = images.keys().filter_map(|file| place(file)).collect();
    // A phone finds an icon for all languages only.
    let fills = |place: &Place, wanted| place.0 == wanted && (place.1.is_none() || wanted != ImageSlot::Icon);
    let is_filled = |wanted: &ImageSlot| places.iter().any(|place| fills(place, *wanted));
    kind.required_slots().iter().find(|one_of| !one_of.iter().any(is_filled)).copied()
}

#[cfg(test)]
mod tests {
    use honoken_styles::TicketStyle;

    use super::*;

    const EVENT: PassKind = PassKind::plain(TicketStyle::Event);
    const POSTER: PassKind = PassKind { style: TicketStyle::Event, poster: true };

    fn images(files: &[(&str, &str)]) -> Images {
        files.iter().map(|(file, bytes)| ((*file).to_owned(), Digest::of(bytes.as_bytes()))).collect()
    }

    #[test]
    fn an_own_image_hides_every_scale_of_the_type_and_the_brand() {
        let defaults = DefaultImages {
            pass_type: images(&[("logo@2x.png", "type")]),
            brand: images(&[("logo.png", "brand"), ("logo@2x.png", "brand"), ("icon.png", "brand")]),
        };
        let resolved = resolve(EVENT, &images(&[("logo.png", "own")]), &defaults);
        assert_eq!(resolved, images(&[("icon.png", "brand"), ("logo.png", "own")]));
    }

    #[test]
    fn the_types_image_comes_before_the_brands() {
        let defaults = DefaultImages {
            pass_type: images(&[("icon.png", "type")]),
            brand: images(&[("icon@3x.png", "brand")]),
        };
        assert_eq!(resolve(EVENT, &Images::new(), &defaults), images(&[("icon.png", "type")]));
    }

    #[test]
    fn an_image_without_a_slot_in_the_style_is_left_out() {
        let own = images(&[("footer.png", "own")]);
        assert_eq!(resolve(EVENT, &own, &DefaultImages::default()), Images::new());
    }

    #[test]
    fn what_a_ticket_falls_back_to_never_stands_beside_what_excludes_it() {
        let of_type = |files| DefaultImages { pass_type: images(files), ..DefaultImages::default() };
        let background = of_type(&[("background.png", "t"), ("thumbnail.png", "t"), ("strip.png", "t")]);
        let shown = |own: &[_], defaults: &DefaultImages, kind| -> Vec<String> {
            resolve(kind, &images(own), defaults).into_keys().collect()
        };
        assert_eq!(shown(&[], &background, EVENT), ["background.png", "thumbnail.png"]);
        assert_eq!(shown(&[("strip@2x.png", "o")], &background, EVENT), ["strip@2x.png"]);
        assert_eq!(
            shown(&[("thumbnail.png", "o")], &of_type(&[("strip.png", "t")]), EVENT),
            ["thumbnail.png"]
        );
        assert_eq!(shown(&[], &of_type(&[("strip.png", "t")]), EVENT), ["strip.png"]);
        assert_eq!(
            shown(&[("strip.png", "o")], &background, POSTER),
            ["background.png", "strip.png"],
            "a poster needs the background"
        );
        let both = [("strip.png", "o"), ("thumbnail.png", "o")];
        assert_eq!(
            shown(&both, &background, EVENT),
            ["strip.png", "thumbnail.png"],
            "its own are its own affair"
        );
    }

    #[test]
    fn images_that_the_brand_has_for_its_cards_do_not_reach_a_ticket() {
        let files = [("logo.png", "b"), ("strip.png", "b"), ("thumbnail.png", "b"), ("artwork.png", "b")];
        let defaults = DefaultImages { brand: images(&files), ..DefaultImages::default() };
        assert_eq!(resolve(POSTER, &Images::new(), &defaults), images(&[("logo.png", "b")]));
        let card = PassKind::plain(TicketStyle::StoreCard);
        assert_eq!(
            resolve(card, &Images::new(), &defaults),
            images(&[("logo.png", "b"), ("strip.png", "b")])
        );
    }

    #[test]
    fn images_of_a_slot_take_the_place_of_all_that_were_there() {
        let there = images(&[("logo.png", "1"), ("logo@3x.png", "3"), ("icon.png", "i")]);
        let new = images(&[("logo.png", "n"), ("logo@2x.png", "n2")]);
        let expected = images(&[("icon.png", "i"), ("logo.png", "n"), ("logo@2x.png", "n2")]);
        assert_eq!(in_place_of_slots(&there, new), expected);
    }

    #[test]
    fn no_image_for_all_languages_is_taken_where_one_is_for_a_language() {
        let shown = |own: &[_], of_type: &[_], brand: &[_]| -> Vec<String> {
            let defaults = DefaultImages { pass_type: images(of_type), brand: images(brand) };
            resolve(EVENT, &images(own), &defaults).into_keys().collect()
        };
        let (german, french) = (("de.lproj/logo.png", "d"), ("fr.lproj/logo@2x.png", "f"));
        let all = ("logo.png", "a");
        assert_eq!(shown(&[german], &[all], &[all]), ["de.lproj/logo.png"], "it would hide the German one");
        assert_eq!(shown(&[german], &[all, french], &[]), ["de.lproj/logo.png", "fr.lproj/logo@2x.png"]);
        assert_eq!(shown(&[german], &[("de.lproj/logo@2x.png", "t")], &[]), ["de.lproj/logo.png"]);
        assert_eq!(shown(&[all], &[german], &[]), ["logo.png"], "its own hides them");
        assert_eq!(shown(&[all, german], &[french], &[]), ["de.lproj/logo.png", "logo.png"]);
        assert_eq!(shown(&[], &[all, german], &[]), ["de.lproj/logo.png"]);
        assert_eq!(shown(&[], &[german], &[all, french]), ["de.lproj/logo.png", "fr.lproj/logo@2x.png"]);
        let (icon, german_icon) = (("icon.png", "i"), ("de.lproj/icon.png", "d"));
        assert_eq!(shown(&[german_icon], &[], &[icon]), ["de.lproj/icon.png", "icon.png"]);
    }

    #[test]
    fn an_icon_for_one_language_is_no_icon() {
        const ICON: &[ImageSlot] = &[ImageSlot::Icon];
        assert_eq!(missing_slots(EVENT, &images(&[("de.lproj/icon.png", "x")])), Some(ICON));
        let poster = images(&[("icon.png", "x"), ("de.lproj/background.png", "y")]);
        assert_eq!(missing_slots(POSTER, &poster), None);
    }

    #[test]
    fn images_of_a_language_take_the_place_of_those_of_that_language() {
        let there = images(&[("logo.png", "1"), ("de.lproj/logo@3x.png", "3"), ("fr.lproj/logo.png", "f")]);
        let new = images(&[("de.lproj/logo.png", "n")]);
        let expected = images(&[("logo.png", "1"), ("de.lproj/logo.png", "n"), ("fr.lproj/logo.png", "f")]);
        assert_eq!(in_place_of_slots(&there, new), expected);
    }

    #[test]
    fn any_scale_fills_a_required_slot() {
        const ICON: &[ImageSlot] = &[ImageSlot::Icon];
        const POSTERS: &[ImageSlot] = &[ImageSlot::Background, ImageSlot::Artwork];
        assert_eq!(missing_slots(EVENT, &images(&[("icon@3x.png", "x")])), None);
        assert_eq!(missing_slots(EVENT, &images(&[("logo.png", "x")])), Some(ICON));
        assert_eq!(missing_slots(POSTER, &images(&[("icon.png", "x")])), Some(POSTERS));
        for either in ["background@2x.png", "artwork.png"] {
            assert_eq!(missing_slots(POSTER, &images(&[("icon.png", "x"), (either, "y")])), None);
        }
    }
}
