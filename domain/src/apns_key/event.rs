//! What can have happened to an APNs key. The JSON of these types is a promise: `fixtures/events/`.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::ids::{ApnsKeyId, Digest, KeyIdentifier, KeyRef, TeamIdentifier};
use crate::sealed::Sealed;

/// A key that was checked before it came here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApnsKeyInstallation {
    /// The developer team whose pass types it pushes for: `iss` of a provider token.
    pub team_identifier: TeamIdentifier,
    /// Apple's name for the key: `kid` of a provider token.
    pub key_identifier: KeyIdentifier,
    /// SHA-256 of its public half (DER, `SubjectPublicKeyInfo`).
    pub fingerprint: Digest,
    /// The private key (PKCS #8, PEM; P-256), sealed for [`ApnsKeyInstallation::owner`].
    pub private_key: Sealed,
    /// The name that an operator has chosen for it; absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ref: Option<KeyRef>,
}

impl ApnsKeyInstallation {
    /// The name of the key for operators.
    pub fn name(&self) -> KeyRef {
        self.key_ref.clone().unwrap_or_else(|| KeyRef::of_key(&self.key_identifier))
    }

    /// The name of the key with its team.
    pub fn id(&self) -> ApnsKeyId {
        ApnsKeyId {
            team_identifier: self.team_identifier.clone(),
            key_identifier: self.key_identifier.clone(),
        }
    }

    /// Whose the sealed key is: of this team, id and public half, so that it opens nowhere else.
    pub fn owner(id: &ApnsKeyId, fingerprint: &Digest) -> String {
        format!("apns-key/{id}/{fingerprint}")
    }
}

/// A fact about an APNs key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ApnsKeyEvent {
    /// It is pushed with from here on, in place of any other private key of the same id.
    #[serde(rename = "ApnsKeyInstalled")]
    Installed(ApnsKeyInstallation),
    /// It is under another seal.
    #[serde(rename = "ApnsKeyResealed", rename_all = "camelCase")]
    Resealed {
        /// Which private key.
        fingerprint: Digest,
        /// The same one.
        private_key: Sealed,
    },
    /// It is pushed with no more.
    #[serde(rename = "ApnsKeyRevoked", rename_all = "camelCase")]
    Revoked {
        /// Which private key.
        fingerprint: Digest,
    },
}

impl DomainEvent for ApnsKeyEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Installed(_) => "ApnsKeyInstalled",
            Self::Resealed { .. } => "ApnsKeyResealed",
            Self::Revoked { .. } => "ApnsKeyRevoked",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
