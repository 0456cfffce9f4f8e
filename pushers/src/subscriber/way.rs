//! The way to APNs with one credential: how much may be on it at once, and when it rests.
//!
//! What is not known to work is tried with little, and what works may carry more: a request at once for every twelve that succeeded. So an outage
//! costs no more than about a tenth of what was sent, whenever it begins. Failures without a success in between open a breaker: one request is
//! tried after a rest, each rest twice as long as the one before, and the first success closes it.

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

/// After so long without a success nothing is known any more.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// A rest that nobody has ended so long after its time belongs to a credential that is gone.
const ABANDONED: Duration = Duration::from_hours(1);

const SHORTEST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(20);

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
    probing: bool,
}

/// Whether a push may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// When it is its turn.
    Granted,
    /// It alone: it finds out whether the way is open again.
    Probe,
    /// Not before this, Unix milliseconds.
    NotBefore(i64),
}

impl Way {
    /// Whether a push to a topic may be sent. Who is told [`Leave::Probe`] must send it.
    pub(super) fn ask(&mut self, topic: &PassTypeIdentifier, now_ms: i64) -> Leave {
        let Some(rest) = &mut self.rest else { return Leave::Granted };
        if rest.probing {
            self.waiting.insert(topic.clone());
            return Leave::NotBefore(now_ms + milliseconds(length(rest.number + 1)));
        }
        if now_ms < rest.until_ms {
            self.waiting.insert(topic.clone());
            return Leave::NotBefore(rest.until_ms);
        }
        rest.probing = true;
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

    /// APNs has failed, or could not be reached. `after` is what it asked for, and `stretch` what makes the rests of several
    /// processes differ. Gives until when the way rests now, if this made it rest.
    pub(super) fn failed(
        &mut self,
        is_probe: bool,
        after: Option<Duration>,
        stretch: f64,
        now_ms: i64,
    ) -> Option<i64> {
        self.failures += 1;
        let number = match &self.rest {
            Some(rest) if is_probe => rest.number + 1,
            None if after.is_some() || self.failures >= FAILURES || !self.is_known(now_ms) => 0,
            // One among others that succeeded, or sent before the rest began.
            Some(_) | None => return None,
        };
        let length = length(number).mul_f64(stretch).max(after.unwrap_or_default());
        let until_ms = now_ms + milliseconds(length);
        self.rest = Some(Rest { until_ms, number, probing: false });
        self.successes = 0;
        Some(until_ms)
    }

    /// A topic has phones that were put back because it rests.
    pub(super) fn waits(&mut self, topic: &PassTypeIdentifier) {
        if self.rest.is_some() && !self.waiting.contains(topic) {
            self.waiting.insert(topic.clone());
        }
    }

    /// Whether it rests, and until when, Unix milliseconds.
    pub(super) fn rests_until(&self) -> Option<i64> {
        self.rest.as_ref().map(|rest| rest.until_ms)
    }

    /// The push that was to find out was not sent.
    pub(super) fn was_not_probed(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.probing = false;
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(way.failed(false, None, 1.0, 0), Some(1000));
        assert_eq!(way.ask(&topic(), 999), Leave::NotBefore(1000));
        assert_eq!(way.ask(&topic(), 1000), Leave::Probe);
        assert_eq!(way.ask(&topic(), 1000), Leave::NotBefore(3000), "one at a time");
        assert_eq!(way.failed(true, None, 1.0, 1000), Some(3000));
        assert_eq!(way.ask(&topic(), 3000), Leave::Probe);
        assert_eq!(way.succeeded(3001), BTreeSet::from([topic()]), "who waited need not");
        assert_eq!(way.ask(&topic(), 3001), Leave::Granted);
        assert_eq!(way.allowed(200, 3001), 2, "it begins again with little");
    }

    #[test]
    fn rests_double_up_to_twenty_seconds_and_are_as_long_as_is_asked_for() {
        let mut way = Way::default();
        let mut now = 0;
        let mut rests = Vec::new();
        for number in 0..8 {
            let until = way.failed(number > 0, None, 1.0, now).unwrap();
            rests.push((until - now) / 1000);
            now = until;
            assert_eq!(way.ask(&topic(), now), Leave::Probe);
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 20, 20, 20]);
        assert_eq!(way.failed(true, Some(Duration::from_mins(10)), 1.0, now), Some(now + 600_000));
    }

    #[test]
    fn failures_of_what_was_sent_before_the_rest_do_not_prolong_it() {
        let mut way = Way::default();
        assert_eq!(way.failed(false, None, 1.0, 0), Some(1000), "nothing has worked yet");
        assert_eq!(way.failed(false, None, 1.0, 10), None);
        assert_eq!(way.rests_until(), Some(1000));
    }
}
