//! The circuit breaker of one credential, and how many pushes may be in flight with it.
//!
//! Closed, pushes are sent. A credential that is not known to work starts with few of them, and one that works may have more: one push more in flight
//! for every twelve that succeeded. So an outage costs no more than about a tenth of the pushes before it, whenever it begins. Failures without a
//! success in between open the breaker: nothing is sent for a while. Then it is half-open: one push probes whether APNs is available again. Its failure
//! opens the breaker for twice as long as before, and the first success closes it.
//!
//! All times here are those of the [steady clock](crate::ports::Clock::steady_ms): a breaker is open for as long as it should be, whatever the
//! clock is set to.

use std::collections::BTreeSet;
use std::time::Duration;

use honoken_domain::ids::PassTypeIdentifier;

use crate::subscriber::milliseconds;

/// Failures in a row that open a breaker after something has worked. One is enough where nothing has worked yet.
const FAILURES: u32 = 3;

/// Pushes in flight when nothing is known.
const CAUTIOUS: u64 = 2;

/// How many successes allow one more push in flight.
const SUCCESSES: u64 = 12;

/// Topics whose phones are made due at once for a probe: one push is enough.
const TOPICS_AT_ONCE: usize = 4;

/// After so long without a success nothing is known any longer.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// A breaker that no push has closed so long after its time belongs to a credential that is gone.
const ABANDONED: Duration = Duration::from_hours(1);

const SHORTEST: Duration = Duration::from_secs(1);

/// The documents say twenty seconds. The rest is left for the next refresh, and for claiming the phone for the probe.
const LONGEST: Duration = Duration::from_secs(18);

#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    /// Pushes that wait for their answers.
    in_flight: usize,
    /// In a row, but for single failures.
    successes: u64,
    failures: u32,
    last_success_ms: i64,
    state: State,
    /// Topics with phones that were put back because the breaker was open.
    waiting: BTreeSet<PassTypeIdentifier>,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Closed,
    /// Open, or ready for a probe when its time is over.
    Open(Opening),
    /// A push probes.
    HalfOpen { opening: Opening, probe_began_ms: i64 },
}

/// Of several without a success in between.
#[derive(Debug, Clone, Copy)]
struct Opening {
    number: u32,
    until_ms: i64,
}

/// Whether a push may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    /// When it is its turn.
    Granted,
    /// It alone, as the probe.
    Probe,
    /// Not for so long.
    Denied(Duration),
}

impl CircuitBreaker {
    /// Whether a push to a topic may be sent. A push with [`Permit::Probe`] must be sent.
    pub(super) fn permit(&mut self, topic: &PassTypeIdentifier, now_ms: i64) -> Permit {
        let open_for = match self.state {
            State::Closed => return Permit::Granted,
            State::HalfOpen { opening, .. } => length(opening.number + 1),
            State::Open(opening) if now_ms < opening.until_ms => between(now_ms, opening.until_ms),
            State::Open(opening) => {
                self.state = State::HalfOpen { opening, probe_began_ms: now_ms };
                return Permit::Probe;
            }
        };
        self.waiting.insert(topic.clone());
        Permit::Denied(open_for)
    }

    /// How many pushes may be in flight.
    pub(super) fn max_in_flight(&self, at_most: usize, now_ms: i64) -> usize {
        if !matches!(self.state, State::Closed) {
            return 0;
        }
        let successes = if self.is_known_to_work(now_ms) || self.in_flight > 0 { self.successes } else { 0 };
        usize::try_from(CAUTIOUS + successes / SUCCESSES).unwrap_or(usize::MAX).min(at_most)
    }

    /// Whether one more push may be sent, `at_most` in flight with this credential.
    pub(super) fn has_room(&self, at_most: usize, now_ms: i64) -> bool {
        self.in_flight < self.max_in_flight(at_most, now_ms)
    }

    /// Whether something has succeeded lately.
    fn is_known_to_work(&self, now_ms: i64) -> bool {
        self.successes > 0 && now_ms - self.last_success_ms <= milliseconds(FORGOTTEN)
    }

    /// A push was sent.
    pub(super) fn sent(&mut self) {
        self.in_flight += 1;
    }

    /// A push has been answered; [`succeeded`](Self::succeeded) or [`failed`](Self::failed) follows.
    pub(super) fn answered(&mut self) {
        self.in_flight -= 1;
    }

