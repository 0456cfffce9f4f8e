//! Bytes on a socket, for what no HTTP client would send.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::waiting::PATIENCE;

/// A connection on which anything can be said.
#[derive(Debug)]
pub struct Wire(TcpStream);

/// Enough to be told what has arrived already.
const A_TURN: Duration = Duration::from_millis(1);

/// One answer of several on a connection.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The status.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// As many bytes as `Content-Length` says.
    pub body: String,
}

impl Heard {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
    }

    /// Whether it says that it is the last one.
    pub fn says_close(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

impl Wire {
    /// Connects.
    ///
    /// # Panics
    ///
    /// When nobody listens.
    pub async fn to(address: &str) -> Self {
        Self(TcpStream::connect(address).await.expect("somebody listens"))
    }

    /// Connects as a client with another address of this machine, such as `127.0.0.2`.
    ///
    /// # Panics
    ///
    /// When nobody listens, or the address is none of this machine.
    pub async fn from_to(client: &str, address: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let client = format!("{client}:0").parse().expect("an IPv4 address");
        socket.bind(client).expect("all of 127/8 is this machine");
        let address: SocketAddr = address.parse().expect("an address and a port");
        Self(socket.connect(address).await.expect("somebody listens"))
    }

    /// Says something. A server that has heard enough may have closed already.
    pub async fn says(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// Everything the server says until it closes the connection; `None` when it does not within the limit.
    pub async fn hears(&mut self, limit: Duration) -> Option<String> {
        let mut heard = Vec::new();
        let ended = tokio::time::timeout(limit, async {
            let mut buffer = [0; 4096];
            // An error is an abrupt end: what came before it counts.
            while let Ok(count @ 1..) = self.0.read(&mut buffer).await {
                heard.extend_from_slice(&buffer[..count]);
            }
        });
        ended.await.ok()?;
        Some(String::from_utf8_lossy(&heard).into_owned())
    }

    /// Whether the server has closed the connection, or closes it within the limit, without a word.
    pub async fn is_closed(&mut self, limit: Duration) -> bool {
        self.hears(limit).await.is_some_and(|heard| heard.is_empty())
    }

    /// Whether nothing has come yet that was not listened to, not even the end.
    pub async fn is_silent(&self) -> bool {
        tokio::time::timeout(A_TURN, self.0.peek(&mut [0])).await.is_err()
    }

    /// The next answer, which says how long its body is.
    ///
    /// # Errors
    ///
    /// When the connection ends before, or it takes too long.
    pub async fn hears_answer(&mut self) -> io::Result<Heard> {
        tokio::time::timeout(PATIENCE, self.reads_answer()).await?
    }

    async fn reads_answer(&mut self) -> io::Result<Heard> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(self.0.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&bytes).to_lowercase();
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no status"))?;
        let mut answer = Heard { status, head, body: String::new() };
        let length =
            answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }
}

/// A client that keeps its connection, as HTTP libraries do: it asks on it again unless the answer has said that it ends.
#[derive(Debug)]
pub struct Pooled {
    address: String,
    kept: Option<Wire>,
    /// Connections that it has opened.
    pub opened: usize,
}

impl Pooled {
    /// Not connected yet.
    pub fn to(address: &str) -> Self {
        Self { address: address.to_owned(), kept: None, opened: 0 }
    }

    /// Asks: the head in one piece and the body in another, all of it before it listens.
    ///
    /// # Errors
    ///
    /// When the connection ends without a word.
    pub async fn asks(&mut self, head: &str, body: &[u8]) -> io::Result<Heard> {
        let mut wire = if let Some(kept) = self.kept.take() {
            kept
        } else {
            self.opened += 1;
            Wire::to(&self.address).await
        };
        wire.says(head.as_bytes()).await?;
        wire.says(body).await?;
        let answer = wire.hears_answer().await?;
        self.kept = (!answer.says_close()).then_some(wire);
        Ok(answer)
    }
}

/// How many of these connections are silent.
pub async fn silent(wires: &[Wire]) -> usize {
    let mut silent = 0;
    for wire in wires {
        silent += usize::from(wire.is_silent().await);
    }
    silent
}

/// The status of an answer as it came over the wire; `None` when there is none.
pub fn status(heard: &str) -> Option<u16> {
    heard.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}
