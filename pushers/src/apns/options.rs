//! The options of pushing, and those that are refused.

use std::str::FromStr;
use std::time::Duration;

use url::Url;

/// Where pushes of passes go: they work in Apple's production environment only. Other endpoints are for tests.
const PRODUCTION: &str = "https://api.push.apple.com";

/// Everything about pushing to APNs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where pushes go; `https` only.
    pub endpoint: Url,
    /// PEM of the only certificate authorities, or servers, that are trusted; the authorities of the operating system unless given.
    pub ca_pem: Option<Vec<u8>>,
    /// The header `apns-push-type`.
    pub push_type: PushType,
    /// How long APNs keeps a push for a phone that is off. The time it sends is rounded up to the hour.
    pub expiration: Duration,
    /// Connections of one credential at most.
    pub max_connections: usize,
    /// Pushes in flight on one connection at most; fewer when APNs' SETTINGS say so.
    pub max_streams: usize,
    /// From being asked to push to giving up, all attempts included.
    pub time_limit: Duration,
    /// From beginning a connection to its TLS handshake.
    pub connect_limit: Duration,
    /// A connection that has had nothing to do for that long is asked whether it is alive.
    pub ping_after: Duration,
    /// How long it may take to answer that.
    pub ping_limit: Duration,
    /// The wait after a first connection in a row that led to nothing; it doubles.
    pub first_back_off: Duration,
    /// The longest such wait. It is shorter than the longest time that a circuit breaker of the sender is open, so that a probe never has to wait
    /// for a connection instead.
    pub longest_back_off: Duration,
    /// So many connections of a credential may be made in a row, even if all were of use: Apple takes more for an attack.
    pub connects_in_a_row: u32,
    /// After those, one in each such time.
    pub connect_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            endpoint: Url::parse(PRODUCTION).expect("a constant that is a URL"),
            ca_pem: None,
            push_type: PushType::Background,
            expiration: Duration::from_hours(7 * 24),
            max_connections: 4,
            max_streams: 200,
            time_limit: Duration::from_secs(20),
            connect_limit: Duration::from_secs(10),
            ping_after: Duration::from_hours(1),
            ping_limit: Duration::from_secs(5),
            first_back_off: Duration::from_secs(1),
            longest_back_off: Duration::from_secs(5),
            connects_in_a_row: 20,
            connect_interval: Duration::from_secs(1),
        }
    }
}

/// `apns-push-type`. Apple's page on passes does not name one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PushType {
    /// `background`.
    #[default]
    Background,
    /// No such header.
    None,
}

impl PushType {
    /// The value of the header, if there is one.
    pub(super) fn header(self) -> Option<String> {
        match self {
            Self::Background => Some(a2::PushType::Background.to_string()),
            Self::None => None,
        }
    }
}

impl FromStr for PushType {
    type Err = InvalidOptions;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "background" => Ok(Self::Background),
            "none" => Ok(Self::None),
            _ => Err(InvalidOptions::PushType),
        }
    }
}

/// Why nothing can be pushed like this.
#[derive(Debug, thiserror::Error)]
pub enum InvalidOptions {
    /// APNs speaks HTTPS only.
    #[error("the endpoint of APNs must be an `https` URL with a host, and must end with its port")]
    Endpoint,
    /// Not a push type of passes.
    #[error("the push type must be `background` or `none`")]
    PushType,
    /// The PEM holds no certificate, or one that cannot be read.
    #[error("the file of certificate authorities for APNs holds no readable certificate")]
    CertificateAuthorities,
    /// The operating system trusts no authority.
    #[error(
        "the operating system has no trusted certificates: install its package (`ca-certificates` on Debian)"
    )]
    NoCertificateAuthorities,
    /// The crypto library could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
}
