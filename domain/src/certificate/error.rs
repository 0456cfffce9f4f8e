//! Why a certificate says no.

use crate::ids::{Digest, PassTypeIdentifier, TeamIdentifier, UnixSeconds};
use crate::rfc3339;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// None is installed for this pass type.
    #[error("no certificate is installed for this pass type")]
    Unknown,
    /// The one in use is for another pass type.
    #[error("the certificate in use is for the pass type {installed}: install this one under another name")]
    AnotherPassType {
        /// The pass type of the one in use.
        installed: PassTypeIdentifier,
    },
    /// The one in use ends later.
    #[error("the certificate in use is valid until {}, and this one only until {}", rfc3339::seconds(*installed), rfc3339::seconds(*given))]
    EndsEarlier {
        /// The last second of the one in use.
        installed: UnixSeconds,
        /// The last second of this one.
        given: UnixSeconds,
    },
    /// Another key waits, or none.
    #[error("no such key waits for a certificate")]
    NotRequested,
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
