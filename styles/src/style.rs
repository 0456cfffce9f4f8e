//! The kinds of pass this service issues.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The kind of a pass, as integrators name it. It decides the style dictionary of pass.json and the images of the pass.
///
/// Adding a style means adding a variant and following the compiler: every place that treats styles differently
/// matches all of them by name.
///
/// <https://developer.apple.com/documentation/walletpasses/pass>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TicketStyle {
    /// For a flight, a train, a bus or a boat.
    Boarding,
    /// An offer.
    Coupon,
    /// A ticket for a concert, a match, a film or an exhibition.
    Event,
    /// Every pass that is none of the others, such as a membership card.
    Generic,
    /// Points, a balance, a gift card.
    StoreCard,
}

impl TicketStyle {
    /// Every style, in the order an error message names them.
    pub const ALL: [Self; 5] = [Self::Boarding, Self::Coupon, Self::Event, Self::Generic, Self::StoreCard];

    /// The names of all styles, as integrators spell them.
    pub const NAMES: &'static [&'static str] = &["boarding", "coupon", "event", "generic", "storeCard"];

    /// Reads the name used in requests, such as `event`, or the key of the style in pass.json, such as `eventTicket`.
    ///
    /// [`UnknownTicketStyle`] names the text that was sent and the styles that are accepted.
    pub fn parse(name: &str) -> Result<Self, UnknownTicketStyle> {
        Self::ALL
            .into_iter()
            .find(|style| style.as_str() == name || style.pass_json_key() == name)
            .ok_or_else(|| UnknownTicketStyle { name: name.to_owned() })
    }

    /// The name used in requests and in entity tags.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Boarding => "boarding",
            Self::Coupon => "coupon",
            Self::Event => "event",
            Self::Generic => "generic",
            Self::StoreCard => "storeCard",
        }
    }

    /// The key of the style dictionary in pass.json.
    ///
    /// <https://developer.apple.com/documentation/walletpasses/pass>
    pub const fn pass_json_key(self) -> &'static str {
        match self {
            Self::Boarding => "boardingPass",
            Self::Coupon => "coupon",
            Self::Event => "eventTicket",
            Self::Generic => "generic",
            Self::StoreCard => "storeCard",
        }
    }
}

impl TicketStyle {
    /// Whether Wallet knows a poster look for this style.
    pub const fn has_poster(self) -> bool {
        match self {
            Self::Event => true,
            Self::Boarding | Self::Coupon | Self::Generic | Self::StoreCard => false,
        }
    }
}

impl fmt::Display for TicketStyle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A ticket style that this service does not know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown ticket style {name:?}; accepted: {}", TicketStyle::NAMES.join(", "))]
pub struct UnknownTicketStyle {
    /// The text that was sent.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_is_read_back_from_its_own_name() {
        for (style, name) in TicketStyle::ALL.into_iter().zip(TicketStyle::NAMES) {
            assert_eq!(style.as_str(), *name);
            assert_eq!(serde_json::to_value(style).unwrap(), *name, "events store this name");
            assert_eq!(TicketStyle::parse(style.as_str()), Ok(style));
            assert_eq!(TicketStyle::parse(style.pass_json_key()), Ok(style));
        }
    }

    #[test]
    fn an_unknown_style_is_refused_with_the_accepted_ones() {
        let error = TicketStyle::parse("Event").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown ticket style \"Event\"; accepted: boarding, coupon, event, generic, storeCard"
        );
    }
}
