//! TLS by the service itself, with files that may be replaced while it runs.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use honoken_telemetry::error_chain;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Between two looks at the files.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM, with the intermediates behind the certificate.
    pub certificate: PathBuf,
    /// PEM, of its private key.
    pub key: PathBuf,
}

/// Why files cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate cannot be read.
    #[error("{} holds no certificate in PEM", .0.display())]
    Certificate(PathBuf, #[source] pem::Error),
    /// The file has no certificate.
    #[error("{} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    /// The key cannot be read.
    #[error("{} holds no private key in PEM", .0.display())]
    Key(PathBuf, #[source] pem::Error),
    /// They do not belong together, or are of a kind that is not supported.
    #[error("the certificate in {} and the key in {} cannot be used together", .0.certificate.display(), .0.key.display())]
    Together(TlsFiles, #[source] rustls::Error),
    /// A file cannot be looked at.
    #[error("{} cannot be read", .0.display())]
    File(PathBuf, #[source] io::Error),
}

/// A certificate that connections are accepted with.
pub struct Tls {
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.current.files).finish_non_exhaustive()
    }
}

/// The certificate as it was last read.
#[derive(Debug)]
struct Current {
    files: TlsFiles,
    key: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let key = RwLock::new(Arc::new(read(&files)?));
        let current = Arc::new(Current { files: files.clone(), key });
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(|fault| TlsError::Together(files, fault))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(current.clone());
        // The only protocol that is served.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { current, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Accepts connections with the certificate as it is at that moment.
    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Reads the files again whenever they have changed, until `stop`. Files that cannot be used are told once, and the certificate before them
    /// stays in use: they may be half replaced.
    pub async fn follow(&self, stop: &CancellationToken) {
        let files = &self.current.files;
        let mut seen = stamps(files).ok();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(CHECK_INTERVAL) => {}
            }
            let now = match stamps(files) {
                Ok(now) if seen.as_ref() != Some(&now) => now,
                Ok(_) => continue,
                Err(fault) => {
                    if seen.take().is_some() {
                        log_unusable(&fault);
                    }
                    continue;
                }
            };
            seen = Some(now);
            match read(files) {
                Ok(key) => {
                    *self.current.key.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                    tracing::info!(
                        "the certificate for TLS was read again from {}",
                        files.certificate.display()
                    );
                }
                Err(fault) => log_unusable(&fault),
            }
        }
    }
}

fn log_unusable(fault: &TlsError) {
    tracing::error!(
        error = error_chain(fault),
        "the files of HONOKEN_TLS_CERT_FILE and HONOKEN_TLS_KEY_FILE have changed and cannot be used; the earlier certificate stays in use"
    );
}

/// What changes when a file is replaced or written.
type Stamp = (u64, u64, i64, i64);

fn stamps(files: &TlsFiles) -> Result<[Stamp; 2], TlsError> {
    let stamp = |file: &Path| -> Result<Stamp, TlsError> {
        let stamp = |file: Metadata| (file.ino(), file.len(), file.mtime(), file.mtime_nsec());
        fs::metadata(file).map(stamp).map_err(|fault| TlsError::File(file.to_owned(), fault))
    };
    Ok([stamp(&files.certificate)?, stamp(&files.key)?])
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let of_certificate = |fault| TlsError::Certificate(files.certificate.clone(), fault);
    let chain = CertificateDer::pem_file_iter(&files.certificate).map_err(of_certificate)?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(of_certificate)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(files.certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.map_err(|fault| TlsError::Key(files.key.clone(), fault))?;
    let together = |fault| TlsError::Together(files.clone(), fault);
    CertifiedKey::from_der(chain, key, &default_provider()).map_err(together)
}
