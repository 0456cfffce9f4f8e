//! The sockets on which a process listens.

use std::io;
use std::net::SocketAddr;

use anyhow::Context;
use honoken_api::limits;
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// The sockets of a process. They listen from the moment they are bound, so early requests wait.
pub struct Sockets {
    /// For all requests.
    pub main: TcpListener,
    /// For the metrics, if they have an address of their own.
    pub metrics: Option<TcpListener>,
    /// The URL of the main socket on this machine.
    pub base_url: String,
}

impl Sockets {
    /// Binds both addresses.
    ///
    /// # Errors
    /// When one cannot be bound; the sentence says what to do.
    pub async fn bind(address: &str, metrics: Option<SocketAddr>) -> anyhow::Result<Self> {
        let main = listen(address).await.with_context(|| {
            format!(
                "could not listen on {address}; choose another address with --listen, such as 127.0.0.1:0"
            )
        })?;
        let base_url = base_url(main.local_addr()?);
        Ok(Self { main, metrics: bind_metrics(metrics).await?, base_url })
    }
}

async fn bind_metrics(address: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| {
        format!("could not listen on {address}; choose another address in HONOKEN_METRICS_LISTEN")
    })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!("metrics are answered at http://{address}/metrics");
    }
    Ok(Some(listener))
}

/// Listens on the first available address behind a name.
async fn listen(address: &str) -> io::Result<TcpListener> {
    let mut fault = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in lookup_host(address).await? {
        match listen_at(address) {
            Ok(listener) => return Ok(listener),
            Err(reason) => fault = reason,
        }
    }
    Err(fault)
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted service need not wait until the connections of the previous process are forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(limits::BACKLOG)
}

/// The URL of the service on this machine. An unspecified address such as `0.0.0.0` is not reachable by its own number, so `localhost`
/// stands for it.
fn base_url(listening: SocketAddr) -> String {
    if listening.ip().is_unspecified() {
        return format!("http://localhost:{}", listening.port());
    }
    format!("http://{listening}")
}
