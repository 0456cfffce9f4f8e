//! What a pass is drawn as.

use serde::{Deserialize, Serialize};

/// What a pass is drawn as; Apple's style dictionaries under the names integrators use.
///
/// <https://developer.apple.com/documentation/walletpasses/pass>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TicketStyle {
    /// `boardingPass`: for a flight, a train, a bus, a boat.
    Boarding,
    /// `coupon`: an offer.
    Coupon,
    /// `eventTicket`: for a concert, a match, a film.
    Event,
    /// `generic`: whatever is none of the others, such as a membership card.
    Generic,
    /// `storeCard`: points, a balance, a gift card.
    StoreCard,
}

impl TicketStyle {
    /// The styles that can be issued, as callers spell them.
    pub const NAMES: &'static [&'static str] = &["boarding", "coupon", "event", "generic", "storeCard"];

    /// Reads the name that callers use, or the one that Apple has for the same.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "boarding" | "boardingPass" => Some(Self::Boarding),
            "coupon" => Some(Self::Coupon),
            "event" | "eventTicket" => Some(Self::Event),
            "generic" => Some(Self::Generic),
            "storeCard" => Some(Self::StoreCard),
            _ => None,
        }
    }

    /// The name that callers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boarding => "boarding",
            Self::Coupon => "coupon",
            Self::Event => "event",
            Self::Generic => "generic",
            Self::StoreCard => "storeCard",
        }
    }

    /// Whether Wallet knows a poster layout for this style.
    pub fn has_poster(self) -> bool {
        match self {
            Self::Event => true,
            Self::Boarding | Self::Coupon | Self::Generic | Self::StoreCard => false,
        }
    }

    /// The image slots that Wallet shows for this style. An event ticket has no strip and no thumbnail here: Apple forbids them beside the
    /// background, and one that the brand has for its cards would end up beside it.
    pub fn image_slots(self) -> &'static [&'static str] {
        match self {
            Self::Boarding => &["icon", "logo", "primaryLogo", "footer"],
            Self::Coupon => &["icon", "logo", "primaryLogo", "strip"],
            Self::Event => &["icon", "logo", "background"],
            Self::Generic => &["icon", "logo", "primaryLogo", "thumbnail", "artwork"],
            Self::StoreCard => &["icon", "logo", "strip"],
        }
    }

    /// The image slots without which Wallet does not open the pass, or not as asked.
    pub fn required_slots(self, poster: bool) -> &'static [&'static str] {
        match (self, poster) {
            (Self::Event, true) => &["icon", "background"],
            (Self::Event, false) | (Self::Boarding | Self::Coupon | Self::Generic | Self::StoreCard, _) => {
                &["icon"]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_is_stored_and_read_back_under_the_name_that_callers_use() {
        for name in TicketStyle::NAMES {
            let style = TicketStyle::parse(name).unwrap();
            assert_eq!(style.as_str(), *name);
            assert_eq!(serde_json::to_value(style).unwrap(), *name);
        }
    }

    #[test]
    fn apples_name_for_a_style_is_read_too() {
        assert_eq!(TicketStyle::parse("boardingPass"), Some(TicketStyle::Boarding));
        assert_eq!(TicketStyle::parse("eventTicket"), Some(TicketStyle::Event));
        assert_eq!(TicketStyle::parse("Event"), None);
    }

    #[test]
    fn every_style_shows_what_it_requires() {
        for style in TicketStyle::NAMES.iter().map(|name| TicketStyle::parse(name).unwrap()) {
            for poster in [false, style.has_poster()] {
                assert!(style.required_slots(poster).iter().all(|slot| style.image_slots().contains(slot)));
            }
        }
    }
}
