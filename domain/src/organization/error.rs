//! Why an organisation says no.

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrganizationError {
    /// Nobody created it.
    #[error("there is no such organisation")]
    Unknown,
    /// The id is taken by an organisation of another name.
    #[error("this organisation id is taken")]
    AlreadyCreated,
}