    /// APNs has answered as it should. Gives the topics that need not wait any longer.
    pub(super) fn succeeded(&mut self, now_ms: i64) -> BTreeSet<PassTypeIdentifier> {
        let was_closed = matches!(std::mem::take(&mut self.state), State::Closed);
        if !was_closed || !self.is_known_to_work(now_ms) {
            self.successes = 0;
        }
        self.failures = 0;
        self.successes += 1;
        self.last_success_ms = now_ms;
        std::mem::take(&mut self.waiting)
    }

    /// APNs has failed, or could not be reached. `after` is what it asked for, and `factor`, one at most, makes the breakers of several
    /// processes differ. Gives how long the breaker is open from now on, if this opened it.
    pub(super) fn failed(
        &mut self,
        is_probe: bool,
        after: Option<Duration>,
        factor: f64,
        now_ms: i64,
    ) -> Option<Duration> {
        self.failures += 1;
        let (number, waited) = match self.state {
            // While the probe waited for an answer that never came, nothing else was sent either.
            State::HalfOpen { opening, probe_began_ms } if is_probe => {
                (opening.number + 1, between(probe_began_ms, now_ms))
            }
            State::Open(opening) if is_probe => (opening.number + 1, Duration::ZERO),
            State::Closed
                if after.is_some() || self.failures >= FAILURES || !self.is_known_to_work(now_ms) =>
            {
                (0, Duration::ZERO)
            }
            // One among others that succeeded, or sent before the breaker opened.
            State::Closed | State::Open(_) | State::HalfOpen { .. } => return None,
        };
        let length = length(number).mul_f64(factor).saturating_sub(waited);
        let length = length.max(SHORTEST.mul_f64(factor)).max(after.unwrap_or_default());
        self.state = State::Open(Opening { number, until_ms: now_ms + milliseconds(length) });
        self.successes = 0;
        Some(length)
    }

    /// A topic has phones that were put back, if the breaker is not closed.
    pub(super) fn note_waiting(&mut self, topic: &PassTypeIdentifier) {
        if !matches!(self.state, State::Closed) && !self.waiting.contains(topic) {
            self.waiting.insert(topic.clone());
        }
    }

    /// How long it is open yet; `None` when it is closed.
    pub(super) fn open_for(&self, now_ms: i64) -> Option<Duration> {
        match self.state {
            State::Closed => None,
            State::Open(opening) | State::HalfOpen { opening, .. } => Some(between(now_ms, opening.until_ms)),
        }
    }

    /// Topics with phones of which one can be the probe: the time is over, and no push probes yet. Not all of them when there are many, and other
    /// ones every `turn`.
    pub(super) fn topics_to_probe(&self, now_ms: i64, turn: usize) -> Vec<PassTypeIdentifier> {
        let is_ready = matches!(self.state, State::Open(opening) if opening.until_ms <= now_ms);
        if !is_ready || self.waiting.is_empty() {
            return Vec::new();
        }
        let all = self.waiting.iter().cycle().skip(turn % self.waiting.len());
        all.take(TOPICS_AT_ONCE.min(self.waiting.len())).cloned().collect()
    }

    /// The push that was to be the probe was not sent.
    pub(super) fn probe_was_not_sent(&mut self) {
        if let State::HalfOpen { opening, .. } = self.state {
            self.state = State::Open(opening);
        }
    }

    /// Whether nothing would be lost with it.
    pub(super) fn is_idle(&self, now_ms: i64) -> bool {
        let since_ms = match self.state {
            State::Closed => self.last_success_ms,
            State::Open(opening) | State::HalfOpen { opening, .. } => {
                opening.until_ms + milliseconds(ABANDONED)
            }
        };
        self.in_flight == 0 && now_ms - since_ms > milliseconds(FORGOTTEN)
    }
}

/// How long a breaker is open the first time, the second time in a row, and so on.
pub(super) fn length(number: u32) -> Duration {
    (SHORTEST * 2_u32.saturating_pow(number.min(10))).min(LONGEST)
}

