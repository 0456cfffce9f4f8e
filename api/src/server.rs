//! Listens: bounded connections, bounded heads, and a shutdown that lets requests in flight finish.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use futures::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::IntGauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::client_address;
use crate::limits;
use crate::log_output::AnonymousLines;
use crate::metrics::AnonymousLine;
use crate::rates::Peer;
use crate::router::strip_prefix;

/// A place where requests come in.
pub struct Door {
    /// The address.
    pub listener: TcpListener,
    /// What is answered.
    pub router: Router,
    /// Connections at a time; more wait in the system's queue.
    pub connections: usize,
    /// How many are open, everywhere.
    pub open: IntGauge,
    /// What those who come in without credentials have caused.
    pub anonymous_lines: Arc<AnonymousLines>,
}

/// Serves until `stop`, then finishes what is in flight, for at most [`limits::SHUTDOWN`].
pub async fn serve(door: Door, stop: CancellationToken) {
    let connections = Arc::new(Semaphore::new(door.connections));
    let going_on = TaskTracker::new();
    let Door { listener, router, open, anonymous_lines, .. } = door;
    let house = House { router, open, anonymous_lines, stop: stop.clone(), crowded: Arc::new(Notify::new()) };
    loop {
        // The permit comes first: beyond the limit, connections wait in the system's queue instead of in our memory.
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &connections, &house.crowded) => accepted,
        };
        match accepted {
            Ok(accepted) => start(accepted, &house, &going_on),
            Err(fault) => {
                tracing::warn!(error = %fault, "could not accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
    // Whoever connected before the stop is served, though the system had not handed the connection over yet.
    while let Some(Ok(accepted)) = accept(&listener, &connections, &house.crowded).now_or_never() {
        start(accepted, &house, &going_on);
    }
    drop(listener);
    going_on.close();
    if tokio::time::timeout(limits::SHUTDOWN, going_on.wait()).await.is_err() {
        tracing::warn!("some requests were still in flight after {:?} and are cut off", limits::SHUTDOWN);
    }
}

type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

/// What all connections of a door share.
#[derive(Clone)]
struct House {
    router: Router,
    open: IntGauge,
    anonymous_lines: Arc<AnonymousLines>,
    stop: CancellationToken,
    /// Called when there are no connections left: those on which nothing happens are closed, and whoever knocks is let in.
    crowded: Arc<Notify>,
}

fn start((stream, peer, permit): Accepted, house: &House, going_on: &TaskTracker) {
    let house = house.clone();
    going_on.spawn(async move {
        house.open.inc();
        if let Err(fault) = connection(stream, peer, &house).await {
            // The other side went away or spoke something else than HTTP; it has been told what can be told.
            let address = client_address::counted_as(peer.ip());
            if tracing::enabled!(tracing::Level::DEBUG)
                && house.anonymous_lines.admit(AnonymousLine::Request, address, 1) > 0
            {
                tracing::debug!(error = %fault, peer.ip = %peer.ip(), "a connection ended badly");
            }
        }
        house.open.dec();
        drop(permit);
    });
}

/// As many connections as we want, or as the system lets us have beside our own files.
pub fn connections_allowed() -> usize {
    let wanted = limits::CONNECTIONS + limits::OTHER_FILES;
    // Where the limit cannot be raised or read, the usual one of 1024 is a safe guess.
    let files = rlimit::increase_nofile_limit(wanted as u64).unwrap_or(1024);
    let files = usize::try_from(files).unwrap_or(wanted);
    files.saturating_sub(limits::OTHER_FILES).clamp(16, limits::CONNECTIONS)
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
    crowded: &Notify,
) -> std::io::Result<Accepted> {
    if connections.available_permits() == 0 {
        crowded.notify_waiters();
    }
    let permit = connections.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, permit))
}

/// HTTP/1.1 alone: TLS and HTTP/2 end at the proxy that a service on the internet stands behind. Every wait for the other side is bounded, so
/// that silence cannot use up the connections: the head of a request here, bodies in `json_body`, reading the answer by the stream.
async fn connection(stream: TcpStream, peer: SocketAddr, house: &House) -> hyper::Result<()> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits::WRITE));
    let service = hyper::service::service_fn(|request: hyper::Request<Incoming>| {
        let mut request: Request =
            request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) });
        request.extensions_mut().insert(Peer(peer.ip()));
        house.router.clone().oneshot(strip_prefix(request))
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HEADERS)
            .max_buf_size(limits::HEADER_BYTES)
            .serve_connection(TokioIo::new(Box::pin(stream)), service)
    );
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = house.stop.cancelled() => {}
        () = house.crowded.notified() => {}
    }
    // What is in progress is finished; without anything in progress this is the end.
    connection.as_mut().graceful_shutdown();
    connection.await
}
