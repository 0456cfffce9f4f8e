//! A fake APNs, a client of it, and what both know of each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use honoken_domain::ids::{PassTypeIdentifier, PushToken};
use honoken_pushers::apns::{ApnsClient, Options};
use honoken_pushers::outcome::Outcome;
use honoken_pushers::ports::{self, Apns as _, ApnsKey, Credential, Push};
use honoken_simulator::apns::{self, FakeApns, TokenKey};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::Private;
use url::Url;

pub(crate) const TOPIC: &str = "pass.com.example.ticket";
const TEAM: &str = "TEAM123456";

/// A full half hour, and what both clocks show at first.
pub(crate) const START: i64 = 1_700_001_000;

/// A clock that client and server share.
#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(crate) fn at_start() -> Self {
        Self(Arc::new(AtomicI64::new(START)))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl ports::Clock for Clock {
    fn unix_ms(&self) -> i64 {
        self.now() * 1000
    }

    fn steady_ms(&self) -> i64 {
        self.unix_ms()
    }
}

/// A client of a team's key, and the server it pushes to.
pub(crate) struct World {
    pub(crate) apns: FakeApns,
    pub(crate) client: Arc<ApnsClient>,
    pub(crate) credential: Credential,
    pub(crate) clock: Clock,
}

/// An APNs key of the team, and the half that Apple has.
pub(crate) fn apns_key(key_id: &str) -> (Credential, TokenKey) {
    let key: EcKey<Private> = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)
        .and_then(|group| EcKey::generate(&group))
        .expect("a key");
    let public = EcKey::from_public_key(key.group(), key.public_key()).expect("its public half");
    let (team_id, key_id) = (TEAM.to_owned(), key_id.to_owned());
    let known = TokenKey { team_id: team_id.clone(), key_id: key_id.clone(), key: public, topics: None };
    let key = ApnsKey { team_id, key_id, key, revision: "1".to_owned() };
    (Credential::Key(Arc::new(key)), known)
}

/// Options for a server, impatient enough for tests.
pub(crate) fn options_for(apns: &FakeApns) -> Options {
    Options {
        endpoint: Url::parse(&apns.url()).expect("a URL"),
        ca_pem: Some(apns.ca_pem().as_bytes().to_vec()),
        first_back_off: Duration::from_millis(20),
        ..Options::default()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {}, |_| {})
    }

    /// With other options of the server and of the client.
    pub(crate) fn with(server: impl FnOnce(&mut apns::Options), client: impl FnOnce(&mut Options)) -> Self {
        let clock = Clock::at_start();
        let (credential, known) = apns_key("KEY1234567");
        let time = clock.clone();
        let now = Arc::new(move || time.now());
        let mut options = apns::Options { keys: vec![known], now, ..apns::Options::default() };
        server(&mut options);
        let apns = FakeApns::start(options).expect("a server");
        let mut options = options_for(&apns);
        client(&mut options);
        let client = ApnsClient::new(options, Arc::new(clock.clone())).expect("a client");
        Self { apns, client: Arc::new(client), credential, clock }
    }

    /// Wakes the phone with that push token.
    pub(crate) async fn wake(&self, token: &str) -> Outcome {
        self.client.push(&self.credential, &push(token)).await
    }

    /// Wakes so many phones at once.
    pub(crate) async fn wake_many(&self, count: usize) -> Vec<Outcome> {
        let pushes: Vec<Push> = (0..count).map(|number| push(&format!("{number:08x}"))).collect();
        join_all(pushes.iter().map(|push| self.client.push(&self.credential, push))).await
    }

    /// That Apple would have nothing to complain about.
    #[track_caller]
    pub(crate) fn assert_well_behaved(&self) {
        assert_eq!(self.apns.violations(), Vec::<String>::new());
    }

    /// That each of so many phones was woken exactly once.
    #[track_caller]
    pub(crate) fn assert_each_woken_once(&self, count: usize) {
        let wakes = self.apns.wakes();
        assert_eq!(wakes.len(), count);
        assert!(wakes.values().all(|wakes| *wakes == 1), "{wakes:?}");
    }
}

pub(crate) fn push(token: &str) -> Push {
    Push {
        topic: PassTypeIdentifier::parse(TOPIC).expect("a pass type"),
        token: PushToken::parse(token).expect("a push token"),
        apns_id: "0f0e1d2c-0000-4000-8000-000000000001".to_owned(),
    }
}

#[track_caller]
pub(crate) fn assert_accepted(outcomes: &[Outcome]) {
    for outcome in outcomes {
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    }
}
