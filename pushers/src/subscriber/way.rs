//! The way to APNs with one credential: how much may be on it at once, and when it rests.
//!
//! What is not known to work is tried with little, and what works may carry more: a request at once for every twelve that succeeded. So an outage
//! costs no more than about a tenth of what was sent, whenever it begins. Failures without a success in between open a breaker: one request is
//! tried after a rest, each rest twice as long as the one before, and the first success closes it.
//!
//! All times here are those of the [steady clock](crate::ports::Time::steady_ms): a rest is as long as it is, whatever the clock is set to.

use std::collections::BTreeSet;
use std::time::Duration;

use honoken_domain::ids::PassTypeIdentifier;

use super::milliseconds;

/// Failures in a row that open the breaker of a way that worked. One is enough where nothing has worked yet.
const FAILURES: u32 = 3;

/// Requests at once when nothing is known.
const CAUTIOUS: u64 = 2;

/// How many successes allow one more request at once.
const SUCCESSES: u64 = 12;

/// Topics whose phones are made due at once to find out whether a way is open again: one push is enough.
const TOPICS_AT_ONCE: usize = 4;

/// After so long without a success nothing is known any more.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// A rest that nobody has ended so long after its time belongs to a credential that is gone.
const ABANDONED: Duration = Duration::from_hours(1);

const SHORTEST_REST: Duration = Duration::from_secs(1);

/// The documents say twenty seconds. What is left is for what comes to it: the next look, and taking the phone to try it with.
const LONGEST_REST: Duration = Duration::from_secs(18);

/// What is known of a way.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// Requests that wait for their answers.
    pub(super) in_flight: usize,
    /// In a row, but for single failures.
    successes: u64,
    failures: u32,
    last_success_ms: i64,
    rest: Option<Rest>,
    /// Topics with phones that were put back because of a rest.
    waiting: BTreeSet<PassTypeIdentifier>,
}

#[derive(Debug)]
struct Rest {
    until_ms: i64,
    number: u32,
    /// When the request was let through that finds out, while there is one.
    probe_began_ms: Option<i64>,
}

/// Whether a push may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// When it is its turn.
    Granted,
    /// It alone: it finds out whether the way is open again.
    Probe,
    /// Not for so long.
    After(Duration),
}

impl Way {
    /// Whether a push to a topic may be sent. Who is told [`Leave::Probe`] must send it.
    pub(super) fn ask(&mut self, topic: &PassTypeIdentifier, now_ms: i64) -> Leave {
        let Some(rest) = &mut self.rest else { return Leave::Granted };
        if rest.probe_began_ms.is_some() {
            self.waiting.insert(topic.clone());
            return Leave::After(length(rest.number + 1));
        }
        if now_ms < rest.until_ms {
            self.waiting.insert(topic.clone());
            return Leave::After(between(now_ms, rest.until_ms));
        }
        rest.probe_began_ms = Some(now_ms);
        Leave::Probe
    }

    /// How many requests may wait for their answers.
    pub(super) fn allowed(&self, at_most: usize, now_ms: i64) -> usize {
        if self.rest.is_some() {
            return 0;
        }
        let successes = if self.is_known(now_ms) || self.in_flight > 0 { self.successes } else { 0 };
        usize::try_from(CAUTIOUS + successes / SUCCESSES).unwrap_or(usize::MAX).min(at_most)
    }

    /// Whether something has succeeded lately.
    fn is_known(&self, now_ms: i64) -> bool {
        self.successes > 0 && now_ms - self.last_success_ms <= milliseconds(FORGOTTEN)
    }

    /// APNs has answered as it should. Gives the topics that need not wait any more.
    pub(super) fn succeeded(&mut self, now_ms: i64) -> BTreeSet<PassTypeIdentifier> {
        if self.rest.take().is_some() || !self.is_known(now_ms) {
            self.successes = 0;
        }
        self.failures = 0;
        self.successes += 1;
        self.last_success_ms = now_ms;
        std::mem::take(&mut self.waiting)
    }

    /// APNs has failed, or could not be reached. `after` is what it asked for, and `shorter`, one at most, is what makes the rests of
    /// several processes differ. Gives how long the way rests from now on, if this made it rest.
    pub(super) fn failed(
        &mut self,
        is_probe: bool,
        after: Option<Duration>,
        shorter: f64,
        now_ms: i64,
    ) -> Option<Duration> {
        self.failures += 1;
        let (number, rested) = match &self.rest {
            // While it waited for an answer that never came, nothing else was sent either.
            Some(rest) if is_probe => {
                let began_ms = rest.probe_began_ms.unwrap_or(now_ms);
                (rest.number + 1, between(began_ms, now_ms))
            }
            None if after.is_some() || self.failures >= FAILURES || !self.is_known(now_ms) => {
                (0, Duration::ZERO)
            }
            // One among others that succeeded, or sent before the rest began.
            Some(_) | None => return None,
        };
        let length = length(number).mul_f64(shorter).saturating_sub(rested);
        let length = length.max(SHORTEST_REST.mul_f64(shorter)).max(after.unwrap_or_default());
        self.rest = Some(Rest { until_ms: now_ms + milliseconds(length), number, probe_began_ms: None });
        self.successes = 0;
        Some(length)
    }

    /// A topic has phones that were put back because it rests.
    pub(super) fn waits(&mut self, topic: &PassTypeIdentifier) {
        if self.rest.is_some() && !self.waiting.contains(topic) {
            self.waiting.insert(topic.clone());
        }
    }

    /// Whether it rests, and for how long yet.
    pub(super) fn rests_for(&self, now_ms: i64) -> Option<Duration> {
        self.rest.as_ref().map(|rest| between(now_ms, rest.until_ms))
    }

