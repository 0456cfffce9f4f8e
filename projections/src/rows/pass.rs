//! What is asked of a pass most often, and what kind of pass it is.

use honoken_domain::ids::{AuthenticationToken, ETag, UnixSeconds};
use honoken_domain::pass::TicketStyle;

/// What a phone's request is answered from.
#[derive(Debug, Clone, PartialEq)]
pub struct PassRow {
    /// What the phone must show.
    pub authentication_token: AuthenticationToken,
    /// Name of the current state.
    pub etag: ETag,
    /// Time of the current state.
    pub updated_at: UnixSeconds,
}

/// What a pass is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassKind {
    /// What it is drawn as.
    pub ticket_style: TicketStyle,
    /// Whether it asks for the poster layout.
    pub poster: bool,
}
