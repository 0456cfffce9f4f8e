//! The kind of a pass: its style and its look, and the images that belong to it.

use crate::slots::Look;
use crate::{ImageSlot, TicketStyle};

/// What a pass is drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PassKind {
    /// The style in which it is drawn.
    pub style: TicketStyle,
    /// Whether it asks for the poster look of iOS 18.
    pub poster: bool,
}

/// An event ticket has either a strip, or a background and a thumbnail.
///
/// <https://developer.apple.com/library/archive/documentation/UserExperience/Conceptual/PassKit_PG/Creating.html>
const EXCLUDED_BY_STRIP: [ImageSlot; 2] = [ImageSlot::Background, ImageSlot::Thumbnail];

impl PassKind {
    /// The plain look of a style.
    pub const fn plain(style: TicketStyle) -> Self {
        Self { style, poster: false }
    }

    /// Whether this kind of pass shows the images of a slot.
    pub fn shows(self, slot: ImageSlot) -> bool {
        let shows =
            |(style, look): &(TicketStyle, Look)| *style == self.style && (*look == Look::Any || self.poster);
        slot.shown_by().iter().any(shows)
    }

    /// The slots whose images this kind of pass shows, in the order of their names.
    pub fn slots(self) -> impl Iterator<Item = ImageSlot> {
        ImageSlot::ALL.into_iter().filter(move |slot| self.shows(*slot))
    }

    /// What this kind of pass cannot do without: one slot of each list. Without an icon it does not open, and without the others it does not have
    /// the look that it asks for.
    pub const fn required_slots(self) -> &'static [&'static [ImageSlot]] {
        match (self.style, self.poster) {
            (TicketStyle::Event, true) => &[&[ImageSlot::Icon], &[ImageSlot::Background, ImageSlot::Artwork]],
            (
                TicketStyle::Boarding
                | TicketStyle::Coupon
                | TicketStyle::Event
                | TicketStyle::Generic
                | TicketStyle::StoreCard,
                _,
            ) => &[&[ImageSlot::Icon]],
        }
    }

    /// The slots whose images Wallet does not show beside those of this slot.
    pub fn excluded_by(self, slot: ImageSlot) -> &'static [ImageSlot] {
        match (self.style, slot) {
            (TicketStyle::Event, ImageSlot::Strip) => &EXCLUDED_BY_STRIP,
            (TicketStyle::Event, slot) if EXCLUDED_BY_STRIP.contains(&slot) => &[ImageSlot::Strip],
            _ => &[],
        }
    }

    /// Whether a pass of this kind takes the image of a slot from the brand. The brand's are for all passes, and those that belong to one style
    /// of event ticket belong to its type: a strip that the brand has for its cards must not end up on every ticket.
    pub fn takes_from_brand(self, slot: ImageSlot) -> bool {
        match self.style {
            TicketStyle::Event => {
                matches!(slot, ImageSlot::Icon | ImageSlot::Logo | ImageSlot::Background)
            }
            TicketStyle::Boarding | TicketStyle::Coupon | TicketStyle::Generic | TicketStyle::StoreCard => {
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSTER: PassKind = PassKind { style: TicketStyle::Event, poster: true };

    fn slots(kind: PassKind) -> Vec<&'static str> {
        kind.slots().map(ImageSlot::as_str).collect()
    }

    #[test]
    fn every_style_shows_the_images_that_apple_lists_for_it() {
        let plain = |style| slots(PassKind::plain(style));
        assert_eq!(plain(TicketStyle::Boarding), ["footer", "icon", "logo", "primaryLogo"]);
        assert_eq!(plain(TicketStyle::Coupon), ["icon", "logo", "primaryLogo", "strip"]);
        assert_eq!(plain(TicketStyle::Event), ["background", "icon", "logo", "strip", "thumbnail"]);
        assert_eq!(plain(TicketStyle::Generic), ["artwork", "icon", "logo", "primaryLogo", "thumbnail"]);
        assert_eq!(plain(TicketStyle::StoreCard), ["icon", "logo", "strip"]);
        let poster = [
            "artwork",
            "background",
            "icon",
            "logo",
            "primaryLogo",
            "secondaryLogo",
            "strip",
            "thumbnail",
            "venueMap",
        ];
        assert_eq!(slots(POSTER), poster);
    }

    #[test]
    fn every_kind_shows_what_it_requires() {
        let plain = TicketStyle::ALL.map(PassKind::plain);
        for kind in plain.into_iter().chain([POSTER]) {
            assert!(kind.required_slots().iter().flat_map(|one_of| *one_of).all(|slot| kind.shows(*slot)));
            assert!(kind.required_slots()[0].contains(&ImageSlot::Icon));
        }
    }

    #[test]
    fn a_slot_names_the_kinds_that_show_it() {
        assert_eq!(ImageSlot::Strip.shown_by_words(), "coupon, event, storeCard");
        assert_eq!(ImageSlot::VenueMap.shown_by_words(), "event with the poster look");
        assert_eq!(ImageSlot::PersonalizationLogo.shown_by_words(), "");
    }

    #[test]
    fn what_excludes_another_is_excluded_by_it() {
        for kind in TicketStyle::ALL.map(PassKind::plain) {
            for slot in ImageSlot::ALL {
                for other in kind.excluded_by(slot) {
                    assert!(
                        kind.excluded_by(*other).contains(&slot) && kind.shows(slot) && kind.shows(*other)
                    );
                }
            }
        }
    }
}