    /// Topics with phones of which one can find out whether the way is open again: its rest is over, and nothing was sent since. Not all of them
    /// when there are many, and other ones every time.
    pub(super) fn to_be_tried(&self, now_ms: i64, turn: usize) -> Vec<PassTypeIdentifier> {
        let is_over = |rest: &Rest| rest.probe_began_ms.is_none() && rest.until_ms <= now_ms;
        if !self.rest.as_ref().is_some_and(is_over) || self.waiting.is_empty() {
            return Vec::new();
        }
        let all = self.waiting.iter().cycle().skip(turn % self.waiting.len());
        all.take(TOPICS_AT_ONCE.min(self.waiting.len())).cloned().collect()
    }

    /// The push that was to find out was not sent.
    pub(super) fn was_not_probed(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.probe_began_ms = None;
        }
    }

    /// Whether nothing would be lost with it.
    pub(super) fn is_idle(&self, now_ms: i64) -> bool {
        let since_ms =
            self.rest.as_ref().map_or(self.last_success_ms, |rest| rest.until_ms + milliseconds(ABANDONED));
        self.in_flight == 0 && now_ms - since_ms > milliseconds(FORGOTTEN)
    }
}

/// How long the first rest is, the second one after it, and so on.
pub(super) fn length(number: u32) -> Duration {
    (SHORTEST_REST * 2_u32.saturating_pow(number.min(10))).min(LONGEST_REST)
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
    fn it_carries_more_the_more_succeeds() {
        let mut way = Way::default();
        assert_eq!(way.allowed(200, 0), 2);
        for _ in 0..120 {
            way.succeeded(0);
        }
        assert_eq!(way.allowed(200, 0), 12);
        assert_eq!(way.allowed(5, 0), 5);
        assert_eq!(way.allowed(200, 10_001), 2, "what worked long ago proves nothing");
    }

    #[test]
    fn three_failures_in_a_row_make_it_rest_and_the_first_success_ends_the_rest() {
        let mut way = Way::default();
        way.succeeded(0);
        assert_eq!(way.failed(false, None, 1.0, 0), None);
        way.succeeded(0);
        assert_eq!((way.failed(false, None, 1.0, 0), way.failed(false, None, 1.0, 0)), (None, None));
        assert_eq!(way.failed(false, None, 1.0, 0), Some(seconds(1)));
        assert_eq!(way.ask(&topic(), 999), Leave::After(Duration::from_millis(1)));
        assert_eq!(way.ask(&topic(), 1000), Leave::Probe);
        assert_eq!(way.ask(&topic(), 1000), Leave::After(seconds(2)), "one at a time");
        assert_eq!(way.failed(true, None, 1.0, 1000), Some(seconds(2)));
        assert_eq!(way.ask(&topic(), 3000), Leave::Probe);
        assert_eq!(way.succeeded(3001), BTreeSet::from([topic()]), "who waited need not");
        assert_eq!(way.ask(&topic(), 3001), Leave::Granted);
        assert_eq!(way.allowed(200, 3001), 2, "it begins again with little");
    }

    #[test]
    fn rests_double_up_to_less_than_twenty_seconds_and_are_as_long_as_is_asked_for() {
        let mut way = Way::default();
        let mut now = 0;
        let mut rests = Vec::new();
        for number in 0..8 {
            let rest = way.failed(number > 0, None, 1.0, now).unwrap();
            rests.push(rest.as_secs());
            now += milliseconds(rest);
            assert_eq!(way.ask(&topic(), now), Leave::Probe);
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 18, 18, 18]);
        assert_eq!(way.failed(true, Some(Duration::from_mins(10)), 1.0, now), Some(seconds(600)));
    }

    #[test]
    fn a_request_that_waited_long_for_its_answer_has_rested_meanwhile() {
        let mut way = Way::default();
        let mut now = 0;
        for number in 0..8 {
            now += milliseconds(way.failed(number > 0, None, 1.0, now).unwrap());
            assert_eq!(way.ask(&topic(), now), Leave::Probe);
        }
        assert_eq!(way.failed(true, None, 1.0, now + 5_000), Some(seconds(13)));
        assert_eq!(way.ask(&topic(), now + 18_000), Leave::Probe);
        assert_eq!(
            way.failed(true, None, 1.0, now + 38_000),
            Some(seconds(1)),
            "it is tried once a second at most"
        );
    }

    #[test]
    fn a_way_is_tried_when_its_rest_is_over_and_nobody_tries_it() {
        let mut way = Way::default();
        way.failed(false, None, 1.0, 0);
        assert_eq!(way.to_be_tried(1000, 0), [], "nobody waits");
        way.ask(&topic(), 0);
        assert_eq!(way.to_be_tried(999, 0), []);
        assert_eq!(way.to_be_tried(1000, 7), [topic()]);
        assert_eq!(way.ask(&topic(), 1000), Leave::Probe);
        assert_eq!(way.to_be_tried(60_000, 0), [], "it is being found out");
        way.was_not_probed();
        assert_eq!(way.to_be_tried(60_000, 0), [topic()]);
        way.succeeded(60_000);
        assert_eq!(way.to_be_tried(120_000, 0), []);
    }

    #[test]
    fn failures_of_what_was_sent_before_the_rest_do_not_prolong_it() {
        let mut way = Way::default();
        assert_eq!(way.failed(false, None, 1.0, 0), Some(seconds(1)), "nothing has worked yet");
        assert_eq!(way.failed(false, None, 1.0, 10), None);
        assert_eq!(way.rests_for(10), Some(Duration::from_millis(990)));
    }
}
