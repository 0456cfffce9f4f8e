//! The slots for images: one table of their names, their sizes and the kinds of pass that show them.

use crate::TicketStyle;
use Points::{AtMost, Exactly};

/// The purpose of an image; the first part of its file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageSlot {
    /// Behind the poster look of an event ticket or a generic pass (iOS 27).
    Artwork,
    /// Behind the front of an event ticket: blurred on the plain look, sharp on the poster look.
    Background,
    /// Above the barcode of a boarding pass.
    Footer,
    /// On the lock screen, in Mail, in notifications. A pass without an icon does not open.
    Icon,
    /// In the top left corner of the front.
    Logo,
    /// On the sheet on which a person enrols in a rewards programme; no pass shows it.
    PersonalizationLogo,
    /// In the top left corner of the looks of iOS 18, 26 and 27.
    PrimaryLogo,
    /// Opposite the primary logo of a poster event ticket.
    SecondaryLogo,
    /// Behind the primary field of a coupon, a store card or a plain event ticket.
    Strip,
    /// Beside the primary field of a generic pass or a plain event ticket.
    Thumbnail,
    /// In the event guide of a poster event ticket.
    VenueMap,
}

/// A size in points, across and down: pixels at 1x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Points {
    /// This size and no other.
    Exactly(u32, u32),
    /// This size or a smaller one.
    AtMost(u32, u32),
}

/// With which look a style shows an image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// With any. A poster shows the images of the plain look too: systems that do not know posters draw that one.
    Any,
    /// With the poster look alone.
    Poster,
}

/// A row of the table.
pub(crate) struct Facts {
    name: &'static str,
    sizes: &'static [Points],
    pub(crate) shown_by: &'static [(TicketStyle, Look)],
}

const BOARDING: (TicketStyle, Look) = (TicketStyle::Boarding, Look::Any);
const COUPON: (TicketStyle, Look) = (TicketStyle::Coupon, Look::Any);
const EVENT: (TicketStyle, Look) = (TicketStyle::Event, Look::Any);
const POSTER_EVENT: (TicketStyle, Look) = (TicketStyle::Event, Look::Poster);
const GENERIC: (TicketStyle, Look) = (TicketStyle::Generic, Look::Any);
const STORE_CARD: (TicketStyle, Look) = (TicketStyle::StoreCard, Look::Any);

/// Where a slot has two sizes, today's is first, then the one of older systems, which generators still use. Where Apple names a range or crops,
/// only an image that is larger than any card is worth a word.
const fn facts(slot: ImageSlot) -> Facts {
    let (name, sizes, shown_by): (_, &[Points], &[_]) = match slot {
        ImageSlot::Artwork => ("artwork", &[AtMost(358, 448)], &[POSTER_EVENT, GENERIC]),
        ImageSlot::Background => ("background", &[AtMost(345, 505)], &[EVENT]),
        ImageSlot::Footer => ("footer", &[AtMost(286, 15)], &[BOARDING]),
        ImageSlot::Icon => {
            ("icon", &[Exactly(38, 38), Exactly(29, 29)], &[BOARDING, COUPON, EVENT, GENERIC, STORE_CARD])
        }
        ImageSlot::Logo => ("logo", &[AtMost(160, 50)], &[BOARDING, COUPON, EVENT, GENERIC, STORE_CARD]),
        ImageSlot::PersonalizationLogo => ("personalizationLogo", &[AtMost(150, 40)], &[]),
        ImageSlot::PrimaryLogo => {
            ("primaryLogo", &[AtMost(126, 30)], &[BOARDING, COUPON, POSTER_EVENT, GENERIC])
        }
        ImageSlot::SecondaryLogo => ("secondaryLogo", &[AtMost(135, 12)], &[POSTER_EVENT]),
        ImageSlot::Strip => ("strip", &[AtMost(375, 144)], &[COUPON, EVENT, STORE_CARD]),
        ImageSlot::Thumbnail => ("thumbnail", &[AtMost(90, 90)], &[EVENT, GENERIC]),
        // No source names a size.
        ImageSlot::VenueMap => ("venueMap", &[], &[POSTER_EVENT]),
    };
    Facts { name, sizes, shown_by }
}

impl ImageSlot {
    /// Every slot, in the order of their names.
    pub const ALL: [Self; 11] = [
        Self::Artwork,
        Self::Background,
        Self::Footer,
        Self::Icon,
        Self::Logo,
        Self::PersonalizationLogo,
        Self::PrimaryLogo,
        Self::SecondaryLogo,
        Self::Strip,
        Self::Thumbnail,
        Self::VenueMap,
    ];

    /// The base name, without scale and ending.
    pub const fn as_str(self) -> &'static str {
        facts(self).name
    }

    /// The sizes that Wallet draws without cutting or scaling; none where no source names one.
    pub const fn sizes(self) -> &'static [Points] {
        facts(self).sizes
    }

    pub(crate) const fn shown_by(self) -> &'static [(TicketStyle, Look)] {
        facts(self).shown_by
    }

    /// The kinds of pass that show it, in words: `coupon, event with the poster look`; empty when none does.
    pub fn shown_by_words(self) -> String {
        let words = self.shown_by().iter().map(|(style, look)| match look {
            Look::Any => style.as_str().to_owned(),
            Look::Poster => format!("{style} with the poster look"),
        });
        words.collect::<Vec<_>>().join(", ")
    }
}
