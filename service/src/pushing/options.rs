//! The configuration of pushing.

use std::num::NonZeroU32;
use std::path::PathBuf;

use honoken_pushers::apns::PushType;
pub use honoken_pushers::nats::NatsTls;
use secrecy::SecretString;
use url::Url;

use crate::apns_keys::at_start::ConfiguredKey;

/// How pushes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// `OUTBOX_BATCH_SIZE`: phones taken from the ledger, and messages from the feed, at a time.
    pub batch_size: NonZeroU32,
    /// `OUTBOX_RETRY_ATTEMPTS`: requests to APNs for one delivery before it is given up.
    pub retry_attempts: NonZeroU32,
    /// `OUTBOX_RETENTION_DAYS`: how long deliveries that have come to their end are kept.
    pub retention_days: NonZeroU32,
    /// `HONOKEN_PUSH_WINDOW_SECONDS`: a phone is woken at most once in so many seconds for a pass type; 0: for every change. The command decides
    /// where nothing is said.
    pub window_seconds: Option<u32>,
    /// `HONOKEN_PUSHES_AT_WORK`: pushes of this process that have no answer yet.
    pub at_work: NonZeroU32,
    /// `HONOKEN_APNS_PUSH_TYPE`
    pub push_type: PushType,
    /// `HONOKEN_APNS_CONNECTIONS`: connections to APNs for one credential.
    pub connections: NonZeroU32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch_size: NonZeroU32::new(500).expect("it is not zero"),
            retry_attempts: NonZeroU32::new(100).expect("it is not zero"),
            retention_days: NonZeroU32::new(30).expect("it is not zero"),
            window_seconds: None,
            at_work: NonZeroU32::new(200).expect("it is not zero"),
            push_type: PushType::default(),
            connections: NonZeroU32::new(4).expect("it is not zero"),
        }
    }
}

/// The time between two pushes to a phone for a pass type, unless configured otherwise. `dev` pushes every change.
pub const PUSH_WINDOW_SECONDS: u32 = 30;

/// How APNs is reached.
#[derive(Debug, Clone, Default)]
pub struct ApnsOptions {
    /// `HONOKEN_APNS_ENDPOINT`: another server than Apple's; scheme, host and port.
    pub endpoint: Option<Url>,
    /// `HONOKEN_APNS_CA_FILE`: what its certificate is checked with, PEM; it was readable at start. Default: the roots of the system.
    pub ca_file: Option<PathBuf>,
    /// `APNS_TEAM_ID`, `APNS_KEY_ID` and `APNS_AUTH_KEY_P8`: a key that is installed if there never was one of its name.
    pub key: Option<ConfiguredKey>,
}

/// The connection to NATS.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// Its URL, which may hold a password or a token.
    pub url: SecretString,
    /// A file of NATS' own format with a user's JWT and seed, or with the seed of an nkey.
    pub creds_file: Option<PathBuf>,
    /// The files for TLS.
    pub tls: NatsTls,
}
