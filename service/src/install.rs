//! Turns a certificate and its key into the command that lets it sign: sealed, and carried to its aggregate.

use honoken_domain::certificate::{Certificate, CertificateCommand, CertificateError, Installation};
use honoken_domain::ids::{CertRef, Digest, InvalidId, PassTypeIdentifier, TeamIdentifier, UnixSeconds};
use honoken_domain::sealed::{Sealed, SealingKeys};
use honoken_event_store::{Committed, DispatchError, Metadata};
use honoken_pkpass::Credential;

use crate::commands::Commands;
use crate::ids::{self, IdSource};

/// What is known about passes with `nfc` that a certificate is to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enhanced {
    /// The name of the certificate decides.
    ByName,
    /// The operator says that Apple allows them.
    Said,
    /// The operator says that Apple does not.
    Denied,
}

/// Why a certificate is none for passes.
#[derive(Debug, thiserror::Error)]
pub enum NotForPasses {
    /// Its subject names no pass type.
    #[error(
        "the certificate is for `{uid}` (UID of its subject), which is not a pass type identifier: it is another kind of certificate"
    )]
    PassType {
        /// What it names.
        uid: String,
        /// The rule that this breaks.
        #[source]
        source: InvalidId,
    },
    /// Its subject names no team.
    #[error(
        "the certificate belongs to `{ou}` (OU of its subject), which is not a team identifier: it is another kind of certificate"
    )]
    Team {
        /// What it names.
        ou: String,
        /// The rule that this breaks.
        #[source]
        source: InvalidId,
    },
    /// OpenSSL cannot tell its serial number or its digest.
    #[error("the certificate cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A credential as an event may hold it.
///
/// # Errors
/// When the pass type or the team that it names is not a valid one.
pub fn installation(
    credential: &Credential,
    enhanced: Enhanced,
    keys: &SealingKeys,
    ids: &dyn IdSource,
) -> Result<Installation, NotForPasses> {
    let identity = &credential.identity;
    let uid = identity.pass_type_identifier();
    let pass_type_identifier = PassTypeIdentifier::parse(uid)
        .map_err(|source| NotForPasses::PassType { uid: uid.to_owned(), source })?;
    let ou = identity.team_identifier();
    let team_identifier =
        TeamIdentifier::parse(ou).map_err(|source| NotForPasses::Team { ou: ou.to_owned(), source })?;
    let fingerprint =
        Digest::parse(identity.fingerprint()).map_err(|fault| NotForPasses::Unreadable(fault.into()))?;
    let private_key = seal(&credential.private_key, &pass_type_identifier, &fingerprint, keys, ids);
    let seconds = |at: time::OffsetDateTime| UnixSeconds(at.unix_timestamp());
    let is_enhanced = match enhanced {
        Enhanced::ByName => identity.is_named_for_nfc(),
        Enhanced::Said => true,
        Enhanced::Denied => false,
    };
    Ok(Installation {
        certificate_serial: identity
            .certificate_serial()
            .map_err(|fault| NotForPasses::Unreadable(fault.into()))?,
        not_before: seconds(identity.not_before().max(identity.intermediate_not_before())),
        not_after: seconds(identity.not_after().min(identity.intermediate_not_after())),
        certificate: credential.certificate.clone(),
        intermediate: credential.intermediate.clone(),
        pass_type_identifier,
        team_identifier,
        fingerprint,
        private_key,
        is_enhanced: Some(is_enhanced),
        job: None,
        description: None,
        requested_key: None,
    })
}

/// Seals the private key of a certificate under the current key.
pub fn seal(
    private_key: &str,
    pass_type_identifier: &PassTypeIdentifier,
    fingerprint: &Digest,
    keys: &SealingKeys,
    ids: &dyn IdSource,
) -> Sealed {
    let owner = Installation::owner(pass_type_identifier, fingerprint);
    keys.seal(private_key.as_bytes(), &owner, ids::nonce(ids))
}

/// Whether a certificate takes the place of any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takeover {
    /// Only of one of the same team that ends no later.
    OfSuccessor,
    /// Of any of the same pass type: the operator says so.
    Forced,
}

/// Installs a certificate under a name. When that changes whether its passes may have `nfc`, a job states those anew. When the same certificate is
/// in use already, its key is sealed anew: the old seal may no longer open.
///
/// # Errors
/// When the certificate in use does not give way, or the event log is unavailable.
pub async fn install(
    dispatcher: &Commands,
    cert_ref: &CertRef,
    mut installation: Installation,
    takeover: Takeover,
    ids: &dyn IdSource,
    metadata: &Metadata,
) -> Result<Committed<Certificate>, DispatchError<CertificateError>> {
    installation.job = Some(ids::job_id(ids, metadata.recorded_at_ms));
    let id = cert_ref.as_str();
    let reseal = CertificateCommand::Reseal {
        fingerprint: installation.fingerprint.clone(),
        private_key: installation.private_key.clone(),
    };
    let installation = Box::new(installation);
    let install = match takeover {
        Takeover::OfSuccessor => CertificateCommand::Install(installation),
        Takeover::Forced => CertificateCommand::Replace(installation),
    };
    let installed = dispatcher.dispatch::<Certificate>(id, install, &(), metadata).await?;
    if !installed.events.is_empty() {
        return Ok(installed);
    }
    dispatcher.dispatch::<Certificate>(id, reseal, &(), metadata).await
}
