//! Pushes through the client of APNs, beside `h2load`, which says the same to the same server over and over.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::StreamExt as _;
use honoken_domain::ids::{PassTypeIdentifier, PushToken};
use honoken_pushers::apns::{ApnsClient, Options};
use honoken_pushers::dedicated_thread;
use honoken_pushers::outcome::Outcome;
use honoken_pushers::ports::{Apns as _, ApnsKey, Clock, Credential, Push};
use honoken_simulator::apns::{self, FakeApns};
use http::{HeaderMap, HeaderValue, Request, Uri};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::rounds::{Comparison, PAIRS, Pair, Side, Stopwatch};

/// Pushes that wait for their answer at any time, on all connections together.
const IN_FLIGHT: usize = 900;

/// How long a round takes, more or less.
const ROUND: Duration = Duration::from_secs(1);

/// As many phones have a push token of their own; a round goes through them again and again.
const PHONES: usize = 10_000;

const TOPIC: &str = "pass.com.example.ticket";
const TOKEN: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";

const BOUNDARY: &str = "from a push in memory to its outcome, over TLS and loopback, on connections that are open and have taken the provider token. \
                        The server is the fake APNs of the tests in a thread of its own, which remembers nothing; it shares the machine's cores \
                        with both sides. h2load's time holds its handshakes, ours does not; each of our pushes has a path and an `apns-id` of its own";

struct Case {
    title: &'static str,
    connections: usize,
    latency: Duration,
}

const CASES: [Case; 4] = [
    Case { title: "apns: one connection", connections: 1, latency: Duration::ZERO },
    Case { title: "apns: four connections", connections: 4, latency: Duration::ZERO },
    Case { title: "apns: one connection, 50 ms to APNs", connections: 1, latency: Duration::from_millis(50) },
    Case {
        title: "apns: four connections, 50 ms to APNs",
        connections: 4,
        latency: Duration::from_millis(50),
    },
];

/// A time that stands still, so that no round makes a provider token.
struct Noon;

impl Clock for Noon {
    fn unix_ms(&self) -> i64 {
        1_700_000_000_000
    }

    fn steady_ms(&self) -> i64 {
        0
    }
}

pub(crate) async fn run() {
    if Command::new("h2load").arg("--version").stdout(Stdio::null()).status().await.is_err() {
        println!("\nh2load is not installed: apns is left out (Debian: nghttp2-client)");
        return;
    }
    for case in CASES {
        let server = apns::Options { records: false, max_streams: 1000, ..apns::Options::default() };
        let server = FakeApns::start(server).expect("the server starts");
        let ours = Ours::to(&server, case.connections, IN_FLIGHT);
        // Until all connections are there.
        while server.connections().len() < case.connections {
            ours.pushes(2 * IN_FLIGHT).await;
        }
        server.latency(case.latency);
        let bare = Bare::to(&server, case.connections);
        // What the server allows is known after the first answer.
        bare.pushes(case.connections).await;
        let estimate = [ours.pushes(20_000).await, h2load(&server, case.connections, 20_000).await];
        let counts = estimate.map(for_a_round);
        let (mut pairs, mut beside_bare) = (Vec::new(), Vec::new());
        for round in 0..=PAIRS {
            let ours = ours.pushes(counts[0]).await;
            let ceiling = h2load(&server, case.connections, counts[1]).await;
            let bare = bare.pushes(counts[0]).await;
            if round > 0 {
                pairs.push(Pair { ours, ceiling });
                beside_bare.push(Pair { ours, ceiling: bare });
            }
        }
        assert_eq!(server.violations(), Vec::<String>::new(), "both sides keep to the rules");
        let kept = server.connections().iter().take(case.connections).all(|seen| !seen.over);
        assert!(kept, "we keep our connections, which came first");
        report(&case, &pairs, &beside_bare);
    }
}

