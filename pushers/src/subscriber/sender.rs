//! From the ledger to APNs. `looking.rs` is what this sender does once a second, whatever else there is to do.
//!
//! One task does everything: it takes what is due, starts pushes, and collects what became of them, which is noted in the ledger in one
//! transaction for all that was answered since the last. Whatever is not noted when the process dies is due again.

mod looking;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use honoken_domain::ids::{PassTypeIdentifier, PushToken};
use honoken_projections::wallet_push::Holder;
use honoken_projections::{QueryError, ReadModel};
use honoken_telemetry::error_chain;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use looking::{Clamping, Look};

use super::plan::{Job, holder, plan};
use super::verdict::{Answers, Verdict};
use super::way::{self, Leave, Way};
use super::{Ports, Settings, clean_up, milliseconds};
use crate::apart::Home;
use crate::ledger::deliveries::{Noted, Pending};
use crate::ledger::wakes::{Claimed, Next, WakeKey};
use crate::ledger::{DeliveryState, Ledger, LedgerError, ParkedCredential};
use crate::outcome::{Outcome, Rest};
use crate::ports::{Apns, Credential, Credentials, DeadTokens, NoCredential};

/// How often it looks for what others have done, and says that it is alive.
const LOOK: Duration = Duration::from_secs(1);

/// A credential that APNs refuses is tried so often.
const PROBE: Duration = Duration::from_mins(15);

/// How long a phone is left alone after one failure, two, and so on.
const BACK_OFF: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_mins(2), Duration::from_mins(15)];

/// When it is stopped, what was sent may take so long to be answered and noted.
const LAST_ANSWERS: Duration = Duration::from_secs(15);

/// Phones that are made due to try a credential with: one of them is pushed to.
const A_FEW: u32 = 16;

/// What stands for a credential where none is installed.
const NONE: &str = "none";

/// Takes what is due from the ledger, pushes it, and notes what became of it.
pub struct Sender<A, C, D> {
    ledger: Ledger,
    read_model: ReadModel,
    ports: Ports<A, C, D>,
    settings: Settings,
    home: Home,
}

impl<A: Apns, C: Credentials, D: DeadTokens> Sender<A, C, D> {
    /// Does nothing until it [runs](Self::run), perhaps [apart](crate::apart): the stores are asked on the runtime that this is called on.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn new(ledger: Ledger, read_model: ReadModel, ports: Ports<A, C, D>, settings: Settings) -> Self {
        Self { ledger, read_model, ports, settings, home: Home::here() }
    }

    /// Works until it is stopped, and then until what was sent has been answered and noted.
    pub async fn run(self, stop: CancellationToken) {
        let cleaning = clean_up::run(self.ledger.clone(), self.ports.time.clone(), self.settings);
        let cleaning = self.home.run(cleaning);
        let mut work = Work::new(self);
        tokio::select! {
            () = work.run(&stop) => {}
            () = cleaning => {}
        }
        work.end().await;
    }
}

/// Something that was waited for.
enum Event {
    Taken(Taken),
    Pushed {
        way: Arc<str>,
        job: Job,
        outcome: Outcome,
        took: Duration,
    },
    Reported {
        job: Job,
        reason: String,
        known: Result<bool, Box<dyn std::error::Error + Send + Sync>>,
    },
    Noted(Notes, Result<(), LedgerError>),
    Freed(PassTypeIdentifier),
    Looked(Result<(Look, bool), LedgerError>),
    /// Nothing follows from it.
    Over,
}

/// What was due.
#[derive(Default)]
struct Taken {
    claimed: Vec<Claimed>,
    tokens: HashMap<Holder, PushToken>,
    credentials: HashMap<PassTypeIdentifier, Result<(Arc<str>, Credential), NoCredential>>,
    /// When something is due, if nothing is.
    next_due_ms: Option<i64>,
    fault: Option<Fault>,
}

/// Why nothing could be taken.
enum Fault {
    /// Perhaps something was, and the answer was lost.
    Ledger(LedgerError),
    /// Something was, and nobody knows where to push.
    ReadModel(QueryError),
}

/// What is to be noted.
#[derive(Default)]
struct Notes {
    deliveries: Vec<Noted>,
    phones: Vec<Next>,
    /// Pushes whose answers are among them.
    answered: usize,
    /// What is done when it has been noted, so that what was put back is found.
    free: Vec<Free>,
}

/// Phones of a topic need not wait any more.
struct Free {
    topic: PassTypeIdentifier,
    /// The credential that was parked.
    credential: Option<Arc<str>>,
    /// Whether all of them, or a few to try the credential with.
    all: bool,
}

