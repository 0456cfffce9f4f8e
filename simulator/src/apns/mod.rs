//! A fake of Apple's push servers: HTTP/2 over TLS on this machine, as strict as Apple, with any answer that a test wants.
//!
//! Start at [`FakeApns::start`]. It lives in a thread with a runtime of its own, so that it neither stops with the test's runtime nor slows
//! it. Provider tokens are verified with the public keys in [`Options::keys`], client certificates with [`Options::client_authorities`];
//! with neither, every client may push anything, which is meant for measuring. [`Rule`] and [`Answer`] say what is answered and when;
//! [`FakeApns::hold`], [`FakeApns::go_away`], [`FakeApns::max_streams`] and the like disturb connections while they are at work.
//!
//! Every push is remembered in the order of its arrival ([`Received`]), and a test waits for pushes without polling
//! ([`FakeApns::wait_for`]). [`FakeApns::violations`] lists every breach of HTTP/2 and of Apple's rules.
//!
//! Connections come in through `listener.rs`, one connection is in `connection/`, and `server_state.rs` is shared by them and the test.

mod answer;
mod authority;
mod connection;
mod control;
mod hpack;
mod huffman;
mod listener;
mod options;
mod provider_token;
mod push;
mod record;
mod server_state;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use self::answer::{Answer, REFUSALS, REFUSED_STREAM, Rule, RuleId};
pub use self::authority::{Authority, Identity};
pub use self::options::{Now, Options, SingleStream};
pub use self::provider_token::TokenKey;
pub use self::record::{Received, Seen};

use self::control::Control;
use self::server_state::{ServerState, lock};

/// How long a test waits for an event that should happen, before it is told what happened instead.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. It ends when this is dropped.
pub struct FakeApns {
    server: Arc<ServerState>,
    address: SocketAddr,
    authority: Authority,
    ca_pem: String,
    stop: CancellationToken,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl FakeApns {
    /// Starts a server. It is reachable when this returns.
    pub fn start(options: Options) -> io::Result<Self> {
        let authority = match &options.authority {
            Some(authority) => authority.clone(),
            None => Authority::new()?,
        };
        let ca_pem = authority.pem()?;
        let tls = listener::tls(&options, &authority)?;
        let mut builder = if options.threads > 1 {
            tokio::runtime::Builder::new_multi_thread()
        } else {
            tokio::runtime::Builder::new_current_thread()
        };
        builder.worker_threads(options.threads.max(1)).enable_all();
        // Bound with `SO_REUSEADDR`: a port that was in use a moment ago may be taken again.
        let socket = std::net::TcpListener::bind(options.listen)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let server = Arc::new(ServerState::new(options));
        let stop = CancellationToken::new();
        let serving =
            listener::serve(socket, TlsAcceptor::from(Arc::new(tls)), Arc::clone(&server), stop.clone());
        let thread = std::thread::Builder::new().name("fake-apns".to_owned()).spawn(move || {
            let runtime = builder.build()?;
            let outcome = runtime.block_on(async { tokio::spawn(serving).await.map_err(io::Error::other)? });
            runtime.shutdown_background();
            outcome
        })?;
        Ok(Self { server, address, authority, ca_pem, stop, thread: Some(thread) })
    }

    /// Its address, `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Its socket.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that a client must trust, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Writes that certificate to a file.
    pub fn write_ca(&self, file: &Path) -> io::Result<()> {
        std::fs::write(file, &self.ca_pem)
    }

    /// The authority that signed its certificate.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Adds a rule. Of several that fit, the last one decides; without one, a push that keeps Apple's rules is accepted.
    pub fn answer(&self, rule: Rule) -> RuleId {
        let mut script = lock(&self.server.script);
        let id = script.add(rule);
        self.server.scripted.store(true, Ordering::Relaxed);
        id
    }

    /// Removes a rule, if it is not used up.
    pub fn forget(&self, rule: RuleId) {
        lock(&self.server.script).remove(rule);
    }

    /// Removes all rules.
    pub fn answer_normally(&self) {
        lock(&self.server.script).clear();
    }

    /// Answers from now on come that much later.
    pub fn latency(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.server.latency_us.store(micros, Ordering::Relaxed);
    }

    /// Takes pushes from now on without answering: the phones are woken, and the client hears of it only after [`release`](Self::release).
    pub fn hold(&self) {
        self.server.holds.store(true, Ordering::Relaxed);
    }

    /// Answers the pushes that were held, and later ones at once.
    pub fn release(&self) {
        self.server.holds.store(false, Ordering::Relaxed);
        self.server.tell(&Control::Release);
    }

    /// Ends all connections at once, without a word.
    pub fn close_connections(&self) {
        self.server.tell(&Control::Close);
    }

    /// `GOAWAY` on all connections with that reason in its JSON. Of the pushes that wait for an answer, the newest `leaving` of each
    /// connection are not worked on; the others are answered before it ends.
    pub fn go_away(&self, reason: &str, leaving: usize) {
        self.server.tell(&Control::GoAway { reason: reason.to_owned(), leaving });
    }

    /// Changes `SETTINGS_MAX_CONCURRENT_STREAMS`, of open connections too.
    pub fn max_streams(&self, max_streams: u32) {
        self.server.max_streams.store(max_streams, Ordering::Relaxed);
        self.server.tell(&Control::MaxStreams(max_streams));
    }

    /// Whether `PING` is answered, as it is at first.
    pub fn answer_pings(&self, answers: bool) {
        self.server.answers_pings.store(answers, Ordering::Relaxed);
    }

    /// Whether new connections are closed before the TLS handshake.
    pub fn refuse_connections(&self, refuses: bool) {
        self.server.refuses.store(refuses, Ordering::Relaxed);
    }

    /// All pushes so far, in the order of their arrival.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.server.received).clone()
    }

