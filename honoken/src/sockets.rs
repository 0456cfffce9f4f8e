//! The sockets on which a process listens.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use honoken_api::limits;
use honoken_api::server::tls::Tls;
use tokio::net::{TcpListener, TcpSocket, lookup_host};

use crate::config::{Config, MetricsPlace};

/// The sockets of a process. They listen from the moment they are bound, so early requests wait.
pub struct Sockets {
    /// For all requests.
    pub main: TcpListener,
    /// For the metrics, if they have an address of their own.
    pub metrics: Option<TcpListener>,
    /// For the routes of operators, if they have an address of their own.
    pub admin: Option<TcpListener>,
    /// TLS for the main socket and that of operators, if it ends here.
    pub tls: Option<Arc<Tls>>,
    /// The URL of the main socket on this machine.
    pub base_url: String,
    /// The URL of the socket for operators on this machine, if there is one.
    pub admin_url: Option<String>,
}

impl Sockets {
    /// Binds all addresses.
    ///
    /// # Errors
    /// When one cannot be bound; the sentence says what to do.
    pub async fn bind(address: &str, config: &Config) -> anyhow::Result<Self> {
        let main = listen(address).await.with_context(|| {
            format!(
                "could not listen on {address}; choose another address with --listen, such as 127.0.0.1:0"
            )
        })?;
        let tls = config.tls.clone().map(Tls::load).transpose();
        let tls = tls.context("HONOKEN_TLS_CERT_FILE and HONOKEN_TLS_KEY_FILE cannot be used")?.map(Arc::new);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base_url = base_url_of(scheme, main.local_addr()?);
        let metrics = match config.metrics {
            Some(MetricsPlace::At(address)) => Some(bind_other(address, "HONOKEN_METRICS_LISTEN").await?),
            Some(MetricsPlace::Public) | None => None,
        };
        if let Some(address) = metrics.as_ref().and_then(|listener| listener.local_addr().ok()) {
            tracing::info!("metrics are answered at http://{address}/metrics");
        }
        let admin = match config.admin_listen {
            Some(address) => Some(bind_other(address, "HONOKEN_ADMIN_LISTEN").await?),
            None => None,
        };
        let admin_url = match &admin {
            Some(listener) => Some(base_url_of(scheme, listener.local_addr()?)),
            None => None,
        };
        Ok(Self { main, metrics, admin, tls, base_url, admin_url })
    }
}

async fn bind_other(address: SocketAddr, variable: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("could not listen on {address}; choose another address in {variable}"))
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
fn base_url_of(scheme: &str, listening: SocketAddr) -> String {
    if listening.ip().is_unspecified() {
        return format!("{scheme}://localhost:{}", listening.port());
    }
    format!("{scheme}://{listening}")
}