/// A way, and what is to go on it.
struct Line {
    way: Way,
    credential: Credential,
    queue: VecDeque<Job>,
}

/// A phone that this sender is at.
struct AtWork {
    claimed: Claimed,
    jobs: usize,
    end: End,
}

/// What became of a phone: of several pushes the last of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// Nothing was sent.
    Ended,
    Sent,
    PutBack(i64),
    Again(i64),
    Rests(i64),
}

#[expect(clippy::struct_excessive_bools, reason = "what is under way, each by itself")]
struct Work<A, C, D> {
    ledger: Ledger,
    read_model: ReadModel,
    ports: Ports<A, C, D>,
    settings: Settings,
    home: Home,
    /// This sender, in the ledger.
    name: Arc<str>,
    running: FuturesUnordered<BoxFuture<'static, Event>>,
    /// Pushes, and reports of dead tokens, that wait for their answers.
    in_flight: usize,
    lines: HashMap<Arc<str>, Line>,
    /// Pushes that wait in the lines.
    queued: usize,
    answers: HashMap<PassTypeIdentifier, Answers>,
    parked: HashMap<PassTypeIdentifier, ParkedCredential>,
    may_probe: HashSet<PassTypeIdentifier>,
    /// Topics whose credential works again; `true` when the ledger knows. What is seen there may be older.
    freed: HashMap<PassTypeIdentifier, bool>,
    phones: HashMap<WakeKey, AtWork>,
    notes: Notes,
    /// Pushes that were answered, and not noted: with those in flight they would be sent again if the process died.
    unnoted: usize,
    /// What was claimed while nobody could say where to push.
    left: Option<Vec<Claimed>>,
    taking: bool,
    noting: bool,
    looking: bool,
    /// Noting has failed; not before the next look.
    rests: bool,
    may_be_due: bool,
    next_due_ms: Option<i64>,
    clamping: Clamping,
    /// Something may have been claimed that nobody knows of.
    in_doubt: bool,
    /// Also until it has been looked for the first time.
    paused: bool,
    stopping: bool,
}

impl<A: Apns, C: Credentials, D: DeadTokens> Work<A, C, D> {
    fn new(sender: Sender<A, C, D>) -> Self {
        let Sender { ledger, read_model, ports, settings, home } = sender;
        let clamping = Clamping::since_now(&*ports.time);
        Self {
            name: ports.ids.uuid().into(),
            ledger,
            read_model,
            ports,
            settings,
            home,
            running: FuturesUnordered::new(),
            in_flight: 0,
            lines: HashMap::new(),
            queued: 0,
            answers: HashMap::new(),
            parked: HashMap::new(),
            may_probe: HashSet::new(),
            freed: HashMap::new(),
            phones: HashMap::new(),
            notes: Notes::default(),
            unnoted: 0,
            left: None,
            taking: false,
            noting: false,
            looking: false,
            rests: false,
            may_be_due: true,
            next_due_ms: None,
            clamping,
            in_doubt: false,
            paused: true,
            stopping: false,
        }
    }

