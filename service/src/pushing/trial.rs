//! Tries a credential: a push to a device that does not exist. APNs looks at the credential first, so it refuses the device only if it takes the
//! credential.

use std::sync::Arc;
use std::time::Duration;

use honoken_domain::ids::{PassTypeIdentifier, PushToken};
use honoken_pushers::apns::{ApnsClient, PushType};
use honoken_pushers::outcome::Outcome;
use honoken_pushers::ports::{Apns, Credential, Push};
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::ids::{self, IdSource};
use crate::pushing::client;
use crate::pushing::options::ApnsOptions;

/// How long APNs may take for its answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// Tries credentials. Clones share the turn: one trial runs at a time, since each opens a connection of its own.
#[derive(Clone)]
pub struct Trials(Arc<Inner>);

struct Inner {
    apns: ApnsOptions,
    push_type: PushType,
    /// Why nothing is pushed.
    not_sent: Option<&'static str>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    turn: Semaphore,
}

/// What APNs says about a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It takes it.
    Taken,
    /// It does not, for this reason.
    Refused(String),
    /// It was not reached, or did not say: for this reason.
    Unknown(String),
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum NoTrial {
    /// This process never pushes.
    #[error("{0}")]
    NotSent(&'static str),
    /// The configuration cannot be used.
    #[error("APNs cannot be reached as it is configured")]
    Configuration(#[source] anyhow::Error),
}

impl Trials {
    pub(crate) fn new(
        apns: ApnsOptions,
        push_type: PushType,
        not_sent: Option<&'static str>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self(Arc::new(Inner { apns, push_type, not_sent, clock, ids, turn: Semaphore::new(1) }))
    }

    /// Asks APNs about a credential for a topic.
    ///
    /// # Errors
    /// [`NoTrial`].
    pub async fn of(&self, credential: &Credential, topic: PassTypeIdentifier) -> Result<Verdict, NoTrial> {
        let Inner { apns, push_type, not_sent, clock, ids, turn } = &*self.0;
        if let Some(why) = not_sent {
            return Err(NoTrial::NotSent(why));
        }
        let asked = async {
            let _turn = turn.acquire().await;
            let client = client(apns, *push_type, 1, clock.clone()).map_err(NoTrial::Configuration)?;
            let verdict = verdict(&client, credential, &push(topic, &**ids)).await;
            client.close().await;
            Ok(verdict)
        };
        let none = || Ok(Verdict::Unknown("APNs did not answer in time".to_owned()));
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| none())
    }
}

fn push(topic: PassTypeIdentifier, ids: &dyn IdSource) -> Push {
    // Of the form that Apple's tokens have, and of no device.
    let token =
        PushToken::parse(hex::encode(ids::secret_bytes(ids))).expect("64 hex digits are a push token");
    Push { topic, token, apns_id: ids.uuid() }
}

async fn verdict(client: &ApnsClient, credential: &Credential, push: &Push) -> Verdict {
    match client.push(credential, push).await {
        Outcome::Accepted { .. } | Outcome::TokenDead { .. } => Verdict::Taken,
        Outcome::Misconfigured { reason } | Outcome::Refused { reason } => Verdict::Refused(reason),
        Outcome::Retry { reason, .. } => Verdict::Unknown(reason),
    }
}
