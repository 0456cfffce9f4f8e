//! The HTTP server: bounded connections, bounded heads, and a shutdown that lets requests in flight finish.
//!
//! [`connections`] counts the open connections and makes room; `connection.rs` serves one, over a stream (`stream.rs`) that reads no more
//! than may be held in memory, over a socket in the clear or with TLS (`socket.rs`, [`tls`]), with `request_body.rs` for the part of a body that a handler leaves unread, and `lingering_close.rs` for its
//! end.

mod connection;
pub mod connections;
pub mod framing;
mod lingering_close;
pub mod options;
mod request_body;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
pub mod tls;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use futures::FutureExt;
use futures::future::BoxFuture;
use honoken_service::limits as service_limits;
use honoken_telemetry::log_output::AnonymousLines;
use honoken_telemetry::metrics::{ClosedBecause, Metric, Metrics};
use prometheus::{IntCounter, IntGauge};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::layers::body_budget::Budget;
use crate::limits;
use connections::{Connections, Slot};
use tls::Tls;

/// A socket that accepts requests, the router that answers them, and its limits.
pub struct HttpListener {
    /// The bound socket.
    pub listener: TcpListener,
    /// Answers the requests.
    pub router: Router,
    /// Connections at a time; more wait in the operating system's queue.
    pub connections: usize,
    /// Of these, connections that have buffers at a time; others wait with their bytes in the operating system.
    pub buffered_connections: usize,
    /// Connections at a time from one address; more are closed at once.
    pub connections_per_address: Option<usize>,
    /// The metrics of connections.
    pub counts: Counts,
    /// Limits the log lines that callers without credentials cause.
    pub anonymous_lines: Arc<AnonymousLines>,
    /// TLS, unless it ends elsewhere.
    pub tls: Option<Arc<Tls>>,
}

/// The metrics of connections, of all listeners together.
#[derive(Debug, Clone)]
pub struct Counts {
    open: IntGauge,
    crowded: IntCounter,
    address: IntCounter,
}

impl Counts {
    /// The metrics, not changed yet.
    pub fn of(metrics: &Metrics) -> Self {
        let closed = |because: ClosedBecause| metrics.counter(Metric::ConnectionsClosed, &[because.into()]);
        Self {
            open: metrics.gauge(Metric::ConnectionsOpen, &[]),
            crowded: closed(ClosedBecause::Crowded),
            address: closed(ClosedBecause::Address),
        }
    }
}

/// Serves until `stop`, then finishes what is in flight, for at most [`service_limits::SHUTDOWN`].
pub fn serve(options: HttpListener, stop: CancellationToken) -> BoxFuture<'static, ()> {
    // Boxed to be compiled here, with all that serves a connection, and not in the crate that awaits it.
    Box::pin(accept_until(options, stop))
}

async fn accept_until(options: HttpListener, stop: CancellationToken) {
    let HttpListener { listener, router, counts, anonymous_lines, tls, .. } = options;
    let (most, buffered) = (options.connections, options.buffered_connections);
    let connections = Arc::new(Connections::new(most, buffered, options.connections_per_address, counts));
    let tasks = TaskTracker::new();
    let large_heads = Budget::new(limits::LARGE_HEADS_BYTES);
    let shared = Shared { router, stop: stop.clone(), large_heads, anonymous_lines, tls };
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Ok(Some(accepted)) => start(accepted, &shared, &tasks),
            Ok(None) => {}
            Err(fault) => {
                tracing::warn!(error = %fault, "could not accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
    // A client that connected before the stop is served, though the system had not handed over its connection yet.
    while let Some(Ok(accepted)) = accept(&listener, &connections).now_or_never() {
        if let Some(accepted) = accepted {
            start(accepted, &shared, &tasks);
        }
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(service_limits::SHUTDOWN, tasks.wait()).await.is_err() {
        tracing::warn!(
            "some requests were still in flight after {:?} and are cut off",
            service_limits::SHUTDOWN
        );
    }
}

/// The data that all connections of a listener share.
#[derive(Clone)]
struct Shared {
    router: Router,
    stop: CancellationToken,
    /// The memory budget for large heads.
    large_heads: Arc<Budget>,
    anonymous_lines: Arc<AnonymousLines>,
    tls: Option<Arc<Tls>>,
}

struct Accepted {
    socket: TcpStream,
    peer: SocketAddr,
    slot: Slot,
}

fn start(Accepted { socket, peer, slot }: Accepted, shared: &Shared, tasks: &TaskTracker) {
    let shared = shared.clone();
    tasks.spawn(async move {
        connection::run(socket, peer.ip(), &slot, &shared).await;
        drop(slot);
    });
}

/// The number of connections: as many as wanted, or as the system's limit on open files leaves beside our own files.
pub fn connections_allowed() -> usize {
    let wanted = limits::CONNECTIONS + limits::OTHER_FILES;
    // Where the limit cannot be raised or read, the usual one of 1024 is a safe guess.
    let files = rlimit::increase_nofile_limit(wanted as u64).unwrap_or(1024);
    let files = usize::try_from(files).unwrap_or(wanted);
    files.saturating_sub(limits::OTHER_FILES).clamp(16, limits::CONNECTIONS)
}

/// The next connection; `None` when its address has too many, and it was closed. One that finds no slot is held here until there is one,
/// and those behind it wait in the system's queue.
async fn accept(listener: &TcpListener, connections: &Arc<Connections>) -> std::io::Result<Option<Accepted>> {
    let (socket, peer) = listener.accept().await?;
    let Some(slot) = connections.admit(peer.ip()).await else { return Ok(None) };
    socket.set_nodelay(true)?;
    Ok(Some(Accepted { socket, peer, slot }))
}
