//! Connections: TCP, with TLS around it where the address says `https`.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::Trust;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes connections for hyper, each within a limited time.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    trust: Option<Trust>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(trust: Option<Trust>, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // A request must not wait for the acknowledgement of the one before it.
        tcp.set_nodelay(true);
        Self { tcp, trust, timeout }
    }

    pub(super) fn speaks_tls(&self) -> bool {
        self.trust.is_some()
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Socket>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        ready!(self.tcp.poll_ready(context))?;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let (timeout, trust) = (self.timeout, self.trust.clone());
        let connecting = self.tcp.call(address.clone());
        Box::pin(async move {
            let connected = async {
                let stream = connecting.await?.into_inner();
                match trust.filter(|_| address.scheme_str() == Some("https")) {
                    Some(trust) => secured(stream, &address, trust).await,
                    None => Ok(Socket::Plain(stream)),
                }
            };
            match tokio::time::timeout(timeout, connected).await {
                Ok(socket) => socket.map(TokioIo::new),
                Err(_) => Err(format!("no connection within {timeout:?}").into()),
            }
        })
    }
}

async fn secured(stream: TcpStream, address: &Uri, trust: Trust) -> Result<Socket, BoxError> {
    // An IPv6 address stands in brackets in a URL and without them in a certificate.
    let host = address.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned())?;
    let tls = TlsConnector::from(Arc::clone(&trust.config)).connect(name, stream).await?;
    Ok(Socket::Tls(Box::new(tls)))
}

/// One connection.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// One call, handed to whichever of the two it is.
macro_rules! either {
    ($socket:expr, $method:ident($($argument:expr),*)) => {
        match $socket.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).$method($($argument),*),
            Socket::Tls(stream) => Pin::new(stream.as_mut()).$method($($argument),*),
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, poll_read(context, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(context))
    }
}
