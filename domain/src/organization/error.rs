//! Why an organisation says no.

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrganizationError {
    /// Nobody created it.
    #[error("this organisation does not exist")]
    Unknown,
    /// The id is taken by an organisation of another name.
    #[error("this organisation id is taken")]
    AlreadyCreated,
    /// It never had such a key.
    #[error("this organisation has no such API key")]
    UnknownKey,
    /// The key was revoked, which is for ever.
    #[error("this API key was revoked: make another one")]
    KeyRevoked,
}
