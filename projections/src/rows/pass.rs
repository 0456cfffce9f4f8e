//! The columns of a pass from which most requests are answered, and those that say what kind of pass it is.

use honoken_domain::ids::{AuthenticationToken, ETag, UnixSeconds};
use honoken_domain::pass::TicketStyle;

/// The columns from which a phone's request is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct PassRow {
    /// The token that the phone must present.
    pub authentication_token: AuthenticationToken,
    /// Name of the current state.
    pub etag: ETag,
    /// Time of the current state.
    pub updated_at: UnixSeconds,
}

/// The kind of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassKind {
    /// The style in which it is drawn.
    pub ticket_style: TicketStyle,
    /// Whether it asks for the poster layout.
    pub poster: bool,
}
