//! A fake of Apple's push servers: HTTP/2 over TLS on this machine, as strict as Apple, answering whatever a test wants.
//!
//! Start at [`FakeApns::start`]. It lives in a thread with a runtime of its own, so that it neither stops with the test's runtime nor slows
//! it. Provider tokens are verified with the public keys in [`Options::keys`], client certificates with [`Options::client_authorities`];
//! with neither, everybody may push anything, which is meant for measuring. [`Rule`] and [`Answer`] say what is answered and when;
//! [`FakeApns::hold`], [`FakeApns::go_away`], [`FakeApns::max_streams`] and the like disturb connections while they are at work.
//!
//! Every push is remembered in the order of its arrival ([`Received`]), and a test waits for pushes without polling
//! ([`FakeApns::wait_for`]). What a client did against HTTP/2 or Apple's rules is in [`FakeApns::violations`].

mod answer;
mod authority;
mod connection;
mod hpack;
mod huffman;
mod provider_token;
mod push;
mod record;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use openssl::nid::Nid;
use openssl::x509::X509;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use self::answer::{Answer, REFUSALS, REFUSED_STREAM, Rule, RuleId};
pub use self::authority::{Authority, Identity};
pub use self::provider_token::TokenKey;
pub use self::record::{Received, Seen};

use self::answer::Script;
use self::connection::{Connection, Control};
use self::provider_token::Verified;

/// How long a test waits for what should happen, before it is told what happened instead.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time as the fake sees it, Unix seconds.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How a connection begins that authenticates with provider tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SingleStream {
    /// With one stream, as `SETTINGS` say.
    Announced,
    /// With one stream, which the client has to know.
    Expected,
    /// With all of them.
    No,
}

/// What kind of server it is.
#[derive(Clone)]
pub struct Options {
    /// Where it listens: a free port of this machine. A certain one lets it come back after it was away.
    pub listen: SocketAddr,
    /// Who signs its certificate; a new one unless given. The one of a server that is gone makes another that clients trust too.
    pub authority: Option<Authority>,
    /// Whether it shows the certificate of that authority itself: a server that signed itself.
    pub self_signed: bool,
    /// Whose provider tokens it takes.
    pub keys: Vec<TokenKey>,
    /// PEM of those whose client certificates it takes. A certificate stands for the topic in its subject's `UID`.
    pub client_authorities: Option<String>,
    /// `SETTINGS_MAX_CONCURRENT_STREAMS`.
    pub max_streams: u32,
    /// Whether a connection without a client certificate has one stream until its first valid provider token.
    pub single_stream: SingleStream,
    /// How long it is silent after the TLS handshake, its `SETTINGS` included.
    pub settings_delay: Duration,
    /// Whether it offers HTTP/1.1 alone.
    pub http_1: bool,
    /// Whether pushes are remembered. They are counted all the same.
    pub records: bool,
    /// Threads that serve connections.
    pub threads: usize,
    /// Whose time provider tokens are checked against.
    pub now: Now,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            authority: None,
            self_signed: false,
            keys: Vec::new(),
            client_authorities: None,
            max_streams: 1000,
            single_stream: SingleStream::Announced,
            settings_delay: Duration::ZERO,
            http_1: false,
            records: true,
            threads: 1,
            now: Arc::new(authority::time_now),
        }
    }
}

