//! Integrators and phones at work while a test disturbs the service, and what they were promised.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use honoken_simulator::{Answer, HttpClient, HttpError};
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::device::{device, push_token};
use crate::problem::assert_problem;
use crate::storage::Recorded;
use crate::waiting::{PATIENCE, eventually};
use crate::{Change, Credentials, DeviceRoutes, Integrator, Storage, a_ticket};

/// Passes that each integrator looks after, all of them in one phone.
const PASSES: usize = 3;

/// A request is answered after thirty seconds at the latest; who waits longer than this was forgotten.
const REQUEST: Duration = Duration::from_secs(45);

/// Somebody who changes passes through one process, and a phone that holds them and asks another.
#[derive(Debug)]
pub struct Pair {
    /// Who changes.
    pub integrator: Integrator,
    /// Where the phone asks.
    pub devices: DeviceRoutes,
}

/// The load. Every answer is judged: it is a success, or a 503 that says when to come back; anything else fails the test.
#[derive(Debug)]
pub struct Load {
    ending: Arc<AtomicBool>,
    ledger: Arc<Ledger>,
    integrators: JoinSet<()>,
    phones: JoinSet<HeldPasses>,
    passes: Vec<Credentials>,
}

/// What everybody notes.
#[derive(Debug, Default)]
struct Ledger {
    changes: Mutex<Vec<Change>>,
    refused_changes: AtomicUsize,
    answered_phones: AtomicUsize,
    refused_phones: AtomicUsize,
}

/// What a load has come to.
#[derive(Debug)]
pub struct Outcome {
    /// The changes that were acknowledged.
    pub changes: Vec<Change>,
    phones: Vec<HeldPasses>,
    passes: Vec<Credentials>,
}

/// A phone and what it knows.
#[derive(Debug)]
struct HeldPasses {
    device: String,
    push_token: String,
    devices: DeviceRoutes,
    passes: Vec<Credentials>,
    tag: Option<String>,
    etags: BTreeMap<String, String>,
}

impl Load {
    /// Issues passes, registers phones, and starts working. `name` tells the passes and phones of one load from those of the next.
    pub async fn start(name: usize, pairs: Vec<Pair>) -> Self {
        let (ending, ledger) = (Arc::new(AtomicBool::new(false)), Arc::new(Ledger::default()));
        let (mut integrators, mut phones, mut passes) = (JoinSet::new(), JoinSet::new(), Vec::new());
        let client = HttpClient::with_limits(REQUEST, 1 << 20);
        for (number, Pair { integrator, devices }) in pairs.into_iter().enumerate() {
            let number = name * 100 + number;
            let integrator = integrator.with_client(client.clone());
            let mut phone = HeldPasses {
                device: device(number),
                push_token: push_token(number, 0),
                devices: devices.with_client(client.clone()),
                passes: Vec::new(),
                tag: None,
                etags: BTreeMap::new(),
            };
            for pass in 0..PASSES {
                let serial_number = format!("L{number}-{pass}");
                integrator.issues(&serial_number).await;
                let pass = integrator.credentials(&serial_number).await;
                let registered = phone.devices.register(&phone.device, &phone.push_token, &pass).await;
                registered.assert_status(StatusCode::CREATED);
                phone.passes.push(pass);
            }
            passes.extend(phone.passes.clone());
            integrators.spawn(integrates(integrator, phone.passes.clone(), ledger.clone(), ending.clone()));
            phones.spawn(phone.asks_on(ledger.clone(), ending.clone()));
        }
        Self { ending, ledger, integrators, phones, passes }
    }

    /// Waits until so many more changes are acknowledged, and so many more questions of phones are answered.
    pub async fn is_served(&self, count: usize) {
        let now = || (self.changes(), self.ledger.answered_phones.load(Ordering::Relaxed));
        let (changes, phones) = now();
        self.eventually(&format!("{count} more of everything is answered"), || {
            let (changes_now, phones_now) = now();
            changes_now >= changes + count && phones_now >= phones + count
        })
        .await;
    }

