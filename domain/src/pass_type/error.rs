//! Why a pass type says no.

use crate::localizations::TooLarge;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassTypeError {
    /// Nobody created it.
    #[error("this pass type does not exist")]
    Unknown,
    /// It was created for another organisation or team.
    #[error("this pass type belongs to another organisation or team")]
    AlreadyCreated,
    /// It would have too many languages, or too many texts.
    #[error(transparent)]
    LocalizationsTooLarge(TooLarge),
}
