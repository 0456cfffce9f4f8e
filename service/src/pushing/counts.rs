//! Counts the results of pushes and deliveries.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use honoken_pushers::ledger::DeliveryState;
use honoken_pushers::outcome::OutcomeKind;
use honoken_pushers::ports::Observer;
use honoken_telemetry::metrics::{LabelValue, Metric, Metrics};
use prometheus::{Histogram, IntCounter};

/// The series, looked up once, since there are tens of thousands of pushes.
pub struct Counts {
    pushes: HashMap<OutcomeKind, IntCounter>,
    ended: HashMap<DeliveryState, IntCounter>,
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
        Self {
            pushes: counters(metrics, Metric::Pushes, OutcomeKind::ALL),
            ended: counters(metrics, Metric::DeliveriesEnded, DeliveryState::all_final()),
            took: metrics.histogram(Metric::PushDuration, &[]),
        }
    }
}

fn counters<V: LabelValue + Eq + Hash>(
    metrics: &Metrics,
    metric: Metric,
    values: impl IntoIterator<Item = V>,
) -> HashMap<V, IntCounter> {
    values.into_iter().map(|value| (value, metrics.counter(metric, &[value.into()]))).collect()
}

impl Observer for Counts {
    fn pushed(&self, outcome: OutcomeKind, took: Duration) {
        self.pushes[&outcome].inc();
        self.took.observe(took.as_secs_f64());
    }

    fn ended(&self, state: DeliveryState) {
        // A delivery that is pending has not ended.
        if let Some(counter) = self.ended.get(&state) {
            counter.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use honoken_pushers::labels::label_sets;
    use honoken_telemetry::Identity;

    use super::*;

    #[test]
    fn every_word_of_the_port_has_its_series() {
        let metrics = Metrics::new(&Identity::default(), &label_sets());
        let counts = Counts::new(&metrics);
        for outcome in OutcomeKind::ALL {
            counts.pushed(outcome, Duration::from_millis(3));
        }
        for state in DeliveryState::all_final() {
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
