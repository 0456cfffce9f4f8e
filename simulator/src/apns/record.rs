//! The pushes and connections that the fake has seen.

use std::time::Duration;

use bytes::Bytes;

/// One push as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its place among all, from 1.
    pub number: u64,
    /// When, since the server was started.
    pub at: Duration,
    /// The connection it came on, from 1 in the order of their handshakes.
    pub connection: u64,
    /// Its stream there.
    pub stream: u32,
    /// The push token of the path.
    pub token: String,
    /// All headers but the pseudo-headers, in their order.
    pub headers: Vec<(String, String)>,
    /// The payload.
    pub body: Bytes,
    /// The status that it is answered with; `None` when there is none.
    pub status: Option<u16>,
    /// The reason that it is refused with.
    pub reason: Option<String>,
    /// Whether the phone is woken.
    pub woke: bool,
}

impl Received {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// `apns-topic`.
    pub fn topic(&self) -> &str {
        self.header("apns-topic").unwrap_or_default()
    }

    /// `apns-id`.
    pub fn apns_id(&self) -> Option<&str> {
        self.header("apns-id")
    }

    /// The provider token, without `bearer`.
    pub fn provider_token(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("bearer ")
    }
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// From 1, in the order of their handshakes.
    pub number: u64,
    /// The subject of the client's certificate, as OpenSSL writes it on one line.
    pub certificate: Option<String>,
    /// Its `UID`, the topic it stands for.
    pub certificate_topic: Option<String>,
    /// `PING` frames that were no answers.
    pub pings: u64,
    /// The most streams that were open at once.
    pub most_streams: usize,
    /// Whether it is over.
    pub over: bool,
}
