//! Why a certificate says no.

use crate::ids::{Digest, TeamIdentifier};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// None is installed for this pass type.
    #[error("no certificate is installed for this pass type")]
    Unknown,
    /// The one in use is of another team, and a pass type belongs to one.
    #[error("the certificate in use belongs to team {installed}: a pass type belongs to one team")]
    AnotherTeam {
        /// The team of the one in use.
        installed: TeamIdentifier,
    },
    /// Another certificate is in use than the one that the command is about.
    #[error("another certificate is in use: the one with the fingerprint {installed}")]
    AnotherInstalled {
        /// The fingerprint of the one in use.
        installed: Digest,
    },
}
