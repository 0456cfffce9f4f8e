//! The kinds of pass this service issues.

use std::fmt;

use thiserror::Error;

/// The kind of a pass, as integrators name it. It decides the style dictionary of pass.json and the images of the pass.
///
/// Adding a style means adding a variant and following the compiler: every place that treats styles differently
/// matches all of them by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

impl fmt::Display for TicketStyle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A ticket style that this service does not know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown ticket style {name:?}; accepted: {}", accepted())]
pub struct UnknownTicketStyle {
    /// The text that was sent.
    pub name: String,
}

fn accepted() -> String {
    TicketStyle::ALL.map(TicketStyle::as_str).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_is_read_back_from_its_own_name() {
        for style in TicketStyle::ALL {
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
