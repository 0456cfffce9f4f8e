//! Why a pass type says no.

use crate::ids::{OrganizationId, TeamIdentifier};
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
    /// It belongs to another organisation.
    #[error(
        "this pass type belongs to the organisation {owner}, which would lose it with its passes, histories and tokens"
    )]
    AnotherOrganization {
        /// Whose it is.
        owner: OrganizationId,
    },
    /// Its passes are signed with a certificate of another team.
    #[error(
        "the passes of this type are signed by the team {team}, and phones take no update of them from another one"
    )]
    AnotherTeam {
        /// The team.
        team: TeamIdentifier,
    },
    /// It would have too many languages, or too many texts.
    #[error(transparent)]
    LocalizationsTooLarge(TooLarge),
}
