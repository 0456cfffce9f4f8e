//! The groups of fields in a style dictionary.
//!
//! <https://developer.apple.com/documentation/walletpasses/passfields>

use crate::TicketStyle;

/// The key with the kind of transit of a boarding pass.
pub(super) const TRANSIT_TYPE: &str = "transitType";

/// The keys of a style dictionary.
pub(super) const DICTIONARY_KEYS: [&str; 8] = [
    "headerFields",
    "primaryFields",
    "secondaryFields",
    "auxiliaryFields",
    "backFields",
    "additionalInfoFields",
    "footerFields",
    TRANSIT_TYPE,
];

/// A group of fields in a style dictionary.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Header,
    Primary,
    Secondary,
    Auxiliary,
    Back,
    AdditionalInfo,
    Footer,
}

impl Group {
    /// Every group, those of the front first.
    pub(super) const ALL: [Self; 7] = [
        Self::Header,
        Self::Primary,
        Self::Secondary,
        Self::Auxiliary,
        Self::Footer,
        Self::Back,
        Self::AdditionalInfo,
    ];

    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Header => "headerFields",
            Self::Primary => "primaryFields",
            Self::Secondary => "secondaryFields",
            Self::Auxiliary => "auxiliaryFields",
            Self::Back => "backFields",
            Self::AdditionalInfo => "additionalInfoFields",
            Self::Footer => "footerFields",
        }
    }

    /// Whether the fields of the group stand on the front of the pass.
    pub(super) const fn is_on_front(self) -> bool {
        match self {
            Self::Header | Self::Primary | Self::Secondary | Self::Auxiliary | Self::Footer => true,
            Self::Back | Self::AdditionalInfo => false,
        }
    }

    /// How many fields of the group fit on the front; more are hidden or cut off.
    pub(super) const fn capacity(self, style: TicketStyle) -> Option<usize> {
        match self {
            Self::Header => Some(3),
            Self::Primary if matches!(style, TicketStyle::Boarding) => Some(2),
            Self::Primary => Some(1),
            Self::Auxiliary if matches!(style, TicketStyle::Boarding) => Some(5),
            // Per row, for auxiliary fields.
            Self::Secondary | Self::Auxiliary => Some(4),
            Self::Back | Self::AdditionalInfo | Self::Footer => None,
        }
    }
}