    /// Forgets the pushes so far; their count goes on.
    pub fn forget_received(&self) {
        lock(&self.server.received).clear();
    }

    /// How many pushes have arrived.
    pub fn count(&self) -> u64 {
        *self.server.count.borrow()
    }

    /// The pushes that woke the phone with that push token.
    pub fn wakes_of(&self, token: &str) -> Vec<Received> {
        let received = lock(&self.server.received);
        received.iter().filter(|received| received.woke && received.token == token).cloned().collect()
    }

    /// How often each push token was woken.
    pub fn wakes(&self) -> BTreeMap<String, usize> {
        let mut wakes = BTreeMap::new();
        for received in lock(&self.server.received).iter().filter(|received| received.woke) {
            *wakes.entry(received.token.clone()).or_default() += 1;
        }
        wakes
    }

    /// All connections whose handshake was completed.
    pub fn connections(&self) -> Vec<Seen> {
        lock(&self.server.connections).seen.clone()
    }

    /// How many connections have begun, including those without a complete handshake.
    pub fn connections_begun(&self) -> u64 {
        self.server.begun.load(Ordering::Relaxed)
    }

    /// Every breach of HTTP/2 and of Apple's rules for connections.
    pub fn violations(&self) -> Vec<String> {
        lock(&self.server.violations).clone()
    }

    /// Waits until that many pushes have arrived since the start.
    ///
    /// # Panics
    ///
    /// When they have not after half a minute.
    pub async fn wait_for(&self, count: u64) -> Vec<Received> {
        self.wait_until(&format!("{count} pushes"), |apns| apns.count() >= count).await;
        self.received()
    }

    /// Waits until a condition holds; it is tested again whenever something happens here.
    ///
    /// # Panics
    ///
    /// When it does not hold after half a minute.
    pub async fn wait_until(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let mut changes = self.server.changes.subscribe();
        let waiting = async {
            while !condition(self) {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(in_time.is_ok(), "waited for {what}, in vain: {}", self.story());
    }

    fn story(&self) -> String {
        let received = self.received();
        let last = received.iter().rev().take(5).collect::<Vec<_>>();
        let (count, connections) = (self.count(), self.connections());
        format!(
            "{count} pushes, the last {last:?}; connections {connections:?}; violations {:?}",
            self.violations()
        )
    }

    /// Ends it: its connections close, and its port is free when this returns.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            match thread.join() {
                Ok(Ok(())) => {}
                // A test that has failed already fails for its own reason.
                _ if std::thread::panicking() => {}
                Ok(Err(error)) => panic!("the fake APNs did not run: {error}"),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    }
}

impl Drop for FakeApns {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for FakeApns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FakeApns({})", self.address)
    }
}
