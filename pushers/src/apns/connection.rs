//! One connection: TCP, TLS, HTTP/2, and whether it is still alive.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{Ping, PingPong, Reason};
use http::{HeaderMap, Request};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::request::BODY;

/// Bodies of answers are read up to this size; Apple's reasons take a tenth of a kilobyte.
const MAX_BODY_BYTES: usize = 4096;

/// Headers of an answer up to this size.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// Where a connection leads, and how it begins.
#[derive(Clone)]
pub(super) struct Destination {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) name: ServerName<'static>,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoConnection {
    /// The network, or the server at its other end.
    #[error("{0}")]
    Failed(String),
    /// The credential is not taken, so that trying again is of no use.
    #[error("{0}")]
    Misconfigured(String),
}

/// A request has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// What happened.
    pub(super) why: String,
    /// Whether the server has not begun to work on it, so that it may be sent again and no phone is pushed to twice.
    pub(super) unprocessed: bool,
    /// Whether the connection takes no further requests.
    pub(super) connection: bool,
}

/// An answer, read whole.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A connection on which requests can be made. It ends by itself when it is no longer held and the last request on it has ended.
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    life: Arc<Life>,
}

/// State that a connection's driver and its users share.
struct Life {
    /// When it was last of use, in milliseconds since `began`.
    used: AtomicU64,
    began: Instant,
    /// A request has waited too long for its answer.
    doubted: Notify,
    /// No new request is made on it for now.
    in_doubt: AtomicBool,
    /// New requests are no longer made on it.
    retired: AtomicBool,
    /// Why the server refused this service, in the words of TLS.
    alert: OnceLock<AlertDescription>,
}

impl Connection {
    /// Connects, and gives the future that keeps the connection going until it ends: nothing happens without it.
    pub(super) async fn open(
        destination: &Destination,
        tls: Arc<ClientConfig>,
        first_streams: usize,
    ) -> Result<(Self, Driver), NoConnection> {
        let failed = |what: &str, error: &io::Error| NoConnection::Failed(format!("{what}: {error}"));
        let address = (destination.host.as_str(), destination.port);
        let stream =
            TcpStream::connect(address).await.map_err(|error| failed("no connection to APNs", &error))?;
        // A request that waits for the acknowledgement of the one before it makes all of them slow.
        stream.set_nodelay(true).map_err(|error| failed("the connection to APNs", &error))?;
        let by_certificate = tls.client_auth_cert_resolver.has_certs();
        let stream = TlsConnector::from(tls).connect(destination.name.clone(), stream).await;
        let stream = stream.map_err(|error| match alert_in(&error) {
            Some(alert) if by_certificate && is_about_the_certificate(alert) => refused_certificate(alert),
            _ => failed("no TLS with APNs", &error),
        })?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2".as_slice()) {
            return Err(NoConnection::Failed("the server does not speak HTTP/2".to_owned()));
        }
        let life = Arc::new(Life {
            used: AtomicU64::new(0),
            began: Instant::now(),
            doubted: Notify::new(),
            in_doubt: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            alert: OnceLock::new(),
        });
        let stream = Watched { stream, cannot_write: false, life: Arc::clone(&life) };
        let mut builder = h2::client::Builder::new();
        builder
            .enable_push(false)
            .max_header_list_size(MAX_HEADER_BYTES)
            .initial_max_send_streams(first_streams);
        let shaken = builder.handshake(stream).await;
        let (sender, mut connection) =
            shaken.map_err(|error| NoConnection::Failed(format!("no HTTP/2 with APNs: {error}")))?;
        let pings = connection.ping_pong();
        let driver = Driver { connection, pings, life: Arc::clone(&life) };
        Ok((Self { sender, life }, driver))
    }

    /// Makes one request and reads its answer.
    pub(super) async fn ask(&self, request: Request<()>) -> Result<Answer, Broken> {
        let unsent =
            |error: h2::Error| Broken { why: error.to_string(), unprocessed: true, connection: true };
        // A new handle has no stream before it that could be in the way, so it need not be asked whether it is ready.
        let (response, mut stream) = self.sender.clone().send_request(request, false).map_err(unsent)?;
        stream.send_data(BODY, true).map_err(|error| broken(&error))?;
        drop(stream);
        let (head, mut body) = response.await.map_err(|error| broken(&error))?.into_parts();
        let mut answer = Answer { status: head.status.as_u16(), headers: head.headers, body: Bytes::new() };
        if answer.status != 200 && !body.is_end_stream() {
            let mut read = BytesMut::new();
            while read.len() < MAX_BODY_BYTES
                && let Some(part) = body.data().await
            {
                // The status stands, whatever becomes of the body.
                let Ok(part) = part else { break };
                if body.flow_control().release_capacity(part.len()).is_err() {
                    break;
                }
                read.extend_from_slice(&part[..part.len().min(MAX_BODY_BYTES - read.len())]);
            }
            answer.body = read.freeze();
        }
        Ok(answer)
    }

    /// The connection is used now.
    pub(super) fn use_at(&self, now: Instant) {
        self.life.used.store(self.life.age_ms(now), Ordering::Relaxed);
    }

    /// How many requests are allowed at once, as SETTINGS have it now.
    pub(super) fn max_streams(&self) -> usize {
        self.sender.current_max_send_streams()
    }

    /// Whether new requests may be made on it.
    pub(super) fn is_open(&self) -> bool {
        !self.is_retired() && !self.life.in_doubt.load(Ordering::Relaxed)
    }

    /// Whether new requests are no longer made on it.
    pub(super) fn is_retired(&self) -> bool {
        self.life.retired.load(Ordering::Relaxed)
    }

    /// New requests are no longer made on it; those in flight may end.
    pub(super) fn retire(&self) {
        self.life.retired.store(true, Ordering::Relaxed);
    }

    /// A request got no answer in time: asks whether the other side is still there, and ends the connection if not.
    pub(super) fn doubt(&self) {
        self.life.in_doubt.store(true, Ordering::Relaxed);
        self.life.doubted.notify_one();
    }

    /// Why the server refused the certificate, if that is why the connection has ended.
    pub(super) fn refusal(&self) -> Option<String> {
        let alert = self.life.alert.get().copied().filter(|alert| is_about_the_certificate(*alert))?;
        Some(refused_certificate(alert).to_string())
    }
}

