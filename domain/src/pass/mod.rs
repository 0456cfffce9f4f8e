//! One pass: issued once, changed, voided and reinstated.

mod aggregate;
mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub use aggregate::Pass;
pub use command::{Circumstances, IssuePass, PassCommand, Precondition};
pub use error::PassError;
pub use event::{PassEvent, PassIssued};

use serde::{Deserialize, Serialize};

/// What a pass is drawn as; Apple's style dictionaries under the names integrators use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TicketStyle {
    /// `eventTicket`
    Event,
}

impl TicketStyle {
    /// The styles that can be issued, as callers spell them.
    pub const NAMES: &'static [&'static str] = &["event"];

    /// Reads the name that callers use.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "event" => Some(Self::Event),
            _ => None,
        }
    }

    /// The name that callers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
        }
    }

    /// The image slots that Wallet shows for this style.
    pub fn image_slots(self) -> &'static [&'static str] {
        match self {
            Self::Event => &["icon", "logo", "background"],
        }
    }

    /// The image slots without which Wallet does not open the pass, or not as asked.
    pub fn required_slots(self, poster: bool) -> &'static [&'static str] {
        match (self, poster) {
            (Self::Event, false) => &["icon"],
            (Self::Event, true) => &["icon", "background"],
        }
    }
}
