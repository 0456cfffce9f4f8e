//! What the service takes of the machine's memory while many keep it waiting who have shown nothing.

use std::fs;
use std::time::Duration;

use honoken_tests::{Engine, drawing};
use tokio::task::JoinSet;

use crate::asking::{Connection, get};
use crate::crowds::{self, Crowd, Said};
use crate::phones::memory;
use crate::rounds::Stopwatch;
use crate::service::Service;

/// As many as the service lets in.
const CONNECTIONS: usize = 16_000;

/// Addresses that they come from: none has more than half of the connections.
const ADDRESSES: usize = 16;

/// A load is looked at for so long, once it has come.
const HELD: Duration = Duration::from_secs(10);

/// How long memory is given to go back.
const AFTER: Duration = Duration::from_secs(30);

const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

pub(crate) async fn run() {
    if !crowds::may_open(CONNECTIONS, "memory") {
        return;
    }
    println!("\nmemory: {CONNECTIONS} connections without credentials; MiB of the service in memory (RSS)");
    println!("  peak      at the most from the first connection to {} s behind the last", HELD.as_secs());
    println!("  after     at the least within {} s after all have gone", AFTER.as_secs());
    // One address has a share of everything; several have all of it.
    crowd(BODIES, 1, &bodies()).await;
    for (name, said) in loads() {
        crowd(name, ADDRESSES, &said).await;
    }
    images().await;
}

const BODIES: &str = "60,000 of 64,000 bytes for /v1/log";

const LOG: &str = "POST /v1/log HTTP/1.1\r\nHost: h\r\n";

fn bodies() -> Said {
    said(format!("{LOG}Content-Length: 64000\r\n\r\n{}", "a ".repeat(30_000)))
}

fn said(first: String) -> Said {
    Said { first: vec![first.into()], then: None, comes_again: false }
}

fn loads() -> Vec<(&'static str, Said)> {
    let again = |first: String, piece: String, pause| Said {
        first: vec![first.into()],
        then: Some((piece.into(), pause)),
        comes_again: true,
    };
    let drip = |length: &str, piece: String| {
        again(format!("{LOG}{length}\r\n\r\n"), piece, Duration::from_millis(250))
    };
    let head = format!("GET /v1/passes/a/b HTTP/1.1\r\nHost: h\r\nX-Long: {}", "x".repeat(64_000));
    let chunk = format!("400\r\n{}\r\n", "[".repeat(0x400));
    // As many fields as a head may have, one request behind the other: those that cannot be answered at a time wait.
    let fields = (0..90).map(|number| format!("x{number}: y\r\n")).collect::<Vec<_>>().concat();
    let request = format!("GET /v1/devices/d/registrations/t HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    vec![
        ("idle after an answer", said("GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n".to_owned())),
        (BODIES, bodies()),
        ("half heads of 64,000 bytes", said(head)),
        ("dripping bodies of 10 MB", drip("Content-Length: 10000000", "[".to_owned())),
        ("dripping bodies that do not say how long", drip("Transfer-Encoding: chunked", chunk)),
        ("requests of 90 fields, over and over", again(request.clone(), request, Duration::from_millis(50))),
    ]
}

async fn crowd(name: &str, addresses: usize, said: &Said) {
    let service = Service::starts(Engine::Sqlite).await;
    let watched = Watched::starts(&service).await;
    let crowd = Crowd::comes(&service.host, CONNECTIONS, addresses, said).await;
    watched.looks_for(HELD).await;
    let closed = crowd.closed();
    crowd.goes().await;
    watched.report(&format!("{name}, from {addresses} address(es); {closed} closed meanwhile")).await;
}

/// With credentials: every pixel of an image is looked at.
async fn images() {
    let service = Service::starts(Engine::Sqlite).await;
    let image = drawing::png(4096, 4096, 7);
    let head = format!(
        "POST /manage/v1/blobs HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        service.host,
        service.ready.api_key,
        image.len()
    );
    let question = [head.as_bytes(), &image].concat();
    let watched = Watched::starts(&service).await;
    let mut uploads = JoinSet::new();
    for _ in 0..100 {
        let (host, question) = (service.host.clone(), question.clone());
        uploads.spawn(async move {
            let mut connection = Connection::to(&host).await.expect("it listens");
            connection.asks(&question).await.map(|answer| answer.status).expect("an answer")
        });
    }
    let answers = uploads.join_all().await;
    let kept = answers.iter().filter(|status| **status == 201).count();
    watched.report(&format!("100 images of 4096×4096 pixels at once, with a key; {kept} kept")).await;
}

/// A service whose memory is looked at.
struct Watched {
    id: u32,
    idle: u64,
}

impl Watched {
    /// It has answered something, and what it took to start is forgotten.
    async fn starts(service: &Service) -> Self {
        let mut connection = Connection::to(&service.host).await.expect("it listens");
        let question = get(&service.host, "/health/live", &[]);
        for _ in 0..100 {
            connection.asks(&question).await.expect("an answer");
        }
        let id = service.id();
        // Linux forgets the most that a process has had.
        fs::write(format!("/proc/{id}/clear_refs"), "5").expect("Linux");
        Self { id, idle: memory(id).0 }
    }

    /// Something goes on meanwhile.
    async fn looks_for(&self, time: Duration) {
        let watch = Stopwatch::start();
        while watch.elapsed() < time {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn report(&self, what: &str) {
        let peak = memory(self.id).1;
        let watch = Stopwatch::start();
        let mut after = memory(self.id).0;
        while watch.elapsed() < AFTER {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            after = after.min(memory(self.id).0);
        }
        let (idle, more) = (self.idle, peak.saturating_sub(self.idle));
        println!("  {what}");
        println!("            idle {idle}, peak {peak}, after {after}; peak − idle {more} MiB");
    }
}