fn report(case: &Case, pairs: &[Pair], beside_bare: &[Pair]) {
    let streams = IN_FLIGHT / case.connections;
    let ours =
        format!("ApnsClient::push with an APNs key, {IN_FLIGHT} in flight, {} connections", case.connections);
    let ceiling =
        format!("h2load, one thread, -c {} -m {streams}, the same headers and body", case.connections);
    let bare =
        format!("a bare loop over the crate h2, {} connections, the same thread for all", case.connections);
    for (name, does, pairs) in [("h2load", &ceiling, pairs), ("bare h2", &bare, beside_bare)] {
        Comparison {
            title: case.title,
            ours: Side { name: "ours", does: &ours, unit: "pushes/s" },
            ceiling: Side { name, does, unit: "requests/s" },
            boundary: BOUNDARY,
        }
        .report(pairs);
    }
}

/// Answers how many pushes a second it made, for counts of them.
type Asked = mpsc::UnboundedSender<(usize, oneshot::Sender<f64>)>;

/// Our client with a provider token, as the program makes it but for the limits, on a thread of its own as there.
pub(crate) struct Ours(Asked);

impl Ours {
    /// With so many connections, and pushes that wait for their answer on all of them together.
    pub(crate) fn to(server: &FakeApns, connections: usize, in_flight: usize) -> Self {
        let options = Options {
            endpoint: server.url().parse().expect("a URL"),
            ca_pem: Some(server.ca_pem().as_bytes().to_vec()),
            max_connections: connections,
            max_streams: in_flight / connections,
            ..Options::default()
        };
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
        let key = ApnsKey {
            team_id: "TEAM123456".to_owned(),
            key_id: "KEY1234567".to_owned(),
            key: EcKey::generate(&group).expect("a key"),
            revision: "1".to_owned(),
        };
        let credential = Credential::Key(Arc::new(key));
        Self(on_a_thread(move || async move {
            let client = ApnsClient::new(options, Arc::new(Noon)).expect("a client");
            let pushes: Vec<Push> = (0..PHONES).map(push).collect();
            async move |count| {
                let outcomes = futures::stream::iter(0..count)
                    .map(|number| client.push(&credential, &pushes[number % pushes.len()]));
                outcomes
                    .buffer_unordered(in_flight)
                    .for_each(async |outcome| {
                        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
                    })
                    .await;
            }
        }))
    }

    /// So many pushes from one task, as the sender has them; per second.
    pub(crate) async fn pushes(&self, count: usize) -> f64 {
        ask(&self.0, count).await
    }
}

/// A loop over the crate `h2` that does nothing else: no pool, no limits of time, one request much like the other.
struct Bare(Asked);

