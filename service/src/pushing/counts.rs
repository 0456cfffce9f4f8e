//! Counts the results of pushes and deliveries.

use std::time::Duration;

use honoken_pushers::ports::Observer;
use honoken_telemetry::metrics::{DeliveryState, Metric, Metrics, PushOutcome};
use prometheus::{Histogram, IntCounter};

/// The series, looked up once, since there are tens of thousands of pushes.
pub struct Counts {
    /// In the order of [`PushOutcome::ALL`].
    pushes: Vec<IntCounter>,
    /// In the order of [`DeliveryState::ALL`].
    ended: Vec<IntCounter>,
    took: Histogram,
}

impl std::fmt::Debug for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counts").finish_non_exhaustive()
    }
}

impl Counts {
    /// Counts in these metrics.
    pub fn new(metrics: &Metrics) -> Self {
        let pushes =
            PushOutcome::ALL.iter().map(|outcome| metrics.counter(Metric::Pushes, &[(*outcome).into()]));
        let ended = DeliveryState::ALL
            .iter()
            .map(|state| metrics.counter(Metric::DeliveriesEnded, &[(*state).into()]));
        Self {
            pushes: pushes.collect(),
            ended: ended.collect(),
            took: metrics.histogram(Metric::PushDuration, &[]),
        }
    }
}

impl Observer for Counts {
    fn pushed(&self, outcome: &'static str, took: Duration) {
        count(&self.pushes, PushOutcome::NAMES, outcome);
        self.took.observe(took.as_secs_f64());
    }

    fn ended(&self, state: &'static str) {
        count(&self.ended, DeliveryState::NAMES, state);
    }
}

/// A word without a series would be a new one of the port, which the test below finds; it is not worth a panic.
fn count(counters: &[IntCounter], names: &[&str], word: &str) {
    let known = names.iter().position(|name| *name == word);
    debug_assert!(known.is_some(), "{word} is none of {names:?}");
    if let Some(counter) = known.and_then(|index| counters.get(index)) {
        counter.inc();
    }
}

#[cfg(test)]
mod tests {
    use honoken_telemetry::Identity;

    use super::*;

    #[test]
    fn every_word_of_the_port_has_its_series() {
        let metrics = Metrics::new(&Identity::default());
        let counts = Counts::new(&metrics);
        for outcome in ["accepted", "token_dead", "retry", "misconfigured", "refused"] {
            counts.pushed(outcome, Duration::from_millis(3));
        }
        for state in ["sent", "failed", "superseded", "dead"] {
            counts.ended(state);
        }
        let text = metrics.render().unwrap();
        for line in [
            "honoken_pushes_total{outcome=\"token_dead\"} 1",
            "honoken_deliveries_ended_total{state=\"superseded\"} 1",
            "honoken_push_duration_seconds_count 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
