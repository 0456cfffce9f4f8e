//! Listens: bounded connections, bounded heads, and a shutdown that lets requests in flight finish.
//!
//! [`connections`] counts who is connected and makes room; `connection.rs` is the life of one, over a stream (`stream.rs`) that reads no more than may be held,
//! with `unread.rs` for what a handler leaves of a body, and `closing.rs` for its end.

mod closing;
mod connection;
pub mod connections;
pub mod framing;
pub mod options;
mod stream;
#[cfg(test)]
mod tests;
mod unread;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use futures::FutureExt;
use honoken_service::limits as service_limits;
use honoken_telemetry::log_output::AnonymousLines;
use honoken_telemetry::metrics::{ClosedBecause, Metric, Metrics};
use prometheus::{IntCounter, IntGauge};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::layers::body_budget::Budget;
use crate::limits;
use connections::{Connections, Place};

/// A place where requests come in.
pub struct Door {
    /// The address.
    pub listener: TcpListener,
    /// What is answered.
    pub router: Router,
    /// Connections at a time; more wait in the system's queue.
    pub connections: usize,
    /// Of these, connections that have buffers at a time; more wait in the system's buffers.
    pub buffered_connections: usize,
    /// Connections at a time from one address; more are closed at once.
    pub connections_per_address: Option<usize>,
    /// What is counted.
    pub counts: Counts,
    /// What those who come in without credentials have caused.
    pub anonymous_lines: Arc<AnonymousLines>,
}

/// What is counted of connections, everywhere together.
#[derive(Debug, Clone)]
pub struct Counts {
    open: IntGauge,
    crowded: IntCounter,
    address: IntCounter,
}

impl Counts {
    /// Nothing yet.
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
pub async fn serve(door: Door, stop: CancellationToken) {
    let Door { listener, router, counts, anonymous_lines, .. } = door;
    let (most, buffered) = (door.connections, door.buffered_connections);
    let connections = Arc::new(Connections::new(most, buffered, door.connections_per_address, counts));
    let going_on = TaskTracker::new();
    let large_heads = Budget::new(limits::LARGE_HEADS_BYTES);
    let house = House { router, stop: stop.clone(), large_heads, anonymous_lines };
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Ok(Some(accepted)) => start(accepted, &house, &going_on),
            Ok(None) => {}
            Err(fault) => {
                tracing::warn!(error = %fault, "could not accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
    // Whoever connected before the stop is served, though the system had not handed the connection over yet.
    while let Some(Ok(accepted)) = accept(&listener, &connections).now_or_never() {
        if let Some(accepted) = accepted {
            start(accepted, &house, &going_on);
        }
    }
    drop(listener);
    going_on.close();
    if tokio::time::timeout(service_limits::SHUTDOWN, going_on.wait()).await.is_err() {
        tracing::warn!(
            "some requests were still in flight after {:?} and are cut off",
            service_limits::SHUTDOWN
        );
    }
}

/// What all connections of a door share.
#[derive(Clone)]
struct House {
    router: Router,
    stop: CancellationToken,
    /// The bytes of heads that are larger than most.
    large_heads: Arc<Budget>,
    anonymous_lines: Arc<AnonymousLines>,
}

struct Accepted {
    socket: TcpStream,
    peer: SocketAddr,
    place: Place,
}

fn start(Accepted { socket, peer, place }: Accepted, house: &House, going_on: &TaskTracker) {
    let house = house.clone();
    going_on.spawn(async move {
        connection::lives(socket, peer.ip(), &place, &house).await;
        drop(place);
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

/// The next connection; `None` when its address has too many, and it was closed. One that finds no room is held here until there is some, and those
/// behind it wait in the system's queue.
async fn accept(listener: &TcpListener, connections: &Arc<Connections>) -> std::io::Result<Option<Accepted>> {
    let (socket, peer) = listener.accept().await?;
    let Some(place) = connections.admit(peer.ip()).await else { return Ok(None) };
    socket.set_nodelay(true)?;
    Ok(Some(Accepted { socket, peer, place }))
}
