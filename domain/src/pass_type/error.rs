//! Why a pass type says no.

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassTypeError {
    /// Nobody created it.
    #[error("there is no such pass type")]
    Unknown,
    /// It was created for another organisation or team.
    #[error("this pass type belongs to another organisation or team")]
    AlreadyCreated,
}
