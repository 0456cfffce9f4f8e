//! TLS with an authority of its own, and the one user who may come in.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

use crate::errors;

/// The user that a new server has, with its password.
pub(crate) const LOGIN: &str = "admin:changeit";

/// The same as a header says it.
const AUTHORIZATION: &str = "Basic YWRtaW46Y2hhbmdlaXQ=";

/// A certificate for this machine, and the authority that signed it.
#[derive(Debug)]
pub(crate) struct Security {
    folder: TempDir,
}

impl Security {
    pub(crate) fn new() -> Self {
        let security = Security { folder: tempfile::tempdir().expect("a temporary folder") };
        security.issue("ca", &["-subj", "/CN=Events", "-addext", "basicConstraints=critical,CA:TRUE"]);
        let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        let leaf = ["-subj", "/CN=node", "-addext", "basicConstraints=critical,CA:FALSE", "-addext", names];
        security.issue("node", &[&leaf[..], &["-CA", "ca.pem", "-CAkey", "ca.key"]].concat());
        security
    }

    fn issue(&self, name: &str, more: &[&str]) {
        let (key, out) = (format!("{name}.key"), format!("{name}.pem"));
        let kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let mut command = Command::new("openssl");
        command.args(kind).args(["-days", "30", "-keyout", &key, "-out", &out]).args(more);
        let output = command.current_dir(self.folder.path()).output().expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The certificate that clients are to trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.file("ca.pem")
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("the provider has them");
        let (chain, key) = (certificate(&self.file("node.pem")), key(&self.file("node.key")));
        let config = builder.with_no_client_auth().with_single_cert(vec![chain], key);
        let mut config = config.expect("the key is that of the certificate");
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

fn certificate(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).expect("openssl wrote it")
}

fn key(file: &Path) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(file).expect("openssl wrote it")
}

/// Who may use streams.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    /// Everybody, as at a server without TLS.
    Everybody,
    /// The one user.
    LoggedIn,
}

impl Access {
    /// Lets a request in, or refuses it.
    pub(crate) fn admit(self, request: Request<()>) -> Result<Request<()>, Status> {
        match (self, request.metadata().get("authorization").map(MetadataValue::as_bytes)) {
            (Access::Everybody, _) => Ok(request),
            (Access::LoggedIn, Some(shown)) if shown == AUTHORIZATION.as_bytes() => Ok(request),
            (Access::LoggedIn, Some(_)) => Err(Status::unauthenticated("Bad credentials.")),
            (Access::LoggedIn, None) => Err(errors::access_denied()),
        }
    }
}
