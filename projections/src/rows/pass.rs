//! The columns of a pass from which most requests are answered.

use honoken_domain::ids::{AuthenticationToken, ETag, UnixSeconds};

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