    /// Waits until so many more changes and questions are refused with 503.
    pub async fn is_refused(&self, count: usize) {
        let now = || {
            let Ledger { refused_changes, refused_phones, .. } = &*self.ledger;
            refused_changes.load(Ordering::Relaxed).min(refused_phones.load(Ordering::Relaxed))
        };
        let before = now();
        self.eventually(&format!("{count} more of everything is refused"), || now() >= before + count).await;
    }

    /// Waits until a change that begins after this call is visible when it is acknowledged.
    pub async fn is_projected_again(&self) {
        let before = self.changes();
        self.eventually("a change is visible at once", || {
            self.ledger.changes.lock().expect("nobody panics with it")[before..]
                .iter()
                .any(|change| change.projected)
        })
        .await;
    }

    /// Ends the work. Requests that were sent are waited for.
    ///
    /// # Panics
    ///
    /// When somebody was answered what nobody should be.
    pub async fn ends(self) -> Outcome {
        self.ending.store(true, Ordering::Relaxed);
        self.integrators.join_all().await;
        let phones = self.phones.join_all().await;
        let changes = std::mem::take(&mut *self.ledger.changes.lock().expect("nobody panics with it"));
        Outcome { changes, phones, passes: self.passes }
    }

    fn changes(&self) -> usize {
        self.ledger.changes.lock().expect("nobody panics with it").len()
    }

    /// A worker that panics never ends what is waited for, and its own words are above.
    async fn eventually(&self, awaited: &str, condition: impl Fn() -> bool) {
        eventually(PATIENCE, awaited, async || condition().then_some(())).await;
    }
}

async fn integrates(
    integrator: Integrator,
    passes: Vec<Credentials>,
    ledger: Arc<Ledger>,
    ending: Arc<AtomicBool>,
) {
    let (mut seat, mut may_have_happened) = (0, false);
    while !ending.load(Ordering::Relaxed) {
        let pass = &passes[seat % passes.len()];
        let path = format!("{}/content", integrator.path(&pass.serial_number));
        let content = a_ticket(&seat.to_string()).to_string();
        let answer = integrator.tries(Method::PUT, &path, &[], content).await;
        let Some(answer) = served(answer, &[200]) else {
            ledger.refused_changes.fetch_add(1, Ordering::Relaxed);
            may_have_happened = true;
            continue;
        };
        let change = Change::read(&answer);
        assert!(change.changed || may_have_happened, "nothing changed: {}", answer.excerpt());
        ledger.changes.lock().expect("nobody panics with it").push(change);
        (seat, may_have_happened) = (seat + 1, false);
    }
}