    async fn run(&mut self, stop: &CancellationToken) {
        let (mut due, mut pauses) = (self.ledger.changes(), self.ledger.pauses());
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.goes_on();
            let wait_ms = self.next_due_ms.map_or(0, |due| (due - self.now()).clamp(0, 60_000));
            let wait = Duration::from_millis(wait_ms.cast_unsigned());
            tokio::select! {
                () = stop.cancelled() => return,
                Some(event) = self.running.next() => self.hears_all(event),
                Ok(()) = due.changed() => self.may_be_due = true,
                Ok(()) = pauses.changed() => self.looks(),
                () = tokio::time::sleep(wait), if self.next_due_ms.is_some() => {
                    self.next_due_ms = None;
                    self.may_be_due = true;
                }
                _ = ticks.tick() => {
                    self.rests = false;
                    self.may_be_due = true;
                    self.looks();
                }
            }
        }
    }

    /// Waits for what was sent, and notes it.
    async fn end(&mut self) {
        self.stopping = true;
        self.puts_back_all();
        let last = async {
            loop {
                self.goes_on();
                if self.in_flight == 0 && !self.taking && self.notes.is_empty() && !self.noting {
                    return;
                }
                tokio::select! {
                    Some(event) = self.running.next() => self.hears_all(event),
                    () = tokio::time::sleep(LOOK) => self.rests = false,
                }
            }
        };
        if tokio::time::timeout(LAST_ANSWERS, last).await.is_err() {
            tracing::warn!("some pushes were not answered or not noted before the end: they are sent again");
        }
        // Nobody carries these on any more, and one may be about to write.
        self.running.clear();
        let (ledger, name) = (self.ledger.clone(), self.name.clone());
        if let Err(fault) = self.home.run(async move { ledger.ends(&name).await }).await {
            tracing::warn!(error = error_chain(&fault), "what was being sent is free when its time is over");
        }
    }

    /// Asks the stores something.
    fn asks(&mut self, asking: impl Future<Output = Event> + Send + 'static) {
        self.running.push(self.home.run(asking).boxed());
    }

    fn now(&self) -> i64 {
        self.ports.time.unix_ms()
    }

    /// For what is remembered here alone.
    fn steady(&self) -> i64 {
        self.ports.time.steady_ms()
    }

    fn goes_on(&mut self) {
        self.takes();
        self.starts();
        self.notes_down();
    }

    /// Everything that has happened, so that it is noted together.
    fn hears_all(&mut self, event: Event) {
        self.hears(event);
        for _ in 0..1000 {
            match self.running.next().now_or_never() {
                Some(Some(event)) => self.hears(event),
                _ => return,
            }
        }
    }

    fn hears(&mut self, event: Event) {
        match event {
            Event::Taken(taken) => self.accepts(taken),
            Event::Pushed { way, job, outcome, took } => self.is_answered(&way, job, outcome, took),
            Event::Reported { job, reason, known } => self.is_reported(&job, &reason, known),
            Event::Noted(notes, outcome) => self.has_noted(notes, outcome),
            Event::Freed(topic) => drop(self.freed.insert(topic, true)),
            Event::Looked(look) => self.has_looked(look),
            Event::Over => {}
        }
    }
}

/// Taking what is due.
impl<A: Apns, C: Credentials, D: DeadTokens> Work<A, C, D> {
    fn takes(&mut self) {
        let many = usize::try_from(self.settings.batch_size).unwrap_or(usize::MAX).max(1);
        let nothing_to_do = !self.may_be_due && self.left.is_none();
        let enough = self.queued * 2 >= many || self.notes.len() >= many * 4;
        if self.taking || self.paused || self.stopping || nothing_to_do || enough || self.rests {
            return;
        }
        (self.taking, self.may_be_due) = (true, false);
        let known = std::mem::take(&mut self.in_doubt)
            .then(|| self.phones.keys().cloned().collect::<HashSet<WakeKey>>());
        let (ledger, read_model, credentials) =
            (self.ledger.clone(), self.read_model.clone(), self.ports.credentials.clone());
        let (name, limit, now_ms, left) =
            (self.name.clone(), self.settings.batch_size.max(1), self.now(), self.left.take());
        let taking = async move {
            let mut taken = Taken::default();
            let claimed = match left {
                Some(left) => Ok(left),
                None => claim(&ledger, &name, known, limit, now_ms, &mut taken.next_due_ms).await,
            };
            match claimed {
                Ok(claimed) => taken.claimed = claimed,
                Err(fault) => taken.fault = Some(Fault::Ledger(fault)),
            }
            let holders: HashSet<_> =
                taken.claimed.iter().flat_map(|claimed| claimed.pending.iter().map(holder)).collect();
            match read_model.push_tokens(&holders.into_iter().collect::<Vec<_>>()).await {
                Ok(tokens) => taken.tokens = tokens,
                Err(fault) => taken.fault = Some(Fault::ReadModel(fault)),
            }
            for claimed in &taken.claimed {
                let topic = &claimed.key.pass_type_identifier;
                if !taken.credentials.contains_key(topic) {
                    let credential = credentials.of(topic).await;
                    let credential = credential.map(|credential| (credential.id().into(), credential));
                    taken.credentials.insert(topic.clone(), credential);
                }
            }
            Event::Taken(taken)
        };
        self.asks(taking);
    }

    fn accepts(&mut self, taken: Taken) {
        self.taking = false;
        let Taken { claimed, tokens, credentials, next_due_ms, fault } = taken;
        match fault {
            Some(Fault::Ledger(fault)) => {
                tracing::warn!(
                    error = error_chain(&fault),
                    "cannot see who is to be woken, tries again in {LOOK:?}"
                );
                (self.in_doubt, self.rests) = (true, true);
                return;
            }
            Some(Fault::ReadModel(fault)) => {
                tracing::warn!(
                    error = error_chain(&fault),
                    "cannot see where to push, tries again in {LOOK:?}"
                );
                (self.left, self.rests) = (Some(claimed), true);
                return;
            }
            None => {}
        }
        self.may_be_due |= !claimed.is_empty();
        self.next_due_ms = next_due_ms.or(self.next_due_ms);
        for claimed in claimed {
            // It is at work already: the ledger gave it back because this sender seemed dead.
            if !self.phones.contains_key(&claimed.key) {
                let credential = credentials.get(&claimed.key.pass_type_identifier);
                self.begins(claimed, &tokens, credential);
            }
        }
    }

