//! The kind of server that a test starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::authority::{self, Authority};
use super::provider_token::TokenKey;

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

/// The kind of server.
#[derive(Clone)]
pub struct Options {
    /// The address on which it listens: a free port of this machine. A fixed port lets a server come back after an outage.
    pub listen: SocketAddr,
    /// The authority that signs its certificate; a new one unless given. With the authority of an earlier server, clients that trust the earlier
    /// one trust this one too.
    pub authority: Option<Authority>,
    /// Whether it shows the certificate of that authority itself: a server that signed itself.
    pub self_signed: bool,
    /// The keys whose provider tokens it takes.
    pub keys: Vec<TokenKey>,
    /// PEM of the authorities whose client certificates it takes. A certificate stands for the topic in its subject's `UID`.
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
    /// The clock that provider tokens are checked against.
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
