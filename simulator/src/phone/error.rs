//! Requests to the phone that make no sense. A fault of a server is a complaint and never an error.

/// The phone was asked for something about a pass that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// The phone holds no pass with this serial number.
    #[error("the phone holds no pass with the serial number {0:?}")]
    NotHeld(String),
    /// Passes of several types or web services have this serial number.
    #[error("the phone holds several passes with the serial number {0:?}")]
    Ambiguous(String),
    /// The pass has no `webServiceURL`.
    #[error("the pass {0:?} has no web service")]
    NoWebService(String),
}