/// A running server. It ends when this is dropped.
pub struct FakeApns {
    shared: Arc<Shared>,
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
        let tls = tls(&options, &authority)?;
        let mut builder = if options.threads > 1 {
            tokio::runtime::Builder::new_multi_thread()
        } else {
            tokio::runtime::Builder::new_current_thread()
        };
        builder.worker_threads(options.threads.max(1)).enable_all();
        // Bound with `SO_REUSEADDR`: a port that was in use a moment ago may be taken again.
        let listener = std::net::TcpListener::bind(options.listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(options));
        let stop = CancellationToken::new();
        let serving = serve(listener, TlsAcceptor::from(Arc::new(tls)), Arc::clone(&shared), stop.clone());
        let thread = std::thread::Builder::new().name("fake-apns".to_owned()).spawn(move || {
            let runtime = builder.build()?;
            let served = runtime.block_on(async { tokio::spawn(serving).await.map_err(io::Error::other)? });
            runtime.shutdown_background();
            served
        })?;
        Ok(Self { shared, address, authority, ca_pem, stop, thread: Some(thread) })
    }

    /// Where it is reached, `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Its socket.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client must trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Writes that to a file.
    pub fn write_ca(&self, file: &Path) -> io::Result<()> {
        std::fs::write(file, &self.ca_pem)
    }

    /// Who signed its certificate.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Adds a rule. Of several that fit, the last one decides; without one, a push that keeps Apple's rules is accepted.
    pub fn answer(&self, rule: Rule) -> RuleId {
        let mut script = lock(&self.shared.script);
        let id = script.add(rule);
        self.shared.scripted.store(true, Ordering::Relaxed);
        id
    }

    /// Takes a rule back, if it is not used up.
    pub fn forget(&self, rule: RuleId) {
        lock(&self.shared.script).remove(rule);
    }

    /// Takes all rules back.
    pub fn answer_normally(&self) {
        lock(&self.shared.script).clear();
    }

    /// Answers from now on come that much later.
    pub fn latency(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.shared.latency_us.store(micros, Ordering::Relaxed);
    }

    /// Takes pushes from now on without answering: the phones are woken, and nobody hears of it until [`release`](Self::release).
    pub fn hold(&self) {
        self.shared.holds.store(true, Ordering::Relaxed);
    }

    /// Answers what was held, and everything else at once.
    pub fn release(&self) {
        self.shared.holds.store(false, Ordering::Relaxed);
        self.shared.tell(&Control::Release);
    }

    /// Ends all connections there and then, without a word.
    pub fn close_connections(&self) {
        self.shared.tell(&Control::Close);
    }

    /// `GOAWAY` on all connections with that reason in its JSON. Of the pushes that wait for an answer, the newest `leaving` of each
    /// connection are not worked on; the others are answered before it ends.
    pub fn go_away(&self, reason: &str, leaving: usize) {
        self.shared.tell(&Control::GoAway { reason: reason.to_owned(), leaving });
    }

    /// Changes `SETTINGS_MAX_CONCURRENT_STREAMS`, of open connections too.
    pub fn max_streams(&self, max_streams: u32) {
        self.shared.max_streams.store(max_streams, Ordering::Relaxed);
        self.shared.tell(&Control::MaxStreams(max_streams));
    }

    /// Whether `PING` is answered, as it is at first.
    pub fn answer_pings(&self, answers: bool) {
        self.shared.answers_pings.store(answers, Ordering::Relaxed);
    }

    /// Whether new connections are closed before the TLS handshake.
    pub fn refuse_connections(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::Relaxed);
    }

    /// All pushes so far, in the order of their arrival.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// Forgets the pushes so far; their count goes on.
    pub fn forget_received(&self) {
        lock(&self.shared.received).clear();
    }

    /// How many pushes have arrived.
    pub fn count(&self) -> u64 {
        *self.shared.count.borrow()
    }

    /// The pushes that woke the phone with that push token.
    pub fn wakes_of(&self, token: &str) -> Vec<Received> {
        let received = lock(&self.shared.received);
        received.iter().filter(|received| received.woke && received.token == token).cloned().collect()
    }

    /// How often each push token was woken.
    pub fn wakes(&self) -> BTreeMap<String, usize> {
        let mut wakes = BTreeMap::new();
        for received in lock(&self.shared.received).iter().filter(|received| received.woke) {
            *wakes.entry(received.token.clone()).or_default() += 1;
        }
        wakes
    }

    /// All connections whose handshake was completed.
    pub fn connections(&self) -> Vec<Seen> {
        lock(&self.shared.connections).seen.clone()
    }

    /// How many connections have begun, including those without a complete handshake.
    pub fn connections_begun(&self) -> u64 {
        self.shared.begun.load(Ordering::Relaxed)
    }

    /// What clients did against HTTP/2 or Apple's rules for connections.
    pub fn violations(&self) -> Vec<String> {
        lock(&self.shared.violations).clone()
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

    /// Waits until a condition holds; it is looked at again whenever something happens here.
    ///
    /// # Panics
    ///
    /// When it does not hold after half a minute.
    pub async fn wait_until(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let mut changes = self.shared.changes.subscribe();
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

fn tls(options: &Options, authority: &Authority) -> io::Result<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let builder = match &options.client_authorities {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.allow_unauthenticated().build().map_err(io::Error::other)?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let identity = if options.self_signed { authority.itself() } else { authority.server()? };
    let chain = vec![CertificateDer::from(identity.certificate.to_der()?)];
    let key = PrivateKeyDer::try_from(identity.key.private_key_to_pkcs8()?).map_err(io::Error::other)?;
    let mut config = builder.with_single_cert(chain, key).map_err(io::Error::other)?;
    let protocol: &[u8] = if options.http_1 { b"http/1.1" } else { b"h2" };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

async fn serve(
    listener: std::net::TcpListener,
    tls: TlsAcceptor,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Dropping the set ends them all.
            () = stop.cancelled() => return Ok(()),
        };
        if let Ok((stream, _)) = accepted {
            shared.begun.fetch_add(1, Ordering::Relaxed);
            shared.changed();
            if !shared.refuses.load(Ordering::Relaxed) {
                connections.spawn(connection(stream, tls.clone(), Arc::clone(&shared)));
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>) {
    // Without it answers wait for acknowledgements; a connection that is gone already needs none.
    let _ = stream.set_nodelay(true);
    // Who does not get through the handshake is no client: HTTP/1.1, a certificate of somebody else, no trust in us.
    let Ok(stream) = tls.accept(stream).await else { return };
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(b"h2".as_slice()) {
        shared.violation("the client did not ask for HTTP/2");
        return;
    }
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    let certificate = certificate.and_then(|der| X509::from_der(der).ok());
    let topic = certificate.as_ref().and_then(|certificate| {
        let entry = certificate.subject_name().entries_by_nid(Nid::USERID).next()?;
        entry.data().to_string().ok()
    });
    let subject = certificate.as_ref().map(|certificate| format!("{:?}", certificate.subject_name()));
    let (control, controlled) = unbounded_channel();
    let number = shared.connected(control, subject, topic.clone());
    Connection::new(stream, Arc::clone(&shared), number, topic, controlled).run().await;
    shared.disconnected(number);
}

#[derive(Default)]
struct Connections {
    seen: Vec<Seen>,
    open: HashMap<u64, UnboundedSender<Control>>,
}

/// What the test and all connections share.
struct Shared {
    options: Options,
    started: tokio::time::Instant,
    script: Mutex<Script>,
    scripted: AtomicBool,
    received: Mutex<Vec<Received>>,
    count: watch::Sender<u64>,
    /// Counts everything that happens.
    changes: watch::Sender<u64>,
    connections: Mutex<Connections>,
    begun: AtomicU64,
    violations: Mutex<Vec<String>>,
    /// The newest moment that tokens of each key were made at.
    moments: Mutex<HashMap<usize, i64>>,
    latency_us: AtomicU64,
    holds: AtomicBool,
    max_streams: AtomicU32,
    answers_pings: AtomicBool,
    refuses: AtomicBool,
    made_ids: AtomicU64,
}

impl Shared {
    fn new(options: Options) -> Self {
        Self {
            started: tokio::time::Instant::now(),
            script: Mutex::default(),
            scripted: AtomicBool::new(false),
            received: Mutex::default(),
            count: watch::Sender::new(0),
            changes: watch::Sender::new(0),
            connections: Mutex::default(),
            begun: AtomicU64::new(0),
            violations: Mutex::default(),
            moments: Mutex::default(),
            latency_us: AtomicU64::new(0),
            holds: AtomicBool::new(false),
            max_streams: AtomicU32::new(options.max_streams),
            answers_pings: AtomicBool::new(true),
            refuses: AtomicBool::new(false),
            made_ids: AtomicU64::new(0),
            options,
        }
    }

    /// Whether everybody may push anything.
    fn is_open(&self) -> bool {
        self.options.keys.is_empty() && self.options.client_authorities.is_none()
    }

    fn latency(&self) -> Duration {
        Duration::from_micros(self.latency_us.load(Ordering::Relaxed))
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn tell(&self, control: &Control) {
        for connection in lock(&self.connections).open.values() {
            // One that has just ended needs to know nothing.
            let _ = connection.send(control.clone());
        }
    }

    fn connected(
        &self,
        control: UnboundedSender<Control>,
        certificate: Option<String>,
        certificate_topic: Option<String>,
    ) -> u64 {
        let mut connections = lock(&self.connections);
        let number = connections.seen.len() as u64 + 1;
        connections.open.insert(number, control);
        connections.seen.push(Seen { number, certificate, certificate_topic, ..Seen::default() });
        drop(connections);
        self.changed();
        number
    }

    fn disconnected(&self, number: u64) {
        lock(&self.connections).open.remove(&number);
        self.connection(number, |seen| seen.over = true);
    }

    fn connection(&self, number: u64, change: impl FnOnce(&mut Seen)) {
        let mut connections = lock(&self.connections);
        if let Some(seen) = connections.seen.iter_mut().find(|seen| seen.number == number) {
            change(seen);
        }
        drop(connections);
        self.changed();
    }

    fn violation(&self, what: &str) {
        lock(&self.violations).push(what.to_owned());
        self.changed();
    }

    fn verify(&self, bearer: &[u8]) -> Result<Verified, &'static str> {
        let token = std::str::from_utf8(bearer).map_err(|_| "InvalidProviderToken")?;
        Verified::read(token, &self.options.keys)
    }

    /// Several servers may share a key, but they must not make tokens all the time.
    fn note_moment(&self, verified: &Verified) -> Result<(), &'static str> {
        let mut moments = lock(&self.moments);
        let newest = moments.entry(verified.key).or_insert(verified.iat);
        if verified.too_soon_after(*newest) {
            return Err("TooManyProviderTokenUpdates");
        }
        *newest = verified.iat.max(*newest);
        Ok(())
    }

    fn scripted_answer(&self, token: &str, topic: &str) -> Option<Answer> {
        let mut script = lock(&self.script);
        let answer = script.answer(token, topic);
        if script.is_empty() {
            self.scripted.store(false, Ordering::Relaxed);
        }
        if answer.as_ref().is_some_and(Answer::asks_for_a_token) {
            lock(&self.moments).clear();
        }
        answer
    }

    fn arrived(&self, count: u64, recorded: &mut Vec<Received>) {
        let mut received = lock(&self.received);
        self.count.send_modify(|counted| {
            for (number, one) in (*counted + 1..).zip(recorded.iter_mut()) {
                one.number = number;
            }
            *counted += count;
        });
        received.append(recorded);
        drop(received);
        self.changed();
    }

    /// What was not worked on after all woke nobody.
    fn forget_wakes(&self, connection: u64, streams: &[u32]) {
        let mut received = lock(&self.received);
        for one in received.iter_mut().rev().filter(|one| one.connection == connection) {
            if streams.contains(&one.stream) {
                one.woke = false;
                one.status = None;
            }
        }
    }

    fn new_apns_id(&self) -> String {
        let number = self.made_ids.fetch_add(1, Ordering::Relaxed);
        format!("00000000-0000-4000-8000-{number:012x}")
    }
}

/// A test that has panicked elsewhere still wants to know what happened here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
