//! The ports of the push subscriber to the world outside. Each port has one implementation in the program, and fakes exist only for Apple's ends.
//! [`Clock`] and [`IdSource`] are those of the rooms above as well: this is the lowest room that needs them.

use std::sync::Arc;
use std::time::Duration;

use honoken_domain::ids::{DeviceLibraryIdentifier, PassTypeIdentifier, PushToken, UnixSeconds};
use openssl::ec::EcKey;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use uuid::Builder;

use crate::ledger::DeliveryState;
use crate::outcome::{Outcome, OutcomeKind};

/// One push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// APNs' topic.
    pub topic: PassTypeIdentifier,
    /// Where the phone is reached.
    pub token: PushToken,
    /// `apns-id`: one for all attempts, a lower-case UUID.
    pub apns_id: String,
}

/// The credential that this service authenticates itself to APNs with. Clones are cheap.
#[derive(Clone)]
pub enum Credential {
    /// An APNs key of a team, for all its pass types.
    Key(Arc<ApnsKey>),
    /// The certificate of one pass type, which signs its passes too.
    Certificate(Arc<PassCertificate>),
}

/// An APNs authentication key (`.p8`).
pub struct ApnsKey {
    /// `iss` of the provider token.
    pub team_id: String,
    /// `kid` of the provider token.
    pub key_id: String,
    /// P-256.
    pub key: EcKey<Private>,
    /// Changes whenever the key is replaced.
    pub revision: String,
}

/// A pass type certificate with its key.
pub struct PassCertificate {
    /// The leaf.
    pub certificate: X509,
    /// The intermediate certificates, which are sent along with it.
    pub chain: Vec<X509>,
    /// Its key.
    pub key: PKey<Private>,
    /// Changes whenever the certificate is replaced.
    pub revision: String,
}

impl Credential {
    /// Connections are kept apart by it, and a credential that APNs refused is known by it until it is replaced: no secret.
    pub fn id(&self) -> String {
        match self {
            Self::Key(key) => format!("key:{}:{}:{}", key.team_id, key.key_id, key.revision),
            Self::Certificate(certificate) => format!("certificate:{}", certificate.revision),
        }
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({})", self.id())
    }
}

/// Why there is nothing to push with.
#[derive(Debug, thiserror::Error)]
pub enum NoCredential {
    /// Nothing is installed for the pass type; the sentence says what to do.
    #[error("{0}")]
    NotInstalled(String),
    /// This process never pushes, and says why: `dev` without an endpoint.
    #[error("{0}")]
    NotSent(String),
    /// The data store is unavailable.
    #[error("the credentials could not be read")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Finds the credential to push with.
pub trait Credentials: Send + Sync + 'static {
    /// The credential for a topic, as it is now. Cheap: nothing is opened or parsed that was before.
    fn of(&self, topic: &PassTypeIdentifier)
    -> impl Future<Output = Result<Credential, NoCredential>> + Send;
}

/// The client of APNs.
pub trait Apns: Send + Sync + 'static {
    /// Sends one push and waits for its answer, never longer than a bounded time. A fault that can be put right at once (a closed connection, a
    /// provider token that has expired) has been put right, and the push tried again, before this returns.
    fn push(&self, credential: &Credential, push: &Push) -> impl Future<Output = Outcome> + Send;
}

/// Tells the domain that a token is dead.
pub trait DeadTokens: Send + Sync + 'static {
    /// Unregisters a device from all passes of a type, if `token` is still its token and it has not registered since. `false` when it has
    /// a newer one, so that nothing was changed.
    ///
    /// # Errors
    /// When the event log could not take it; it is tried again.
    fn report(
        &self,
        pass_type_identifier: &PassTypeIdentifier,
        device: &DeviceLibraryIdentifier,
        token: &PushToken,
        since_ms: Option<i64>,
    ) -> impl Future<Output = Result<bool, Box<dyn std::error::Error + Send + Sync>>> + Send;
}

/// A source of the time, for every room that needs one.
pub trait Clock: Send + Sync + 'static {
    /// Unix milliseconds: the time that is stored, shown and sent to others. It may be set, forward and back.
    fn unix_ms(&self) -> i64;

    /// The same in whole seconds.
    fn unix_seconds(&self) -> UnixSeconds {
        UnixSeconds(self.unix_ms().div_euclid(1000))
    }

    /// Milliseconds of a clock that is never set. They tell how long something lasts within this process, and mean nothing outside of it.
    fn steady_ms(&self) -> i64;
}

/// A source of random bytes, for every room that needs one.
pub trait IdSource: Send + Sync + 'static {
    /// Fills the slice with bytes that cannot be guessed.
    fn fill(&self, bytes: &mut [u8]);

    /// A fresh UUID (version 4), in lower case.
    fn uuid(&self) -> String {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        Builder::from_random_bytes(bytes).into_uuid().to_string()
    }
}

/// Counts pushes and deliveries.
pub trait Observer: Send + Sync + 'static {
    /// A push was answered, or not, after so long.
    fn pushed(&self, outcome: OutcomeKind, took: Duration);
    /// A delivery has come to its end, in a state that is final.
    fn ended(&self, state: DeliveryState);
}
