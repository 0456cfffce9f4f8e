//! What the subscriber needs from outside, told what to do by tests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use honoken_domain::ids::{DeviceLibraryIdentifier, PassTypeIdentifier, PushToken};
use honoken_pushers::ledger::DeliveryState;
use honoken_pushers::outcome::{Outcome, OutcomeKind, RetryScope};
use honoken_pushers::ports::{
    Apns, ApnsKey, Clock, Credential, Credentials, DeadTokens, IdSource, NoCredential, Observer, Push,
};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::world::soon;

/// How APNs answers.
pub(crate) enum Answer {
    Now(Outcome),
    /// When [`FakeApns::lets_go`] is called.
    Later(Outcome),
}

type Script = Box<dyn FnMut(&Push) -> Answer + Send>;

/// Remembers what it was sent.
pub(crate) struct FakeApns {
    script: Mutex<Script>,
    requests: Mutex<Vec<(Push, String)>>,
    /// When each token was pushed to first.
    first_pushed: Mutex<BTreeMap<String, Instant>>,
    count: watch::Sender<usize>,
    let_go: watch::Sender<bool>,
}

impl FakeApns {
    pub(crate) fn that_answers(script: impl FnMut(&Push) -> Answer + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(Box::new(script)),
            requests: Mutex::default(),
            first_pushed: Mutex::default(),
            count: watch::Sender::default(),
            let_go: watch::Sender::default(),
        })
    }

    pub(crate) fn that_accepts() -> Arc<Self> {
        Self::that_answers(|_| Answer::Now(accepted()))
    }

    /// From here on it answers otherwise.
    pub(crate) fn answers(&self, script: impl FnMut(&Push) -> Answer + Send + 'static) {
        *lock(&self.script) = Box::new(script);
    }

    pub(crate) fn lets_go(&self) {
        self.let_go.send_replace(true);
    }

    /// Waits for requests; so many altogether.
    #[track_caller]
    pub(crate) fn gets(&self, requests: usize) -> impl Future<Output = ()> {
        let mut count = self.count.subscribe();
        soon("so many requests", async move {
            count.wait_for(|count| *count >= requests).await.unwrap();
        })
    }

    pub(crate) fn requests(&self) -> usize {
        *self.count.borrow()
    }

    /// How often each token was pushed to.
    pub(crate) fn by_token(&self) -> BTreeMap<String, usize> {
        let mut by_token = BTreeMap::new();
        for (push, _) in lock(&self.requests).iter() {
            *by_token.entry(push.token.as_str().to_owned()).or_default() += 1;
        }
        by_token
    }

    /// When each token was pushed to first.
    pub(crate) fn first_pushed(&self) -> BTreeMap<String, Instant> {
        lock(&self.first_pushed).clone()
    }

    /// The `apns-id`s in the order of the requests.
    pub(crate) fn apns_ids(&self) -> Vec<String> {
        lock(&self.requests).iter().map(|(push, _)| push.apns_id.clone()).collect()
    }

    /// The credential of the last request.
    pub(crate) fn last_credential(&self) -> String {
        lock(&self.requests).last().unwrap().1.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Apns for FakeApns {
    async fn push(&self, credential: &Credential, push: &Push) -> Outcome {
        let answer = (lock(&self.script))(push);
        lock(&self.requests).push((push.clone(), credential.id()));
        lock(&self.first_pushed).entry(push.token.as_str().to_owned()).or_insert_with(Instant::now);
        self.count.send_modify(|count| *count += 1);
        match answer {
            Answer::Now(outcome) => {
                // As from a real one, the answer comes later.
                tokio::task::yield_now().await;
                outcome
            }
            Answer::Later(outcome) => {
                let mut let_go = self.let_go.subscribe();
                let_go.wait_for(|let_go| *let_go).await.unwrap();
                outcome
            }
        }
    }
}

pub(crate) fn accepted() -> Outcome {
    Outcome::Accepted { apns_id: None }
}

pub(crate) fn unavailable(after: Option<Duration>) -> Outcome {
    Outcome::Retry { reason: "ServiceUnavailable".into(), after, scope: RetryScope::Credential }
}

pub(crate) fn bad_token() -> Outcome {
    Outcome::TokenDead { reason: "BadDeviceToken".into(), since_ms: None, certain: false }
}

pub(crate) fn unregistered() -> Outcome {
    Outcome::TokenDead { reason: "Unregistered".into(), since_ms: Some(1_700_000_000_000), certain: true }
}

/// What is pushed with.
pub(crate) struct FakeCredentials(Mutex<Result<Credential, String>>);

impl FakeCredentials {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Ok(key("1")))))
    }

    pub(crate) fn none() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Err("install a key".into()))))
    }

    pub(crate) fn installs(&self, revision: &str) {
        *lock(&self.0) = Ok(key(revision));
    }
}