    fn begins(
        &mut self,
        claimed: Claimed,
        tokens: &HashMap<Holder, PushToken>,
        credential: Option<&Result<(Arc<str>, Credential), NoCredential>>,
    ) {
        let now_ms = self.now();
        let plan = plan(&claimed, tokens, !self.settings.window.is_zero(), now_ms);
        self.notes.deliveries.extend(plan.superseded);
        let key = claimed.key.clone();
        self.phones.insert(key.clone(), AtWork { claimed, jobs: plan.jobs.len(), end: End::Ended });
        if plan.jobs.is_empty() {
            self.ends(&key);
            return;
        }
        if self.stopping || self.paused {
            self.all_end(plan.jobs, End::PutBack(now_ms));
            return;
        }
        match credential {
            Some(Ok((id, credential))) => self.queues(id, credential, plan.jobs),
            Some(Err(NoCredential::NotSent(reason))) => {
                for job in plan.jobs {
                    self.notes_all(&job, DeliveryState::Failed, 0, Some(reason), None);
                    self.job_ends(&job.key, End::Ended);
                }
            }
            Some(Err(NoCredential::NotInstalled(reason))) => {
                let topic = &key.pass_type_identifier;
                let until = match self.parked.get(topic) {
                    Some(parked) if parked.credential == NONE => parked.probe_at_ms,
                    _ => self.parks(topic, NONE, reason),
                };
                self.all_end(plan.jobs, End::PutBack(waits_until(until, now_ms)));
            }
            Some(Err(NoCredential::Unavailable(fault))) => {
                tracing::warn!(error = error_chain(&**fault), "cannot see what to push with, tries again");
                self.all_end(plan.jobs, End::PutBack(now_ms + 2000 + spread(LOOK)));
            }
            None => self.all_end(plan.jobs, End::PutBack(now_ms + 1000)),
        }
    }

    fn queues(&mut self, id: &Arc<str>, credential: &Credential, mut jobs: Vec<Job>) {
        let Some(first) = jobs.first_mut() else { return };
        let (topic, now_ms, steady_ms) = (first.push.topic.clone(), self.now(), self.steady());
        if let Some(parked) = self.parked.get(&topic).filter(|parked| parked.credential == **id) {
            let until = waits_until(parked.probe_at_ms, now_ms);
            if !self.may_probe.remove(&topic) {
                self.all_end(jobs, End::PutBack(until));
                return;
            }
            first.is_probe = true;
        }
        let line = self.lines.entry(id.clone()).or_insert_with(|| Line {
            way: Way::default(),
            credential: credential.clone(),
            queue: VecDeque::new(),
        });
        match line.way.ask(&topic, steady_ms) {
            Leave::Granted => {}
            Leave::Probe => first.is_probe = true,
            Leave::After(wait) => {
                self.all_end(jobs, End::PutBack(now_ms + milliseconds(wait) + spread(LOOK)));
                return;
            }
        }
        let is_probe = first.is_probe;
        self.queued += jobs.len();
        if is_probe {
            jobs.into_iter().rev().for_each(|job| line.queue.push_front(job));
        } else {
            line.queue.extend(jobs);
        }
    }
}

impl Notes {
    fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.phones.is_empty()
    }

    fn len(&self) -> usize {
        self.deliveries.len().max(self.phones.len())
    }

    fn add(&mut self, later: Self) {
        self.deliveries.extend(later.deliveries);
        self.phones.extend(later.phones);
        self.answered += later.answered;
        self.free.extend(later.free);
    }
}

/// Claims what is due, if anything is.
async fn claim(
    ledger: &Ledger,
    name: &str,
    known: Option<HashSet<WakeKey>>,
    limit: u32,
    now_ms: i64,
    next_due_ms: &mut Option<i64>,
) -> Result<Vec<Claimed>, LedgerError> {
    if let Some(known) = known {
        ledger.free_unknown(name, |key| known.contains(key), now_ms).await?;
    }
    match ledger.next_due().await? {
        Some(due) if due <= now_ms => ledger.claim(name, limit, now_ms).await,
        later => {
            *next_due_ms = later;
            Ok(Vec::new())
        }
    }
}

