//! The kinds of pass this service issues.

use std::fmt;

use thiserror::Error;

/// The kind of a pass, as integrators name it. It decides the style dictionary of pass.json and the images of the pass.
///
/// Adding a style means adding a variant and following the compiler: every place that treats styles differently
/// matches all of them by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TicketStyle {
    /// A ticket for a concert, a match, a film or an exhibition.
    Event,
}

impl TicketStyle {
    /// Every style, in the order an error message names them.
    pub const ALL: [Self; 1] = [Self::Event];

    /// Reads the name used in requests, such as `event`.
    ///
    /// # Errors
    /// [`UnknownTicketStyle`] names what was sent and what is accepted.
    pub fn parse(name: &str) -> Result<Self, UnknownTicketStyle> {
        Self::ALL
            .into_iter()
            .find(|style| style.as_str() == name)
            .ok_or_else(|| UnknownTicketStyle { name: name.to_owned() })
    }

    /// The name used in requests and in entity tags.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
        }
    }

    /// The key of the style dictionary in pass.json.
    ///
    /// <https://developer.apple.com/documentation/walletpasses/pass>
    pub const fn pass_json_key(self) -> &'static str {
        match self {
            Self::Event => "eventTicket",
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
    /// What was sent.
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
        }
    }

    #[test]
    fn an_unknown_style_is_refused_with_the_accepted_ones() {
        let error = TicketStyle::parse("Event").unwrap_err();
        assert_eq!(error.to_string(), "unknown ticket style \"Event\"; accepted: event");
    }
}
