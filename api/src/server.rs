//! Listens: bounded connections, bounded heads, and a shutdown that lets requests in flight finish.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use futures::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::limits;
use crate::router::strip_prefix;

/// Serves until `stop`, then finishes what is in flight, for at most [`limits::SHUTDOWN`].
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let connections = Arc::new(Semaphore::new(connections_allowed()));
    let graceful = GracefulShutdown::new();
    loop {
        // The permit comes first: beyond the limit, connections wait in the system's queue instead of in our memory.
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Ok(accepted) => start(accepted, &router, &graceful),
            Err(fault) => {
                tracing::warn!(error = %fault, "could not accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
    // Whoever connected before the stop is served, though the system had not handed the connection over yet.
    while let Some(Ok(accepted)) = accept(&listener, &connections).now_or_never() {
        start(accepted, &router, &graceful);
    }
    drop(listener);
    if tokio::time::timeout(limits::SHUTDOWN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still in flight after {:?} and are cut off", limits::SHUTDOWN);
    }
}

type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

fn start((stream, peer, permit): Accepted, router: &Router, graceful: &GracefulShutdown) {
    let watched = graceful.watch(connection(stream, router.clone()));
    tokio::spawn(async move {
        if let Err(fault) = watched.await {
            // The other side went away or spoke something else than HTTP; it has been told what can be told.
            tracing::debug!(error = %fault, peer.ip = %peer.ip(), "a connection ended badly");
        }
        drop(permit);
    });
}

/// As many connections as we want, or as the system lets us have beside our own files.
fn connections_allowed() -> usize {
    let wanted = limits::CONNECTIONS + limits::OTHER_FILES;
    // Where the limit cannot be raised or read, the usual one of 1024 is a safe guess.
    let files = rlimit::increase_nofile_limit(wanted as u64).unwrap_or(1024);
    let files = usize::try_from(files).unwrap_or(wanted);
    files.saturating_sub(limits::OTHER_FILES).clamp(16, limits::CONNECTIONS)
}

async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> std::io::Result<Accepted> {
    let permit = connections.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, permit))
}

/// HTTP/1.1 alone: TLS and HTTP/2 end at the proxy that a service on the internet stands behind. Every wait for the other side is bounded, so
/// that silence cannot use up the connections: the head of a request here, bodies in `json_body`, reading the answer by the stream.
fn connection(stream: TcpStream, router: Router) -> impl GracefulConnection<Error = hyper::Error> + Send {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits::WRITE));
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let request: Request = request.map(axum::body::Body::new);
        router.clone().oneshot(strip_prefix(request))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADERS)
        .max_buf_size(limits::HEADER_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
}
