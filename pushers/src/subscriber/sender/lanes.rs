//! The lanes to APNs, one for each credential: the pushes that are queued there, and the circuit breaker that decides when they are sent.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use honoken_domain::ids::PassTypeIdentifier;
use tokio::time::Instant;

use super::back_off;
use super::circuit_breaker::{CircuitBreaker, Permit};
use super::coalesce::Job;
use super::permits::Permits;
use crate::ports::Credential;

#[derive(Default)]
pub(super) struct Lanes {
    /// By the [id](Credential::id) of the credential.
    lanes: HashMap<Arc<str>, Lane>,
    /// Pushes in all queues together.
    queued: usize,
}

struct Lane {
    breaker: CircuitBreaker,
    credential: Credential,
    queue: VecDeque<Job>,
}

/// A push that is to be sent now.
pub(super) struct Departure {
    pub(super) lane: Arc<str>,
    pub(super) credential: Credential,
    pub(super) job: Job,
}

/// The circuit breaker is open: the pushes are given back.
pub(super) struct BreakerOpen {
    pub(super) jobs: Vec<Job>,
    pub(super) open_for: Duration,
}

/// A circuit breaker that a failure has opened.
pub(super) struct BreakerOpened {
    pub(super) open_for: Duration,
    /// The pushes that were queued.
    pub(super) jobs: VecDeque<Job>,
}

impl Lanes {
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Queues the pushes to one phone, unless the circuit breaker is open. A probe is sent first.
    pub(super) fn enqueue(
        &mut self,
        id: &Arc<str>,
        credential: &Credential,
        mut jobs: Vec<Job>,
        steady_ms: i64,
    ) -> Result<(), BreakerOpen> {
        let Some(first) = jobs.first_mut() else { return Ok(()) };
        let lane = self.lanes.entry(id.clone()).or_insert_with(|| Lane {
            breaker: CircuitBreaker::default(),
            credential: credential.clone(),
            queue: VecDeque::new(),
        });
        match lane.breaker.permit(&first.push.topic, steady_ms) {
            Permit::Granted => {}
            Permit::Probe => first.is_probe = true,
            Permit::Denied(open_for) => return Err(BreakerOpen { jobs, open_for }),
        }
        let is_probe = first.is_probe;
        self.queued += jobs.len();
        if is_probe {
            jobs.into_iter().rev().for_each(|job| lane.queue.push_front(job));
        } else {
            lane.queue.extend(jobs);
        }
        Ok(())
    }

    /// One push of each lane that may send, as long as there are permits.
    pub(super) fn next_round(&mut self, permits: &mut Permits, steady_ms: i64) -> Vec<Departure> {
        let mut round = Vec::new();
        if self.queued == 0 {
            return round;
        }
        let now = Instant::now();
        for (id, lane) in &mut self.lanes {
            if !permits.are_available(now) {
                break;
            }
            let is_probe = lane.queue.front().is_some_and(|job| job.is_probe);
            if !is_probe && !lane.breaker.has_room(permits.cap(), steady_ms) {
                continue;
            }
            let Some(job) = lane.queue.pop_front() else { continue };
            self.queued -= 1;
            permits.acquire();
            lane.breaker.sent();
            round.push(Departure { lane: id.clone(), credential: lane.credential.clone(), job });
        }
        round
    }

    /// A push has been answered.
    pub(super) fn answered(&mut self, id: &str) {
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.breaker.answered();
        }
    }

    /// APNs is available. Gives the topics whose phones need not wait any longer.
    pub(super) fn succeeded(&mut self, id: &str, steady_ms: i64) -> BTreeSet<PassTypeIdentifier> {
        self.lanes.get_mut(id).map(|lane| lane.breaker.succeeded(steady_ms)).unwrap_or_default()
    }

    /// APNs has failed, or could not be reached, when it was sent a push. `after` is the pause that it asked for.
    pub(super) fn failed(
        &mut self,
        id: &str,
        job: &Job,
        after: Option<Duration>,
        steady_ms: i64,
    ) -> Option<BreakerOpened> {
        let lane = self.lanes.get_mut(id)?;
        let open_for = lane.breaker.failed(job.is_probe, after, back_off::at_most_one(), steady_ms);
        lane.breaker.note_waiting(&job.push.topic);
        let open_for = open_for?;
        let jobs = std::mem::take(&mut lane.queue);
        for job in &jobs {
            lane.breaker.note_waiting(&job.push.topic);
        }
        self.queued -= jobs.len();
        Some(BreakerOpened { open_for, jobs })
    }

    /// How long the circuit breaker of a lane is open yet; `None` when it is closed.
    pub(super) fn open_for(&self, id: &str, steady_ms: i64) -> Option<Duration> {
        self.lanes.get(id).and_then(|lane| lane.breaker.open_for(steady_ms))
    }

    /// Takes the pushes of a topic out of a lane.
    pub(super) fn take_topic(&mut self, id: &str, topic: &PassTypeIdentifier) -> Vec<Job> {
        let Some(lane) = self.lanes.get_mut(id) else { return Vec::new() };
        let queue = std::mem::take(&mut lane.queue).into_iter();
        let (taken, others): (Vec<_>, Vec<_>) = queue.partition(|job| job.push.topic == *topic);
        lane.queue = others.into();
        self.queued -= taken.len();
        taken
    }

    /// Takes all pushes out of all lanes.
    pub(super) fn take_all(&mut self) -> Vec<Job> {
        let mut taken = Vec::new();
        for lane in self.lanes.values_mut() {
            if lane.queue.iter().any(|job| job.is_probe) {
                lane.breaker.probe_was_not_sent();
            }
            taken.extend(std::mem::take(&mut lane.queue));
        }
        self.queued = 0;
        taken
    }

    /// Forgets the lanes that nothing would be lost with.
    pub(super) fn forget_idle(&mut self, steady_ms: i64) {
        self.lanes.retain(|_, lane| !lane.queue.is_empty() || !lane.breaker.is_idle(steady_ms));
    }

    /// Topics with phones that can probe a lane: see [`CircuitBreaker::topics_to_probe`].
    pub(super) fn topics_to_probe(&self, steady_ms: i64) -> impl Iterator<Item = PassTypeIdentifier> {
        let turn = any_turn();
        self.lanes.values().flat_map(move |lane| lane.breaker.topics_to_probe(steady_ms, turn))
    }
}

/// Where to begin among many.
fn any_turn() -> usize {
    #[expect(clippy::disallowed_methods, reason = "decides nothing but which phone is tried first")]
    rand::random_range(0..10_000)
}
