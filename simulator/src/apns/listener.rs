//! The door: connections are accepted, TLS is agreed, and each client is known by its certificate.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use openssl::nid::Nid;
use openssl::x509::X509;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::authority::Authority;
use super::connection::Connection;
use super::options::Options;
use super::server_state::ServerState;

pub(super) fn tls(options: &Options, authority: &Authority) -> io::Result<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let builder = match &options.client_authorities {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.allow_unauthenticated().build().map_err(io::Error::other)?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let identity = if options.self_signed { authority.itself() } else { authority.server()? };
    let chain = vec![CertificateDer::from(identity.certificate.to_der()?)];
    let key = PrivateKeyDer::try_from(identity.key.private_key_to_pkcs8()?).map_err(io::Error::other)?;
    let mut config = builder.with_single_cert(chain, key).map_err(io::Error::other)?;
    let protocol: &[u8] = if options.http_1 { b"http/1.1" } else { b"h2" };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

pub(super) async fn serve(
    listener: std::net::TcpListener,
    tls: TlsAcceptor,
    server: Arc<ServerState>,
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Dropping the set ends them all.
            () = stop.cancelled() => return Ok(()),
        };
        if let Ok((stream, _)) = accepted {
            server.begun.fetch_add(1, Ordering::Relaxed);
            server.changed();
            if !server.refuses.load(Ordering::Relaxed) {
                connections.spawn(connection(stream, tls.clone(), Arc::clone(&server)));
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, server: Arc<ServerState>) {
    // Without `TCP_NODELAY` answers wait for acknowledgements; a connection that is gone already needs none.
    let _ = stream.set_nodelay(true);
    // A client that fails the handshake is none: it speaks HTTP/1.1, has a certificate of another authority, or does not trust this server.
    let Ok(stream) = tls.accept(stream).await else { return };
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(b"h2".as_slice()) {
        server.violation("the client did not ask for HTTP/2");
        return;
    }
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    let certificate = certificate.and_then(|der| X509::from_der(der).ok());
    let topic = certificate.as_ref().and_then(|certificate| {
        let entry = certificate.subject_name().entries_by_nid(Nid::USERID).next()?;
        entry.data().to_string().ok()
    });
    let subject = certificate.as_ref().map(|certificate| format!("{:?}", certificate.subject_name()));
    let (control, controlled) = unbounded_channel();
    let number = server.connected(control, subject, topic.clone());
    Connection::new(stream, Arc::clone(&server), number, topic, controlled).run().await;
    server.disconnected(number);
}