fn key(revision: &str) -> Credential {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    Credential::Key(Arc::new(ApnsKey {
        team_id: "ABCDE12345".into(),
        key_id: "KEY1234567".into(),
        key: EcKey::generate(&group).unwrap(),
        revision: revision.into(),
    }))
}

impl Credentials for FakeCredentials {
    async fn of(&self, _topic: &PassTypeIdentifier) -> Result<Credential, NoCredential> {
        lock(&self.0).clone().map_err(NoCredential::NotInstalled)
    }
}

/// Never pushes.
pub(crate) struct NotSent;

impl Credentials for NotSent {
    async fn of(&self, _topic: &PassTypeIdentifier) -> Result<Credential, NoCredential> {
        Err(NoCredential::NotSent("there is no endpoint".into()))
    }
}

/// Remembers which devices were reported.
pub(crate) struct FakeDeadTokens {
    pub(crate) forgets: bool,
    reported: Mutex<Vec<(String, String, Option<i64>)>>,
}

impl FakeDeadTokens {
    pub(crate) fn that_forgets(forgets: bool) -> Arc<Self> {
        Arc::new(Self { forgets, reported: Mutex::default() })
    }

    /// Device, token and time.
    pub(crate) fn reported(&self) -> Vec<(String, String, Option<i64>)> {
        lock(&self.reported).clone()
    }
}

impl DeadTokens for FakeDeadTokens {
    async fn report(
        &self,
        _pass_type_identifier: &PassTypeIdentifier,
        device: &DeviceLibraryIdentifier,
        token: &PushToken,
        since_ms: Option<i64>,
    ) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        lock(&self.reported).push((device.as_str().into(), token.as_str().into(), since_ms));
        Ok(self.forgets)
    }
}

/// Stands still until it is moved.
pub(crate) struct FakeTime(Mutex<Shown>);

/// Both clocks at one moment.
#[derive(Clone, Copy)]
struct Shown {
    unix_ms: i64,
    steady_ms: i64,
}

impl FakeTime {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Shown { unix_ms: 1_800_000_000_000, steady_ms: 0 })))
    }

    pub(crate) fn passes(&self, duration: Duration) {
        let passed_ms = i64::try_from(duration.as_millis()).unwrap();
        let mut shown = lock(&self.0);
        shown.steady_ms += passed_ms;
        shown.unix_ms += passed_ms;
    }

    /// Sets the clock by so much, as an operator or NTP would; no time passes.
    pub(crate) fn is_set_by(&self, ms: i64) {
        lock(&self.0).unix_ms += ms;
    }
}

impl Clock for FakeTime {
    fn unix_ms(&self) -> i64 {
        lock(&self.0).unix_ms
    }

    fn steady_ms(&self) -> i64 {
        lock(&self.0).steady_ms
    }
}

/// One after the other.
#[derive(Default)]
pub(crate) struct FakeIds;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl IdSource for FakeIds {
    fn fill(&self, bytes: &mut [u8]) {
        let number = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let id = (u128::from(std::process::id()) << 96) | u128::from(number);
        for (byte, value) in bytes.iter_mut().zip(id.to_be_bytes()) {
            *byte = value;
        }
    }
}

/// Counts.
#[derive(Default)]
pub(crate) struct Counts {
    ended: Mutex<BTreeMap<&'static str, usize>>,
    pushed: Mutex<BTreeMap<&'static str, usize>>,
}

impl Counts {
    pub(crate) fn ended(&self, state: &str) -> usize {
        lock(&self.ended).get(state).copied().unwrap_or_default()
    }

    pub(crate) fn pushed(&self, outcome: &str) -> usize {
        lock(&self.pushed).get(outcome).copied().unwrap_or_default()
    }
}

impl Observer for Counts {
    fn pushed(&self, outcome: OutcomeKind, _took: Duration) {
        *lock(&self.pushed).entry(outcome.as_str()).or_default() += 1;
    }

    fn ended(&self, state: DeliveryState) {
        *lock(&self.ended).entry(state.as_str()).or_default() += 1;
    }
}