/// Pushing.
impl<A: Apns, C: Credentials, D: DeadTokens> Work<A, C, D> {
    /// One of each line in turn, as long as there is room.
    fn starts(&mut self) {
        let (steady_ms, most) = (self.steady(), self.settings.at_work);
        let mut starts = self.queued > 0 && !self.stopping;
        while starts && self.in_flight + self.unnoted < most {
            starts = false;
            for (id, line) in &mut self.lines {
                let is_probe = line.queue.front().is_some_and(|job| job.is_probe);
                let may = is_probe || line.way.in_flight < line.way.allowed(most, steady_ms);
                if !may || self.in_flight + self.unnoted >= most {
                    continue;
                }
                let Some(job) = line.queue.pop_front() else { continue };
                starts = true;
                self.queued -= 1;
                self.in_flight += 1;
                line.way.in_flight += 1;
                let (apns, credential, way) = (self.ports.apns.clone(), line.credential.clone(), id.clone());
                let pushing = async move {
                    let from = Instant::now();
                    let outcome = apns.push(&credential, &job.push).await;
                    Event::Pushed { way, job, outcome, took: from.elapsed() }
                };
                self.running.push(pushing.boxed());
            }
        }
    }

    fn is_answered(&mut self, way: &Arc<str>, job: Job, outcome: Outcome, took: Duration) {
        self.in_flight -= 1;
        self.unnoted += 1;
        self.notes.answered += 1;
        if let Some(line) = self.lines.get_mut(way) {
            line.way.in_flight -= 1;
        }
        self.ports.observer.pushed(name_of(&outcome), took);
        match outcome {
            Outcome::Accepted { apns_id } => {
                self.way_works(way, &job);
                let steady_ms = self.steady();
                self.answers(&job.push.topic, way).accepted(steady_ms);
                let apns_id = apns_id.unwrap_or_else(|| job.push.apns_id.clone());
                self.notes_all(&job, DeliveryState::Sent, 1, None, Some(&apns_id));
                self.job_ends(&job.key, End::Sent);
            }
            Outcome::TokenDead { reason, since_ms, certain: true } => {
                self.way_works(way, &job);
                self.reports(job, reason, since_ms);
            }
            Outcome::TokenDead { reason, since_ms, certain: false } => {
                self.is_called_wrong(way, job, reason, since_ms);
            }
            Outcome::Retry { reason, after, rest: Rest::Token } => {
                self.way_works(way, &job);
                self.tries_again(&job, &reason, after);
            }
            Outcome::Retry { reason, after, rest: Rest::Credential } => {
                self.way_fails(way, &job, &reason, after);
                self.waits_for_the_way(way, &job, &reason);
            }
            Outcome::Misconfigured { reason } => self.is_refused(way, &job, &reason),
            Outcome::Refused { reason } => {
                self.way_works(way, &job);
                self.notes_all(&job, DeliveryState::Failed, 1, Some(&reason), None);
                self.job_ends(&job.key, End::Ended);
            }
        }
    }
}

/// What answers lead to.
impl<A: Apns, C: Credentials, D: DeadTokens> Work<A, C, D> {
    fn answers(&mut self, topic: &PassTypeIdentifier, way: &str) -> &mut Answers {
        // More topics than anybody has: what is forgotten is learned again.
        if self.answers.len() > 10_000 {
            self.answers.clear();
        }
        self.answers.entry(topic.clone()).or_default().to(way)
    }

    /// APNs is there.
    fn way_answers(&mut self, way: &Arc<str>) {
        let steady_ms = self.steady();
        let waiting = self.lines.get_mut(way).map(|line| line.way.succeeded(steady_ms));
        for topic in waiting.unwrap_or_default() {
            self.notes.free.push(Free { topic, credential: None, all: true });
        }
    }

    /// APNs is there, and takes the credential.
    fn way_works(&mut self, way: &Arc<str>, job: &Job) {
        self.way_answers(way);
        let topic = &job.push.topic;
        if self.parked.get(topic).is_some_and(|parked| parked.credential == **way) {
            self.parked.remove(topic);
            tracing::info!(pass.topic = %topic, credential = %way, "pushes of {topic} go on: APNs takes the credential again");
            self.freed.insert(topic.clone(), false);
            self.notes.free.push(Free { topic: topic.clone(), credential: Some(way.clone()), all: true });
        }
    }