impl HeldPasses {
    async fn asks_on(mut self, ledger: Arc<Ledger>, ending: Arc<AtomicBool>) -> Self {
        while !ending.load(Ordering::Relaxed) {
            let counter = match self.asks().await {
                Some(_) => &ledger.answered_phones,
                None => &ledger.refused_phones,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self
    }

    /// What a phone does when it is woken; the serial numbers that it was told, `None` when it was refused.
    async fn asks(&mut self) -> Option<Vec<String>> {
        let pass = self.passes[0].clone();
        let body = serde_json::json!({ "pushToken": self.push_token }).to_string();
        let path = self.devices.registration_path(&self.device, &pass);
        let authorization = pass.authorization();
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        // It is registered, so it is never new again.
        served(self.devices.tries(Method::POST, &path, &headers, body).await, &[200])?;

        let since = self.tag.as_ref().map(|tag| format!("?passesUpdatedSince={tag}")).unwrap_or_default();
        let path = format!("/devices/{}/registrations/{}{since}", self.device, pass.pass_type_identifier);
        let answer = served(self.devices.tries(Method::GET, &path, &[], "").await, &[200, 204])?;
        if answer.status == StatusCode::NO_CONTENT {
            assert!(self.tag.is_some(), "a phone that holds passes was told that it holds none");
            return Some(Vec::new());
        }
        let body = answer.json();
        let listed = body["serialNumbers"].as_array().expect("a list of serial numbers");
        let listed: Vec<String> =
            listed.iter().map(|serial| serial.as_str().expect("a text").to_owned()).collect();
        for serial_number in &listed {
            self.fetches(serial_number).await?;
        }
        // Only now: what could not be fetched must be listed again.
        self.tag = Some(body["lastUpdated"].as_str().expect("a tag").to_owned());
        Some(listed)
    }

    async fn fetches(&mut self, serial_number: &str) -> Option<()> {
        let pass = self.passes.iter().find(|pass| pass.serial_number == serial_number);
        let pass = pass.expect("a phone is told of its own passes only");
        let authorization = pass.authorization();
        let known = self.etags.get(serial_number).cloned().unwrap_or_else(|| "\"none\"".to_owned());
        let headers = [("authorization", authorization.as_str()), ("if-none-match", &known)];
        let path = self.devices.pass_path(pass);
        let answer = served(self.devices.tries(Method::GET, &path, &headers, "").await, &[200, 304])?;
        let etag = answer.header("etag").expect("a tag").to_owned();
        assert_eq!(answer.status == StatusCode::NOT_MODIFIED, etag == known, "{known} and {etag}");
        self.etags.insert(serial_number.to_owned(), etag);
        Some(())
    }
}

/// The answer, if it is one of these; `None` when it says that the caller may come back.
///
/// # Panics
///
/// When it is anything else, or there is none.
#[track_caller]
pub fn served(answer: Result<Answer, HttpError>, accepted: &[u16]) -> Option<Answer> {
    let answer = answer.unwrap_or_else(|error| panic!("no answer: {error:?}"));
    if accepted.contains(&answer.status.as_u16()) {
        return Some(answer);
    }
    assert_problem(&answer, 503);
    let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
    assert!(seconds.is_some(), "no Retry-After in seconds");
    None
}

impl Outcome {
    /// Checks that everything acknowledged is in the log, that what is shown is what the log says, and that the phones get to see it.
    /// The processes that `integrator` and the phones ask must be there.
    ///
    /// # Panics
    ///
    /// When something is lost, or hidden.
    pub async fn assert_kept(self, storage: &Storage, integrator: &Integrator) {
        storage.waits_for_read_model().await;
        let log = storage.recorded().await;
        assert!(log.keys().copied().eq(1..=log.len() as u64), "the log has a gap");
        for change in &self.changes {
            assert_in_log(change, log.get(&change.position).expect("an acknowledged position is in the log"));
        }
        for pass in &self.passes {
            assert_shows_log(&integrator.state(&pass.serial_number).await, pass, &log);
        }
        for mut phone in self.phones {
            phone.asks().await.expect("the service answers");
            assert_eq!(phone.asks().await.as_deref(), Some(&[][..]), "there is nothing new for the phone");
            for pass in &phone.passes {
                let state = integrator.state(&pass.serial_number).await;
                let etag = state["etag"].as_str().map(|etag| format!("\"{etag}\""));
                assert_eq!(phone.etags.get(&pass.serial_number), etag.as_ref(), "{}", pass.serial_number);
            }
        }
    }
}

fn assert_in_log(change: &Change, recorded: &Recorded) {
    assert_eq!(recorded.pass_serial_number(), Some(&*change.serial_number), "{change:?} and {recorded:?}");
    assert_eq!(recorded.tag(), Some((&*change.etag, change.updated_at)), "{change:?} and {recorded:?}");
}

/// Checks the whole history of a pass, and that its state is the end of it.
///
/// # Panics
///
/// When dates do not increase, tags are repeated, or the state is another.
pub fn assert_shows_log(state: &Value, pass: &Credentials, log: &BTreeMap<u64, Recorded>) {
    let history: Vec<(u64, &str, i64)> = log
        .iter()
        .filter(|(_, recorded)| recorded.pass_serial_number() == Some(&pass.serial_number))
        .map(|(position, recorded)| {
            let (etag, updated_at) = recorded.tag().expect("every event of a pass has a tag");
            (*position, etag, updated_at)
        })
        .collect();
    assert!(history.is_sorted_by(|(_, _, one), (_, _, next)| one < next), "dates: {history:?}");
    let tags: BTreeSet<&str> = history.iter().map(|(_, etag, _)| *etag).collect();
    assert_eq!(tags.len(), history.len(), "tags are repeated");
    let (position, etag, updated_at) = history.last().expect("an issued pass has events");
    assert_eq!((&state["position"], &state["etag"]), (&Value::from(*position), &Value::from(*etag)));
    assert_eq!(crate::etag::unix_seconds(&state["updatedAt"]), *updated_at);
}