fn between(from_ms: i64, until_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(until_ms - from_ms).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn topic() -> PassTypeIdentifier {
        PassTypeIdentifier::parse("pass.com.example.ticket").unwrap()
    }

    #[test]
    fn more_pushes_are_in_flight_the_more_succeed() {
        let mut breaker = CircuitBreaker::default();
        assert_eq!(breaker.max_in_flight(200, 0), 2);
        for _ in 0..120 {
            breaker.succeeded(0);
        }
        assert_eq!(breaker.max_in_flight(200, 0), 12);
        assert_eq!(breaker.max_in_flight(5, 0), 5);
        assert_eq!(breaker.max_in_flight(200, 10_001), 2, "what worked long ago proves nothing");
    }

    #[test]
    fn three_failures_in_a_row_open_it_and_the_first_success_closes_it() {
        let mut breaker = CircuitBreaker::default();
        breaker.succeeded(0);
        assert_eq!(breaker.failed(false, None, 1.0, 0), None);
        breaker.succeeded(0);
        assert_eq!((breaker.failed(false, None, 1.0, 0), breaker.failed(false, None, 1.0, 0)), (None, None));
        assert_eq!(breaker.failed(false, None, 1.0, 0), Some(seconds(1)));
        assert_eq!(breaker.permit(&topic(), 999), Permit::Denied(Duration::from_millis(1)));
        assert_eq!(breaker.permit(&topic(), 1000), Permit::Probe);
        assert_eq!(breaker.permit(&topic(), 1000), Permit::Denied(seconds(2)), "one at a time");
        assert_eq!(breaker.failed(true, None, 1.0, 1000), Some(seconds(2)));
        assert_eq!(breaker.permit(&topic(), 3000), Permit::Probe);
        assert_eq!(breaker.succeeded(3001), BTreeSet::from([topic()]), "the topic need not wait");
        assert_eq!(breaker.permit(&topic(), 3001), Permit::Granted);
        assert_eq!(breaker.max_in_flight(200, 3001), 2, "it begins again with little");
    }

    #[test]
    fn it_is_open_for_up_to_twenty_seconds_and_for_as_long_as_is_asked_for() {
        let mut breaker = CircuitBreaker::default();
        let mut now = 0;
        let mut lengths = Vec::new();
        for number in 0..8 {
            let length = breaker.failed(number > 0, None, 1.0, now).unwrap();
            lengths.push(length.as_secs());
            now += milliseconds(length);
            assert_eq!(breaker.permit(&topic(), now), Permit::Probe);
        }
        assert_eq!(lengths, [1, 2, 4, 8, 16, 18, 18, 18]);
        assert_eq!(breaker.failed(true, Some(Duration::from_mins(10)), 1.0, now), Some(seconds(600)));
    }

    #[test]
    fn a_probe_that_waited_long_for_its_answer_shortens_the_next_opening() {
        let mut breaker = CircuitBreaker::default();
        let mut now = 0;
        for number in 0..8 {
            now += milliseconds(breaker.failed(number > 0, None, 1.0, now).unwrap());
            assert_eq!(breaker.permit(&topic(), now), Permit::Probe);
        }
        assert_eq!(breaker.failed(true, None, 1.0, now + 5_000), Some(seconds(13)));
        assert_eq!(breaker.permit(&topic(), now + 18_000), Permit::Probe);
        assert_eq!(
            breaker.failed(true, None, 1.0, now + 38_000),
            Some(seconds(1)),
            "it is tried once a second at most"
        );
    }

    #[test]
    fn a_probe_is_asked_for_when_the_time_is_over_and_no_push_probes() {
        let mut breaker = CircuitBreaker::default();
        breaker.failed(false, None, 1.0, 0);
        assert_eq!(breaker.topics_to_probe(1000, 0), [], "no phone waits");
        breaker.permit(&topic(), 0);
        assert_eq!(breaker.topics_to_probe(999, 0), []);
        assert_eq!(breaker.topics_to_probe(1000, 7), [topic()]);
        assert_eq!(breaker.permit(&topic(), 1000), Permit::Probe);
        assert_eq!(breaker.topics_to_probe(60_000, 0), [], "a push probes");
        breaker.probe_was_not_sent();
        assert_eq!(breaker.topics_to_probe(60_000, 0), [topic()]);
        breaker.succeeded(60_000);
        assert_eq!(breaker.topics_to_probe(120_000, 0), []);
    }

    #[test]
    fn failures_of_what_was_sent_before_it_opened_do_not_prolong_it() {
        let mut breaker = CircuitBreaker::default();
        assert_eq!(breaker.failed(false, None, 1.0, 0), Some(seconds(1)), "nothing has worked yet");
        assert_eq!(breaker.failed(false, None, 1.0, 10), None);
        assert_eq!(breaker.open_for(10), Some(Duration::from_millis(990)));
    }
}