    /// Makes the phones of a topic due, and frees its credential first.
    fn frees(&mut self, Free { topic, credential, all }: Free) {
        let (ledger, time) = (self.ledger.clone(), self.ports.time.clone());
        let freeing = async move {
            let freed = if all {
                free(&ledger, credential.as_deref(), &topic, || time.unix_ms()).await
            } else {
                ledger.hasten(&topic, A_FEW, time.unix_ms()).await.map(drop)
            };
            if let Err(fault) = freed {
                tracing::warn!(error = error_chain(&fault), "pushes of {topic} go on a little later");
            }
            if credential.is_some() { Event::Freed(topic) } else { Event::Over }
        };
        self.asks(freeing);
    }

    fn way_fails(&mut self, way: &Arc<str>, job: &Job, reason: &str, after: Option<Duration>) {
        let (now_ms, steady_ms) = (self.now(), self.steady());
        let Some(line) = self.lines.get_mut(way) else { return };
        let rests = line.way.failed(job.is_probe, after, shorter(), steady_ms);
        line.way.waits(&job.push.topic);
        let Some(rest) = rests else { return };
        let queue = std::mem::take(&mut line.queue);
        for job in &queue {
            line.way.waits(&job.push.topic);
        }
        self.queued -= queue.len();
        let seconds = rest.as_millis().div_ceil(1000);
        tracing::warn!(credential = %way, reason, "APNs is away or asks for a pause: nothing is sent for {seconds} s");
        self.all_end(queue, End::PutBack(now_ms + milliseconds(rest) + spread(LOOK)));
    }

    fn waits_for_the_way(&mut self, way: &Arc<str>, job: &Job, reason: &str) {
        let steady_ms = self.steady();
        let wait_ms = match self.lines.get(way).and_then(|line| line.way.rests_for(steady_ms)) {
            Some(rest) => milliseconds(rest) + spread(LOOK),
            // A failure or two of a way that works: it is soon known which it is, this phone's bad luck or the way.
            None => milliseconds(way::length(self.failures_of(&job.key)).mul_f64(shorter())),
        };
        let until = self.now() + wait_ms;
        let end = if self.notes_tried(job, reason) { End::Again(until) } else { End::Ended };
        self.job_ends(&job.key, end);
    }

    fn tries_again(&mut self, job: &Job, reason: &str, after: Option<Duration>) {
        let until = self.backs_off(&job.key).max(self.now() + milliseconds(after.unwrap_or_default()));
        let end = if self.notes_tried(job, reason) { End::Rests(until) } else { End::Ended };
        self.job_ends(&job.key, end);
    }

    /// When a phone is tried again.
    fn backs_off(&self, key: &WakeKey) -> i64 {
        let step = usize::try_from(self.failures_of(key)).unwrap_or(usize::MAX).min(BACK_OFF.len() - 1);
        self.now() + milliseconds(BACK_OFF[step].mul_f64(stretch()))
    }

    /// Of a phone, in a row.
    fn failures_of(&self, key: &WakeKey) -> u32 {
        self.phones.get(key).map_or(0, |at_work| at_work.claimed.attempts)
    }

    fn is_called_wrong(&mut self, way: &Arc<str>, job: Job, reason: String, since_ms: Option<i64>) {
        self.way_answers(way);
        let tried = job.deliveries.iter().filter(|delivery| delivery.attempts > 0);
        // A time in the future was noted before the clock was set back: longer ago than now, nobody knows by how much.
        let (now_ms, steady_ms) = (self.now(), self.steady());
        let before_ms = tried.map(|delivery| steady_ms - (now_ms - delivery.changed_at_ms).max(0)).min();
        match self.answers(&job.push.topic, way).called_wrong(before_ms) {
            Verdict::Dead => self.reports(job, reason, since_ms),
            Verdict::Unknown => self.tries_again(&job, &reason, None),
            Verdict::Configuration => self.is_refused(way, &job, &format!("{reason} for many phones")),
        }
    }

    /// Nothing more is sent to the topic, and nothing is deleted.
    fn is_refused(&mut self, way: &Arc<str>, job: &Job, reason: &str) {
        self.way_answers(way);
        let topic = job.push.topic.clone();
        let until = waits_until(self.parks(&topic, way, reason), self.now());
        if let Some(line) = self.lines.get_mut(way) {
            let queue = std::mem::take(&mut line.queue).into_iter();
            let (refused, others): (Vec<_>, Vec<_>) = queue.partition(|job| job.push.topic == topic);
            line.queue = others.into();
            self.queued -= refused.len();
            self.all_end(refused, End::PutBack(until));
        }
        self.notes_all(job, DeliveryState::Pending, 1, Some(reason), None);
        self.job_ends(&job.key, End::PutBack(until));
    }

