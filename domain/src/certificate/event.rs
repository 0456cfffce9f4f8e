//! What can have happened to a certificate. The JSON of these types is a promise: `fixtures/events/`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::ids::{CertRef, Digest, JobId, PassTypeIdentifier, TeamIdentifier, UnixSeconds};
use crate::sealed::Sealed;

/// A certificate that was checked before it came here, with all that a signer needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Installation {
    /// The pass type that it signs for: the `UID` of its subject.
    pub pass_type_identifier: PassTypeIdentifier,
    /// The developer team: the `OU` of its subject.
    pub team_identifier: TeamIdentifier,
    /// The serial number that its issuer gave it, lowercase hex.
    pub certificate_serial: String,
    /// SHA-256 of its DER.
    pub fingerprint: Digest,
    /// First second of its validity.
    pub not_before: UnixSeconds,
    /// Last second in which both it and its intermediate are valid.
    pub not_after: UnixSeconds,
    /// The certificate, PEM.
    pub certificate: String,
    /// The certificate that issued it (Apple's WWDR), PEM.
    pub intermediate: String,
    /// Its private key (PKCS #8, PEM), sealed for [`Installation::owner`].
    pub private_key: Sealed,
    /// Whether it may sign passes with `nfc`: its name says so, or the operator. Absent in events from before this was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_enhanced: Option<bool>,
    /// The job that brings the passes with `nfc` up to date, where this certificate allows `nfc` and the one before did not, or the other
    /// way round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// What an operator says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The key that was made here for it, by the SHA-256 of its public half; absent where the operator sent the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_key: Option<Digest>,
}

/// A private key that was made here and waits for its certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestedKey {
    /// The pass type that a certificate is requested for.
    pub pass_type_identifier: PassTypeIdentifier,
    /// The developer team that requests it.
    pub team_identifier: TeamIdentifier,
    /// SHA-256 of the public half (DER, `SubjectPublicKeyInfo`).
    pub public_key: Digest,
    /// The private key (PKCS #8, PEM), sealed for [`RequestedKey::owner`].
    pub private_key: Sealed,
}

impl RequestedKey {
    /// Whose the sealed key is: of this certificate name and public half, so that it opens nowhere else.
    pub fn owner(cert_ref: &CertRef, public_key: &Digest) -> String {
        format!("certificate-request/{cert_ref}/{public_key}")
    }
}

impl Installation {
    /// Whose the sealed key is: of this pass type and of this certificate, so that it opens nowhere else.
    pub fn owner(pass_type_identifier: &PassTypeIdentifier, fingerprint: &Digest) -> String {
        format!("certificate/{pass_type_identifier}/{fingerprint}")
    }

    /// Whether passes that it signs may have `nfc`. Where that was not asked, the name in the certificate decides.
    pub fn allows_nfc(&self) -> bool {
        self.is_enhanced.unwrap_or_else(|| is_named_for_nfc(&self.certificate))
    }
}

/// The name that Apple gives to certificates for passes with NFC.
const WITH_NFC: &[u8] = b"Pass Type ID with NFC";

/// Whether a certificate (PEM) has the name of those for NFC: its subject stands in it as plain text.
fn is_named_for_nfc(pem: &str) -> bool {
    let base64: String = pem.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(base64).is_ok_and(|der| der.windows(WITH_NFC.len()).any(|part| part == WITH_NFC))
}

/// A fact about a certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CertificateEvent {
    /// It signs from here on, and none did before.
    #[serde(rename = "CertificateInstalled")]
    Installed(Box<Installation>),
    /// It signs from here on, in place of another.
    #[serde(rename = "CertificateRenewed")]
    Renewed(Box<Installation>),
    /// Its key is under another seal.
    #[serde(rename = "CertificateResealed", rename_all = "camelCase")]
    Resealed {
        /// Which certificate.
        fingerprint: Digest,
        /// The same key.
        private_key: Sealed,
    },
    /// It signs no more.
    #[serde(rename = "CertificateRevoked", rename_all = "camelCase")]
    Revoked {
        /// Which certificate.
        fingerprint: Digest,
    },
    /// A key was made, and waits for its certificate; one that waited before is gone.
    #[serde(rename = "CertificateRequested")]
    Requested(RequestedKey),
    /// The waiting key is under another seal.
    #[serde(rename = "CertificateRequestResealed", rename_all = "camelCase")]
    RequestResealed {
        /// Which key.
        public_key: Digest,
        /// The same key.
        private_key: Sealed,
    },
    /// The waiting key is gone.
    #[serde(rename = "CertificateRequestWithdrawn", rename_all = "camelCase")]
    RequestWithdrawn {
        /// Which key.
        public_key: Digest,
    },
    /// Every process is to read the read model again.
    #[serde(rename = "CertificateInvalidated")]
    Invalidated {},
}

impl DomainEvent for CertificateEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Installed(_) => "CertificateInstalled",
            Self::Renewed(_) => "CertificateRenewed",
            Self::Resealed { .. } => "CertificateResealed",
            Self::Revoked { .. } => "CertificateRevoked",
            Self::Requested(_) => "CertificateRequested",
            Self::RequestResealed { .. } => "CertificateRequestResealed",
            Self::RequestWithdrawn { .. } => "CertificateRequestWithdrawn",
            Self::Invalidated {} => "CertificateInvalidated",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
