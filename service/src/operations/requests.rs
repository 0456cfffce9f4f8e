//! Private keys that are made here, and the requests that Apple turns into certificates (RFC 2986). The key is sealed at once and never travels.

use honoken_domain::certificate::{Certificate, CertificateCommand, CertificateError, RequestedKey};
use honoken_domain::ids::{CertRef, Digest, PassTypeIdentifier, TeamIdentifier};
use honoken_domain::sealed::{Sealed, SealingKeys};
use honoken_event_store::DispatchError;
use honoken_projections::QueryError;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509NameBuilder, X509Req};
use zeroize::Zeroizing;

use crate::ids::{self, IdSource};
use crate::operations::context::Context;
use crate::operations::credentials::open_requested;

/// Apple takes RSA keys of this size.
const KEY_BITS: u32 = 2048;

/// A private key and its request, both PEM.
pub struct MadeRequest {
    /// PKCS #8. A secret.
    pub private_key: Zeroizing<String>,
    /// The request.
    pub request: String,
}

impl std::fmt::Debug for MadeRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeRequest").field("request", &self.request).finish_non_exhaustive()
    }
}

/// Makes a key and its request. It takes a good part of a second of one core.
///
/// # Errors
/// When OpenSSL fails.
pub fn make(pass_type: &PassTypeIdentifier) -> Result<MadeRequest, ErrorStack> {
    let key = PKey::from_rsa(Rsa::generate(KEY_BITS)?)?;
    let pem = Zeroizing::new(key.private_key_to_pem_pkcs8()?);
    Ok(MadeRequest {
        private_key: Zeroizing::new(String::from_utf8_lossy(&pem).into_owned()),
        request: request_for(&key, pass_type)?,
    })
}

fn request_for(key: &PKeyRef<Private>, pass_type: &PassTypeIdentifier) -> Result<String, ErrorStack> {
    // Apple takes the key and writes a subject of its own.
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, &common_name(pass_type))?;
    let mut request = X509Req::builder()?;
    request.set_version(0)?;
    request.set_subject_name(&name.build())?;
    request.set_pubkey(key)?;
    request.sign(key, MessageDigest::sha256())?;
    Ok(String::from_utf8_lossy(&request.build().to_pem()?).into_owned())
}

/// A common name has 64 characters at the most (RFC 5280), fewer than an identifier may have.
fn common_name(pass_type: &PassTypeIdentifier) -> String {
    pass_type.as_str().chars().take(64).collect()
}

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub enum RequestFailure {
    /// The name belongs to the certificate of another pass type.
    #[error("the certificate of this name is for the pass type {0}: choose another name for this one")]
    AnotherPassType(PassTypeIdentifier),
    /// OpenSSL fails.
    #[error("OpenSSL could not make a key")]
    OpenSsl(#[source] ErrorStack),
    /// The thread that made the key ended.
    #[error("the maker of the key ended unexpectedly")]
    Died,
    /// The event log is unavailable.
    #[error(transparent)]
    Certificate(#[from] DispatchError<CertificateError>),
    /// The read model is unavailable.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// A request for a certificate of this name. Asked again, while the key waits, it is for the same key: the earlier request is as good.
///
/// # Errors
/// [`RequestFailure`].
pub async fn request(
    context: &Context<'_>,
    keys: &SealingKeys,
    cert_ref: &CertRef,
    pass_type_identifier: &PassTypeIdentifier,
    team_identifier: &TeamIdentifier,
) -> Result<String, RequestFailure> {
    let named = context.read_model.named_certificate(cert_ref).await?;
    let in_use = named.as_ref().and_then(|named| named.installed.as_ref()).filter(|row| !row.revoked);
    if let Some(row) = in_use
        && row.installation.pass_type_identifier != *pass_type_identifier
    {
        return Err(RequestFailure::AnotherPassType(row.installation.pass_type_identifier.clone()));
    }
    let is_this = |key: &RequestedKey| {
        (&key.pass_type_identifier, &key.team_identifier) == (pass_type_identifier, team_identifier)
    };
    let waits = named.and_then(|named| named.requested).filter(is_this);
    if let Some(opened) = waits.and_then(|key| open_requested(keys, cert_ref, &key)) {
        let key = PKey::private_key_from_pem_callback(&opened, |_| Ok(0)).map_err(RequestFailure::OpenSsl)?;
        return request_for(&key, pass_type_identifier).map_err(RequestFailure::OpenSsl);
    }
    let of_type = pass_type_identifier.clone();
    // Making a key takes a while, so it is not done on the threads that answer requests.
    let made = tokio::task::spawn_blocking(move || make(&of_type)).await.map_err(|_| RequestFailure::Died)?;
    let MadeRequest { private_key, request } = made.map_err(RequestFailure::OpenSsl)?;
    let public_key = public_key(&private_key).map_err(RequestFailure::OpenSsl)?;
    let requested = RequestedKey {
        pass_type_identifier: pass_type_identifier.clone(),
        team_identifier: team_identifier.clone(),
        private_key: seal(private_key.as_bytes(), cert_ref, &public_key, keys, context.ids),
        public_key,
    };
    let command = CertificateCommand::Request(requested);
    let id = cert_ref.as_str();
    let requested = context.dispatcher.dispatch::<Certificate>(id, command, &(), context.metadata).await?;
    context.settle(&requested).await;
    Ok(request)
}

fn public_key(private_key: &str) -> Result<Digest, ErrorStack> {
    let key = PKey::private_key_from_pem_callback(private_key.as_bytes(), |_| Ok(0))?;
    Ok(Digest::of(&key.public_key_to_der()?))
}

/// Seals a key that waits under the current key.
pub fn seal(
    private_key: &[u8],
    cert_ref: &CertRef,
    public_key: &Digest,
    keys: &SealingKeys,
    ids: &dyn IdSource,
) -> Sealed {
    keys.seal(private_key, &RequestedKey::owner(cert_ref, public_key), ids::nonce(ids))
}
