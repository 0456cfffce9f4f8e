//! The servers that are trusted, and the certificate that is shown to them.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::options::{InvalidOptions, Options};
use crate::ports::{Credential, PassCertificate};

/// The settings that all connections share.
#[derive(Clone)]
pub(super) struct Trust {
    provider: Arc<CryptoProvider>,
    verifier: Arc<Verifier>,
}

impl Trust {
    /// The authorities of the options, else those of the operating system. Apple changes its servers' certificates, so none is pinned.
    pub(super) fn of(options: &Options) -> Result<Self, InvalidOptions> {
        let mut roots = RootCertStore::empty();
        let mut named = Vec::new();
        if let Some(pem) = &options.ca_pem {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| InvalidOptions::CertificateAuthorities)?;
                roots.add(certificate.clone()).map_err(|_| InvalidOptions::CertificateAuthorities)?;
                named.push(certificate);
            }
            if roots.is_empty() {
                return Err(InvalidOptions::CertificateAuthorities);
            }
        } else {
            // Single unreadable files among the system's are no reason to trust none of them.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(InvalidOptions::NoCertificateAuthorities);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let chains =
            chains.build().map_err(|fault| InvalidOptions::Tls(rustls::Error::General(fault.to_string())))?;
        Ok(Self { provider, verifier: Arc::new(Verifier { named, chains }) })
    }

    /// TLS 1.2 or later and HTTP/2 only, with the client certificate of the credential if it is one.
    pub(super) fn client(&self, credential: &Credential) -> Result<ClientConfig, Unusable> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_safe_default_protocol_versions()?.dangerous();
        let builder = builder.with_custom_certificate_verifier(Arc::clone(&self.verifier) as _);
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

/// Checks chains of certificates as usual. A server that shows a certificate which the options name is trusted for that, if it bears the right name:
/// one that signed itself is an authority to OpenSSL, and no server's certificate to webpki.
#[derive(Debug)]
struct Verifier {
    named: Vec<CertificateDer<'static>>,
    chains: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.named.iter().any(|named| named == end_entity) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        self.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
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
