//! Whom we trust, and the certificate that we show.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::options::{InvalidOptions, Options};
use crate::ports::{Credential, PassCertificate};

/// What all connections share.
#[derive(Clone)]
pub(super) struct Trust {
    roots: Arc<RootCertStore>,
}

impl Trust {
    /// The authorities of the options, else those of the operating system. Apple changes its servers' certificates, so none is pinned.
    pub(super) fn of(options: &Options) -> Result<Self, InvalidOptions> {
        let mut roots = RootCertStore::empty();
        if let Some(pem) = &options.ca_pem {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| InvalidOptions::CertificateAuthorities)?;
                roots.add(certificate).map_err(|_| InvalidOptions::CertificateAuthorities)?;
            }
            if roots.is_empty() {
                return Err(InvalidOptions::CertificateAuthorities);
            }
        } else {
            // Single unreadable files among the system's are no reason to trust nobody.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(InvalidOptions::NoCertificateAuthorities);
            }
        }
        Ok(Self { roots: Arc::new(roots) })
    }

    /// TLS 1.2 or later and HTTP/2 only, with the client certificate of the credential if it is one.
    pub(super) fn client(&self, credential: &Credential) -> Result<ClientConfig, Unusable> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = builder.with_root_certificates(Arc::clone(&self.roots));
        let mut config = match credential {
            Credential::Key(_) => builder.with_no_client_auth(),
            Credential::Certificate(certificate) => {
                let (chain, key) = identity(certificate)?;
                builder.with_client_auth_cert(chain, key)?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// The certificate or its key cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("the certificate cannot be shown: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the certificate cannot be written: {0}")]
    Certificate(#[from] openssl::error::ErrorStack),
    #[error("the key of the certificate is of a kind that TLS does not know")]
    Key,
}

fn identity(
    certificate: &PassCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Unusable> {
    let chain = std::iter::once(&certificate.certificate).chain(&certificate.chain);
    let chain = chain.map(|certificate| certificate.to_der().map(CertificateDer::from));
    let key = certificate.key.private_key_to_pkcs8()?;
    Ok((chain.collect::<Result<_, _>>()?, PrivateKeyDer::try_from(key).map_err(|_| Unusable::Key)?))
}