impl Life {
    fn age_ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

/// Keeps a connection going.
pub(super) struct Driver {
    connection: h2::client::Connection<Watched, Bytes>,
    pings: Option<PingPong>,
    life: Arc<Life>,
}

impl Driver {
    /// Until the connection has ended, or `stop`. Calls `trusted_again` when a connection that was in doubt has shown that it lives.
    pub(super) async fn run(
        self,
        ping_after: Duration,
        ping_limit: Duration,
        stop: CancellationToken,
        trusted_again: impl Fn() + Send,
    ) {
        let Self { connection, pings, life } = self;
        let watch = async {
            match pings {
                Some(pings) => watch(pings, &life, ping_after, ping_limit, trusted_again).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = connection => {
                if let Err(error) = ended {
                    tracing::debug!("a connection to APNs has ended: {error}");
                }
            }
            () = watch => tracing::warn!("a connection to APNs is dead: PING is not answered"),
            () = stop.cancelled() => {}
        }
        life.retired.store(true, Ordering::Relaxed);
    }
}

/// Asks the other side for a sign of life when there is reason to; returns when there is none.
async fn watch(
    mut pings: PingPong,
    life: &Life,
    ping_after: Duration,
    ping_limit: Duration,
    trusted_again: impl Fn(),
) {
    loop {
        let idle_since = life.began + Duration::from_millis(life.used.load(Ordering::Relaxed));
        tokio::select! {
            () = life.doubted.notified() => {}
            () = tokio::time::sleep_until(idle_since + ping_after) => {
                let used = Duration::from_millis(life.used.load(Ordering::Relaxed));
                if life.began + used > idle_since {
                    continue;
                }
            }
        }
        match tokio::time::timeout(ping_limit, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            // The connection ends by itself, and its driver with it.
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => return,
        }
        life.used.store(life.age_ms(Instant::now()), Ordering::Relaxed);
        if life.in_doubt.swap(false, Ordering::Relaxed) {
            trusted_again();
        }
    }
}

/// Decides by an error whether the request may have been worked on.
fn broken(error: &h2::Error) -> Broken {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    // Streams up to the last one that `GOAWAY` names go on, so this one lies behind it.
    let unprocessed = error.is_remote() && (error.is_go_away() || refused);
    Broken { why: error.to_string(), unprocessed, connection: !error.is_reset() }
}

fn refused_certificate(alert: AlertDescription) -> NoConnection {
    NoConnection::Misconfigured(format!("APNs refused the pass type certificate: {alert:?}"))
}

fn is_about_the_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
            // A signature is wrong: of the issuer on the certificate, or of this service in the handshake.
            | AlertDescription::DecryptError
    )
}

fn alert_in(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// A TLS stream that is read to its end.
///
/// A server that shuts down, or refuses the certificate, sends the reason and closes, perhaps while this side writes. HTTP/2 takes a write that
/// fails for the end of everything; but the answers, and the alert with the reason, are still to be read. So nothing is written any longer, and
/// reading comes to the end by itself.
struct Watched {
    stream: tokio_rustls::client::TlsStream<TcpStream>,
    cannot_write: bool,
    life: Arc<Life>,
}

impl Watched {
    /// The result of a write; `instead` when it has failed.
    fn written<T>(&mut self, polled: Poll<io::Result<T>>, instead: T) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(Err(_)) => {
                self.cannot_write = true;
                Poll::Ready(Ok(instead))
            }
            polled => polled,
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &polled
            && let Some(alert) = alert_in(error)
        {
            // The first alert has the reason; a later one only says that the connection is closed.
            let _ = self.life.alert.set(alert);
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.cannot_write {
            return Poll::Ready(Ok(buf.len()));
        }
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(polled, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        if self.cannot_write {
            return Poll::Ready(Ok(length));
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(polled, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cannot_write {
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(polled, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cannot_write {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
