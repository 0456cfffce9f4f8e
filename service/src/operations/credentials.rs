//! Certificates and their keys, read as operators send them; a key that was made here comes from the read model.

use honoken_domain::certificate::{Installation, RequestedKey};
use honoken_domain::ids::{CertRef, Digest};
use honoken_domain::sealed::SealingKeys;
use honoken_pkpass::{Credential, CredentialError, CredentialFiles, IdentityError};
use honoken_projections::certificates::NamedCertificate;
use zeroize::Zeroizing;

/// A credential, and which of the waiting keys it has.
#[derive(Debug)]
pub struct Given {
    /// Certificate, key and intermediate.
    pub credential: Credential,
    /// The key that waited for it, by its public half; `None` for one that the operator sent, and for one that signs already.
    pub requested_key: Option<Digest>,
}

/// Reads a certificate with its key.
///
/// # Errors
/// [`CredentialError`], with the remedy.
pub fn with_own_key(files: CredentialFiles<'_>) -> Result<Given, CredentialError> {
    Ok(Given { credential: Credential::read(files)?, requested_key: None })
}

/// Reads a certificate whose key was made here: the one that waits under this name, or, when the certificate is sent again, the one that signs.
///
/// # Errors
/// [`CredentialError::KeyMissing`] when there is none, [`IdentityError::KeyMismatch`] when the certificate is for another key.
pub fn with_kept_key(
    files: CredentialFiles<'_>,
    named: Option<&NamedCertificate>,
    keys: &SealingKeys,
) -> Result<Given, CredentialError> {
    let mut fault = CredentialError::KeyMissing;
    for (private_key, requested_key) in named.into_iter().flat_map(|named| kept_keys(named, keys)) {
        let files = CredentialFiles { private_key: Some(&private_key), ..files };
        match Credential::read(files) {
            Ok(credential) => return Ok(Given { credential, requested_key }),
            Err(mismatch @ CredentialError::Identity(IdentityError::KeyMismatch)) => fault = mismatch,
            Err(other) => return Err(other),
        }
    }
    Err(fault)
}

/// A private key, PEM, and its public half if it waits.
type Kept = (Zeroizing<Vec<u8>>, Option<Digest>);

/// The keys under a name that open, the waiting one first.
fn kept_keys(named: &NamedCertificate, keys: &SealingKeys) -> Vec<Kept> {
    let waits = named.requested.as_ref().and_then(|key| {
        let opened = open_requested(keys, &named.cert_ref, key)?;
        Some((opened, Some(key.public_key.clone())))
    });
    let signs = named.installed.as_ref().filter(|row| !row.revoked).and_then(|row| {
        let Installation { pass_type_identifier, fingerprint, private_key, .. } = &row.installation;
        let owner = Installation::owner(pass_type_identifier, fingerprint);
        Some((keys.open(private_key, &owner).ok()?, None))
    });
    waits.into_iter().chain(signs).collect()
}

/// The key that waits, PEM, if it opens.
pub(super) fn open_requested(
    keys: &SealingKeys,
    cert_ref: &CertRef,
    key: &RequestedKey,
) -> Option<Zeroizing<Vec<u8>>> {
    keys.open(&key.private_key, &RequestedKey::owner(cert_ref, &key.public_key)).ok()
}
