//! Connections over real sockets, of which only a few may have buffers.

use std::time::Duration;

use axum::routing::get;
use honoken_telemetry::Identity;
use honoken_telemetry::metrics::LabelSets;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::DropGuard;

use super::*;

const BUFFERED: usize = 4;

/// The limit on each wait: only a failure takes this long.
const LIMIT: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    metrics: Metrics,
    #[expect(dead_code, reason = "stops the server when it is dropped")]
    stop: DropGuard,
}

impl Server {
    async fn starts() -> Self {
        let metrics = Metrics::new(&Identity::default(), &LabelSets::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || "hello"));
        let listener_options = HttpListener {
            listener,
            router,
            connections: 256,
            buffered_connections: BUFFERED,
            connections_per_address: None,
            counts: Counts::of(&metrics),
            anonymous_lines: Arc::new(AnonymousLines::new(&metrics)),
            tls: None,
        };
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener_options, stop.clone()));
        Self { address, metrics, stop: stop.drop_guard() }
    }

    async fn connects(&self) -> Client {
        Client { socket: TcpStream::connect(self.address).await.unwrap(), read: Vec::new() }
    }

    fn closed(&self) -> u64 {
        self.metrics.counter(Metric::ConnectionsClosed, &[ClosedBecause::Crowded.into()]).get()
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n";

struct Client {
    socket: TcpStream,
    /// Bytes that were read and not examined yet.
    read: Vec<u8>,
}

impl Client {
    async fn says(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Reads one answer, which leaves the connection open.
    async fn reads_answer(&mut self) {
        let end = b"\r\n\r\nhello";
        let read = async {
            loop {
                if let Some(at) = self.read.windows(end.len()).position(|window| window == end) {
                    let answer: Vec<u8> = self.read.drain(..at + end.len()).collect();
                    let answer = String::from_utf8(answer).unwrap();
                    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                    assert!(!answer.contains("connection: close"), "{answer}");
                    return;
                }
                assert_ne!(self.socket.read_buf(&mut self.read).await.unwrap(), 0, "it was closed");
            }
        };
        timeout(LIMIT, read).await.expect("an answer");
    }
}

#[tokio::test]
async fn connections_that_wait_for_a_request_rest_and_stay_open() {
    let server = Server::starts().await;
    let mut clients = Vec::new();
    for _ in 0..10 * BUFFERED {
        clients.push(server.connects().await);
    }
    for _ in 0..3 {
        for client in &mut clients {
            client.says(GET).await;
        }
        for client in &mut clients {
            client.reads_answer().await;
        }
    }
    assert_eq!(server.closed(), 0);
}

#[tokio::test]
async fn requests_behind_each_other_are_all_answered() {
    let server = Server::starts().await;
    let mut clients = Vec::new();
    for _ in 0..10 * BUFFERED {
        let mut client = server.connects().await;
        client.says(&GET.repeat(5)).await;
        clients.push(client);
    }
    for client in &mut clients {
        for _ in 0..5 {
            client.reads_answer().await;
        }
    }
    assert_eq!(server.closed(), 0);
}

#[tokio::test]
async fn half_requests_give_their_buffers_up_to_whole_ones() {
    let server = Server::starts().await;
    let mut half = Vec::new();
    for _ in 0..3 * BUFFERED {
        let mut client = server.connects().await;
        client.says(&GET[..20]).await;
        half.push(client);
    }
    for _ in 0..3 * BUFFERED {
        let mut client = server.connects().await;
        client.says(GET).await;
        client.reads_answer().await;
    }
    assert!(server.closed() > 0);
}