    /// Keeps a credential from being used for a topic. Gives when it is tried.
    fn parks(&mut self, topic: &PassTypeIdentifier, credential: &str, reason: &str) -> i64 {
        let now_ms = self.now();
        let parked = ParkedCredential {
            credential: credential.to_owned(),
            topic: topic.clone(),
            reason: reason.to_owned(),
            parked_at_ms: now_ms,
            probe_at_ms: now_ms + milliseconds(PROBE),
        };
        let known = self.parked.get(topic).filter(|known| known.credential == parked.credential);
        if let Some(known) = known.filter(|known| known.probe_at_ms > now_ms) {
            return known.probe_at_ms;
        }
        self.parked.insert(topic.clone(), parked.clone());
        let (ledger, until) = (self.ledger.clone(), parked.probe_at_ms);
        let parking = async move {
            let ParkedCredential { topic, credential, reason, .. } = &parked;
            match ledger.park_credential(&parked).await {
                Ok(true) => tracing::error!(
                    pass.topic = %topic,
                    credential,
                    reason,
                    "pushes of {topic} wait until what they are sent with is put right: {reason}"
                ),
                Ok(false) => {}
                Err(fault) => tracing::warn!(
                    error = error_chain(&fault),
                    reason,
                    "that pushes of {topic} wait was not noted, it is tried again"
                ),
            }
            Event::Over
        };
        self.asks(parking);
        until
    }

    fn reports(&mut self, job: Job, reason: String, since_ms: Option<i64>) {
        self.in_flight += 1;
        let dead_tokens = self.ports.dead_tokens.clone();
        let reporting = async move {
            let device = &job.key.device_library_identifier;
            let known = dead_tokens.report(&job.push.topic, device, &job.push.token, since_ms).await;
            Event::Reported { job, reason, known }
        };
        self.asks(reporting);
    }

    fn is_reported(
        &mut self,
        job: &Job,
        reason: &str,
        known: Result<bool, Box<dyn std::error::Error + Send + Sync>>,
    ) {
        self.in_flight -= 1;
        match known {
            Ok(true) => {
                self.notes_all(job, DeliveryState::Dead, 1, Some(reason), None);
                self.job_ends(&job.key, End::Ended);
            }
            Ok(false) => {
                // It has another token, or has registered since: that one is tried, the first time at once.
                let is_first = self.phones.get(&job.key).is_none_or(|at_work| at_work.claimed.attempts == 0);
                let until = if is_first { self.now() } else { self.backs_off(&job.key) };
                let end = if self.notes_tried(job, reason) { End::Again(until) } else { End::Ended };
                self.job_ends(&job.key, end);
            }
            Err(fault) => {
                tracing::warn!(
                    error = error_chain(&*fault),
                    device = job.key.device_library_identifier.shortened(),
                    "a dead push token was not taken from its device, tries again"
                );
                self.tries_again(job, reason, None);
            }
        }
    }
}

/// Frees a credential, if one is named, and makes the phones of a topic due.
async fn free(
    ledger: &Ledger,
    credential: Option<&str>,
    topic: &PassTypeIdentifier,
    now_ms: impl Fn() -> i64,
) -> Result<(), LedgerError> {
    const AT_ONCE: u32 = 5000;
    if let Some(credential) = credential {
        ledger.free_credential(credential, topic).await?;
    }
    while ledger.hasten(topic, AT_ONCE, now_ms()).await? == u64::from(AT_ONCE) {}
    Ok(())
}

/// Noting what became of pushes.
impl<A: Apns, C: Credentials, D: DeadTokens> Work<A, C, D> {
    fn notes_all(
        &mut self,
        job: &Job,
        state: DeliveryState,
        attempts: u64,
        error: Option<&str>,
        apns_id: Option<&str>,
    ) {
        let at_ms = self.now();
        self.notes.deliveries.extend(job.deliveries.iter().map(|delivery| Noted {
            id: delivery.id,
            state,
            attempts,
            error: error.map(str::to_owned),
            apns_id: apns_id.map(str::to_owned),
            at_ms,
        }));
    }

    /// A request was made and has failed. `false` when all that it was for is given up.
    fn notes_tried(&mut self, job: &Job, reason: &str) -> bool {
        let (at_ms, at_most) = (self.now(), self.settings.retry_attempts);
        let is_over = |delivery: &Pending| delivery.attempts + 1 >= at_most;
        self.notes.deliveries.extend(job.deliveries.iter().map(|delivery| Noted {
            id: delivery.id,
            state: if is_over(delivery) { DeliveryState::Failed } else { DeliveryState::Pending },
            attempts: 1,
            error: Some(reason.to_owned()),
            apns_id: None,
            at_ms,
        }));
        !job.deliveries.iter().all(is_over)
    }

