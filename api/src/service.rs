//! What `dev` and `serve` have in common: where a process listens, what it answers, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use futures::future::OptionFuture;
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio_util::sync::CancellationToken;

use crate::app::{AppState, Stores};
use crate::clock::Clock;
use crate::config::{Config, Connections};
use crate::ending::Ending;
use crate::folder;
use crate::ids::IdSource;
use crate::log_output::{AnonymousLines, LogOutput};
use crate::server::{self, Counts, Door};
use crate::{limits, router};

/// What a command that runs the service needs to know.
pub struct Process {
    /// Where to listen.
    pub listen: String,
    /// Where images and certificates are kept, and the databases if no other place is named.
    pub data_dir: PathBuf,
    /// Written once requests are answered.
    pub ready_file: Option<PathBuf>,
    /// The environment.
    pub config: Config,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random values.
    pub ids: Arc<dyn IdSource>,
    /// Where lines of the log go.
    pub log_output: LogOutput,
}

impl Process {
    /// Binds the address, and takes away the ready file of an earlier run, which would send whoever waits for it to the wrong place.
    ///
    /// # Errors
    /// When either cannot be done; the sentence says what to do.
    pub async fn bind(&self) -> anyhow::Result<TcpListener> {
        let address = &self.listen;
        let listener = listen(address).await.with_context(|| {
            format!(
                "could not listen on {address}; choose another address with --listen, such as 127.0.0.1:0"
            )
        })?;
        if let Some(file) = &self.ready_file {
            folder::remove_if_there(file).with_context(|| format!("could not replace {}", file.display()))?;
        }
        Ok(listener)
    }

    /// Binds the address of the metrics, where they have one of their own.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub async fn bind_metrics(&self) -> anyhow::Result<Option<TcpListener>> {
        let Some(address) = self.config.metrics_listen else { return Ok(None) };
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| {
            format!("could not listen on {address}; choose another address in HONOKEN_METRICS_LISTEN")
        })?;
        if let Ok(address) = listener.local_addr() {
            tracing::info!("metrics are answered at http://{address}/metrics");
        }
        Ok(Some(listener))
    }

    /// What phones reach the service under: as configured, else the address it listens on.
    pub fn web_service_url(&self, base_url: &str) -> String {
        // Phones append `/v1/…`.
        let configured =
            self.config.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        configured.unwrap_or_else(|| base_url.to_owned())
    }
}

/// Where requests come in.
pub struct Doors {
    /// For everybody.
    pub main: TcpListener,
    /// What is answered there.
    pub router: Router,
    /// How many connections one address may have.
    pub connections: Connections,
    /// For the metrics, where they have a door of their own.
    pub metrics: Option<(TcpListener, Router)>,
    /// What those who come in without credentials have caused.
    pub anonymous_lines: Arc<AnonymousLines>,
}

/// The door of the metrics, if there is one.
pub fn metrics(listener: Option<TcpListener>, app: &AppState) -> Option<(TcpListener, Router)> {
    listener.map(|listener| (listener, router::metrics_alone(app.clone())))
}

/// Listens at the first of the addresses behind a name that can be had.
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
    // A service that starts again need not wait until connections of the one before are forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(limits::BACKLOG)
}

/// Answers requests until `stop`, then lets those in flight finish and closes the stores, all in bounded time ([`Ending`]). The socket listens
/// since it was bound, so a request that comes earlier waits for this. `announce` is called when requests are answered.
///
/// # Errors
/// When a part of the service ends before it was told to, or `announce` fails.
pub async fn run(
    doors: Doors,
    mut stores: Stores,
    stop: CancellationToken,
    announce: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Doors { main, router, connections, metrics, anonymous_lines } = doors;
    let counts = Counts::of(&stores.metrics);
    let allowed = server::connections_allowed();
    let main = Door {
        listener: main,
        router,
        connections: allowed,
        buffered_connections: limits::BUFFERED_CONNECTIONS.min(allowed),
        connections_per_address: connections.per_address_of(allowed),
        counts: counts.clone(),
        anonymous_lines: anonymous_lines.clone(),
    };
    let metrics = metrics.map(|(listener, router)| Door {
        listener,
        router,
        connections: limits::METRICS_CONNECTIONS,
        buffered_connections: limits::METRICS_CONNECTIONS,
        connections_per_address: None,
        counts,
        anonymous_lines: anonymous_lines.clone(),
    });
    let metrics = OptionFuture::from(metrics.map(|door| server::serve(door, stop.clone())));
    let main = server::serve(main, stop.clone());
    let until = stop.clone();
    let mut serving = tokio::spawn(async move {
        let told = anonymous_lines.tell_until(&until);
        tokio::join!(main, metrics, told);
        anonymous_lines.tell();
    });
    announce()?;
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        served = &mut serving => {
            served.context("the server ended unexpectedly")?;
            anyhow::bail!("the server ended unexpectedly; start it again");
        }
        // Half a service is worse than none: whoever supervises the process starts it again.
        () = stores.failed() => anyhow::bail!("a part of the service ended unexpectedly; start it again"),
    }
    let ending = Ending::begins();
    let (served, ()) = tokio::join!(serving, stores.end_pushing(ending));
    served.context("the server ended unexpectedly")?;
    stores.close(ending).await;
    Ok(())
}

/// Writes the ready file, if one is wanted.
///
/// # Errors
/// When it cannot be written.
pub fn write_ready_file(file: Option<&Path>, content: &str) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    folder::write_secret(file, content).with_context(|| format!("could not write {}", file.display()))
}

/// Where to find the service from this machine. An address that means all of them is no place to go to.
pub fn base_url(listening: SocketAddr) -> String {
    if listening.ip().is_unspecified() {
        return format!("http://localhost:{}", listening.port());
    }
    format!("http://{listening}")
}