impl Bare {
    fn to(server: &FakeApns, connections: usize) -> Self {
        let url: Uri = server.url().parse().expect("a URL");
        let authority = url.authority().expect("a host").clone();
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(server.ca_pem().as_bytes()) {
            roots.add(root.expect("a certificate")).expect("an authority");
        }
        // Named, because clients of other tests bring a second one.
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let tls = tls.with_safe_default_protocol_versions().expect("the provider has them");
        let mut tls = tls.with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let tls = TlsConnector::from(Arc::new(tls));
        let bearer = format!("bearer {}", URL_SAFE_NO_PAD.encode([7; 160]));
        let mut headers = HeaderMap::new();
        headers.insert("authorization", bearer.parse().expect("a header"));
        for (name, value) in [
            ("apns-topic", TOPIC),
            ("apns-push-type", "background"),
            ("apns-priority", "5"),
            ("apns-expiration", "1700604000"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Self(on_a_thread(move || async move {
            let mut senders = Vec::new();
            for _ in 0..connections {
                let (host, port) = (authority.host().to_owned(), authority.port_u16().expect("a port"));
                let stream = TcpStream::connect((host.as_str(), port)).await.expect("a connection");
                stream.set_nodelay(true).expect("an option");
                let name = ServerName::try_from(host).expect("a name");
                let stream = tls.connect(name, stream).await.expect("TLS");
                let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
                tokio::spawn(connection);
                senders.push(sender);
            }
            async move |count| {
                let answers = futures::stream::iter(0..count).map(|number| {
                    let mut headers = headers.clone();
                    let mut id = HeaderValue::try_from(apns_id(number)).expect("a header");
                    id.set_sensitive(true);
                    headers.insert("apns-id", id);
                    let url = format!("https://{authority}/3/device/{}", token(number % PHONES));
                    let mut request = Request::post(url).body(()).expect("a request");
                    *request.headers_mut() = headers;
                    let mut sender = senders[number % senders.len()].clone();
                    let (answer, mut body) = sender.send_request(request, false).expect("it is open");
                    body.send_data(Bytes::from_static(b"{}"), true).expect("it is open");
                    answer
                });
                answers
                    .buffer_unordered(IN_FLIGHT)
                    .for_each(async |answer| assert_eq!(answer.expect("an answer").status(), 200))
                    .await;
            }
        }))
    }

    async fn pushes(&self, count: usize) -> f64 {
        ask(&self.0, count).await
    }
}

/// What `begin` makes there, called with each count and timed.
fn on_a_thread<B, F, R>(begin: B) -> Asked
where
    B: FnOnce() -> F + Send + 'static,
    F: Future<Output = R> + 'static,
    R: AsyncFn(usize) + 'static,
{
    let (asked, mut asks) = mpsc::unbounded_channel::<(usize, oneshot::Sender<f64>)>();
    let thread = dedicated_thread::spawn("sender", move || async move {
        let round = begin().await;
        while let Some((count, answer)) = asks.recv().await {
            let watch = Stopwatch::start();
            round(count).await;
            answer.send(watch.rate(count)).expect("somebody waits");
        }
    });
    tokio::spawn(thread.expect("a thread"));
    asked
}

async fn ask(asked: &Asked, count: usize) -> f64 {
    let (answer, answered) = oneshot::channel();
    asked.send((count, answer)).expect("the thread is there");
    answered.await.expect("all are accepted")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is positive and far below 2^52"
)]
fn for_a_round(rate: f64) -> usize {
    ((rate * ROUND.as_secs_f64()) as usize).max(1000)
}

/// So many requests by h2load; per second, as it counts.
async fn h2load(server: &FakeApns, connections: usize, count: usize) -> f64 {
    let mut body = tempfile::NamedTempFile::new().expect("a file");
    std::io::Write::write_all(&mut body, b"{}").expect("it is written");
    // As long as a provider token is, since neither side may remember it between requests.
    let bearer = URL_SAFE_NO_PAD.encode([7; 160]);
    let output = Command::new("h2load")
        .args(["-n", &count.to_string(), "-c", &connections.to_string()])
        .args(["-m", &(IN_FLIGHT / connections).to_string(), "-t", "1", "-d"])
        .arg(body.path())
        .args(["-H", &format!("authorization: bearer {bearer}")])
        .args(["-H", &format!("apns-topic: {TOPIC}"), "-H", "apns-push-type: background"])
        .args(["-H", "apns-priority: 5", "-H", "apns-expiration: 1700604000"])
        .args(["-H", "apns-id: 0f0e1d2c-0000-4000-8000-000000000001"])
        .arg(format!("{}/3/device/{TOKEN}", server.url()))
        .output()
        .await
        .expect("h2load runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(&format!("{count} succeeded, 0 failed, 0 errored, 0 timeout")), "{text}");
    let rate = text.lines().find_map(|line| line.strip_prefix("finished in ")?.split(", ").nth(1));
    let rate = rate.and_then(|rate| rate.strip_suffix(" req/s")?.parse().ok());
    rate.unwrap_or_else(|| panic!("h2load says how fast it was: {text}"))
}

fn push(number: usize) -> Push {
    Push {
        topic: PassTypeIdentifier::parse(TOPIC).expect("a pass type"),
        token: PushToken::parse(token(number)).expect("a push token"),
        apns_id: apns_id(number),
    }
}

fn token(number: usize) -> String {
    format!("{}{number:08x}", &TOKEN[8..])
}

fn apns_id(number: usize) -> String {
    format!("0f0e1d2c-0000-4000-8000-{number:012x}")
}
