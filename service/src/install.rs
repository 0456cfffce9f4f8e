//! Turns a certificate and its key into the command that lets it sign: sealed, and carried to its aggregate.

use anyhow::Context;
use honoken_domain::certificate::{Certificate, CertificateCommand, Installation};
use honoken_domain::ids::{Digest, PassTypeIdentifier, TeamIdentifier, UnixSeconds};
use honoken_domain::sealed::{Sealed, SealingKeys};
use honoken_event_store::{Committed, Metadata};
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
) -> anyhow::Result<Installation> {
    let identity = &credential.identity;
    let uid = identity.pass_type_identifier();
    let pass_type_identifier = PassTypeIdentifier::parse(uid).with_context(|| {
        format!("the certificate is for `{uid}` (UID of its subject), which is not a pass type identifier: it is another kind of certificate")
    })?;
    let ou = identity.team_identifier();
    let team_identifier = TeamIdentifier::parse(ou).with_context(|| {
        format!("the certificate belongs to `{ou}` (OU of its subject), which is not a team identifier: it is another kind of certificate")
    })?;
    let fingerprint = Digest::parse(identity.fingerprint())?;
    let private_key = seal(&credential.private_key, &pass_type_identifier, &fingerprint, keys, ids);
    let seconds = |at: time::OffsetDateTime| UnixSeconds(at.unix_timestamp());
    Ok(Installation {
        certificate_serial: identity.certificate_serial()?,
        not_before: seconds(identity.not_before().max(identity.intermediate_not_before())),
        not_after: seconds(identity.not_after().min(identity.intermediate_not_after())),
        certificate: credential.certificate.clone(),
        intermediate: credential.intermediate.clone(),
        pass_type_identifier,
        team_identifier,
        fingerprint,
        private_key,
        is_enhanced: Some(enhanced == Enhanced::Said || identity.is_named_for_nfc()),
        job: None,
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

/// Installs a credential. When that changes whether its passes may have `nfc`, a job states those anew. When the same certificate is in use already, its key is sealed anew: the old seal may no longer open.
///
/// # Errors
/// When the certificate names no pass type, one of another team is in use, or the event log is unavailable.
pub async fn install(
    dispatcher: &Commands,
    credential: &Credential,
    enhanced: Enhanced,
    keys: &SealingKeys,
    ids: &dyn IdSource,
    metadata: &Metadata,
) -> anyhow::Result<Committed<Certificate>> {
    let mut installation = installation(credential, enhanced, keys, ids)?;
    installation.job = Some(ids::job_id(ids, metadata.recorded_at_ms));
    let id = installation.pass_type_identifier.to_string();
    let reseal = CertificateCommand::Reseal {
        fingerprint: installation.fingerprint.clone(),
        private_key: installation.private_key.clone(),
    };
    let install = CertificateCommand::Install(Box::new(installation));
    let installed = dispatcher.dispatch::<Certificate>(&id, install, &(), metadata).await?;
    if !installed.events.is_empty() {
        return Ok(installed);
    }
    Ok(dispatcher.dispatch::<Certificate>(&id, reseal, &(), metadata).await?)
}
