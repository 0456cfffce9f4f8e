//! Why an organisation says no.

/// The most API keys of one organisation that are not revoked.
pub const MOST_KEYS: usize = 1000;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrganizationError {
    /// Nobody created it.
    #[error("this organisation does not exist")]
    Unknown,
    /// The id is taken by an organisation of another name or kind.
    #[error("this organisation id is taken")]
    AlreadyCreated,
    /// It never had such a key.
    #[error("this organisation has no such API key")]
    UnknownKey,
    /// It has as many keys as it may have.
    #[error(
        "this organisation has {MOST_KEYS} API keys, which is the most: revoke those that are not used any more"
    )]
    TooManyKeys,
    /// The key has ended, so nothing is left that could overlap.
    #[error("this API key has ended: make another one")]
    KeyExpired,
    /// The key was revoked, which is for ever.
    #[error("this API key was revoked: make another one")]
    KeyRevoked,
}
