//! The certificate authorities that a client trusts.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Root certificates for `https`. Cloning is cheap.
#[derive(Clone)]
pub struct Trust {
    pub(super) config: Arc<ClientConfig>,
}

/// Why there are no root certificates.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file of certificates holds none, or something else.
    #[error("the file holds no certificate in PEM that can be read{0}")]
    Pem(String),
    /// The crypto library refuses to work.
    #[error("TLS is not available")]
    Tls(#[from] rustls::Error),
}

impl Trust {
    /// The roots that the operating system trusts, and those of a PEM file beside them. A system without any is no error: then no `https`
    /// address is trusted.
    pub fn system_and(pem: Option<&[u8]>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(pem) = pem {
            add(&mut roots, pem)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config) })
    }
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TrustError> {
    let mut added = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|fault| TrustError::Pem(format!(": {fault}")))?;
        roots.add(certificate).map_err(|fault| TrustError::Pem(format!(": {fault}")))?;
        added += 1;
    }
    if added == 0 { Err(TrustError::Pem(String::new())) } else { Ok(()) }
}

impl fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Trust").finish_non_exhaustive()
    }
}