    fn all_end(&mut self, jobs: impl IntoIterator<Item = Job>, end: End) {
        for job in jobs {
            self.job_ends(&job.key, end);
        }
    }

    fn job_ends(&mut self, key: &WakeKey, end: End) {
        let Some(at_work) = self.phones.get_mut(key) else { return };
        at_work.jobs -= 1;
        at_work.end = at_work.end.max(end);
        if at_work.jobs == 0 {
            self.ends(key);
        }
    }

    fn ends(&mut self, key: &WakeKey) {
        let now_ms = self.now();
        let Some(AtWork { claimed, end, .. }) = self.phones.get(key) else { return };
        let window = milliseconds(self.settings.window);
        self.notes.phones.push(match *end {
            End::Ended => claimed.ended(now_ms),
            End::Sent => claimed.sent(now_ms, if window == 0 { 0 } else { now_ms + window }),
            End::PutBack(until) => claimed.put_back(until),
            End::Again(until) => claimed.tries_again(until),
            End::Rests(until) => claimed.rests(until),
        });
    }

    fn notes_down(&mut self) {
        if self.noting || self.rests {
            return;
        }
        let notes = std::mem::take(&mut self.notes);
        if notes.is_empty() {
            self.unnoted -= notes.answered;
            notes.free.into_iter().for_each(|free| self.frees(free));
            return;
        }
        self.noting = true;
        let (ledger, name) = (self.ledger.clone(), self.name.clone());
        let noting = async move {
            let outcome = ledger.note(&name, &notes.deliveries, &notes.phones).await;
            Event::Noted(notes, outcome)
        };
        self.asks(noting);
    }

    fn has_noted(&mut self, notes: Notes, outcome: Result<(), LedgerError>) {
        self.noting = false;
        if let Err(fault) = outcome {
            tracing::warn!(
                error = error_chain(&fault),
                "what became of pushes was not noted, tries again in {LOOK:?}"
            );
            self.rests = true;
            let later = std::mem::replace(&mut self.notes, notes);
            self.notes.add(later);
            return;
        }
        self.unnoted -= notes.answered;
        for ended in notes.deliveries.iter().filter(|noted| noted.state != DeliveryState::Pending) {
            self.ports.observer.ended(ended.state.as_str());
        }
        for next in &notes.phones {
            self.phones.remove(next.key());
        }
        notes.free.into_iter().for_each(|free| self.frees(free));
        // Some may be due again.
        self.may_be_due = true;
    }

    fn puts_back_all(&mut self) {
        let now_ms = self.now();
        let mut queues = Vec::new();
        for line in self.lines.values_mut() {
            if line.queue.iter().any(|job| job.is_probe) {
                line.way.was_not_probed();
            }
            queues.extend(std::mem::take(&mut line.queue));
        }
        self.queued = 0;
        self.all_end(queues, End::PutBack(now_ms));
    }
}

fn name_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted { .. } => "accepted",
        Outcome::TokenDead { .. } => "token_dead",
        Outcome::Retry { .. } => "retry",
        Outcome::Misconfigured { .. } => "misconfigured",
        Outcome::Refused { .. } => "refused",
    }
}

/// When a phone is looked at again whose credential is parked. They are made due when the credential is free; what is missed there is found
/// soon.
fn waits_until(probe_at_ms: i64, now_ms: i64) -> i64 {
    probe_at_ms.clamp(now_ms + 1000, now_ms + milliseconds(PROBE / 5)) + spread(PROBE / 30)
}

/// A random part of a duration in milliseconds, so that what was put back together does not come together.
fn spread(over: Duration) -> i64 {
    #[expect(clippy::disallowed_methods, reason = "decides nothing but when something is tried again")]
    rand::random_range(0..milliseconds(over).max(1))
}

/// One at the most, so that several processes do not rest equally long, and none for longer than is said.
fn shorter() -> f64 {
    #[expect(clippy::disallowed_methods, reason = "decides nothing but when something is tried again")]
    rand::random_range(0.8..1.0)
}

/// Around one, so that phones that failed together are not tried together.
fn stretch() -> f64 {
    #[expect(clippy::disallowed_methods, reason = "decides nothing but when something is tried again")]
    rand::random_range(0.8..1.2)
}
