//! Counters and measurements. The table in `catalogue.rs` lists all of them; nothing else can be recorded, and every value of a label comes
//! from a closed set, so that no caller can make the number of series grow. Sets that belong to a room above this one are handed in ([`LabelSets`]).
//! `docs/metrics.md` is generated from the table.
//!
//! In code and log output a metric has its dotted name, `honoken.device.polls`. Prometheus sees `honoken_device_polls_total`: underscores,
//! then the unit, then `_total` for counters.

mod catalogue;
mod labels;

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
#[cfg(target_os = "linux")]
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::identity::Identity;
use catalogue::{Kind, Row, TABLE};
use labels::Values;

pub use catalogue::{Metric, table};
pub use labels::{
    AnonymousLine, Area, BuildResult, ClosedBecause, CommandResult, ConnectionState, Credentials,
    ImageSource, Label, LabelSets, LabelValue, LinePriority, MessageClass, Queue, RateLimit, Store, Value,
    WithinDays,
};

/// Seconds, from an answer out of memory to the longest that a request may take.
const BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The registry of all metrics. Clones record to the same one.
#[derive(Clone)]
pub struct Metrics(Arc<Recorded>);

struct Recorded {
    registry: Registry,
    /// In the order of [`Metric`].
    families: Vec<Family>,
}

enum Family {
    Counter(IntCounterVec),
    Gauge(IntGaugeVec),
    Histogram(HistogramVec),
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// A registry in which nothing has happened. `sets`: the values of labels that belong to other rooms.
    pub fn new(identity: &Identity, sets: &LabelSets) -> Self {
        debug_assert!(TABLE.iter().enumerate().all(|(index, row)| row.metric as usize == index));
        let registry = Registry::new();
        let families = TABLE.iter().map(|row| registered(&registry, row, sets)).collect();
        #[cfg(target_os = "linux")]
        register(&registry, Box::new(ProcessCollector::for_self()));
        let metrics = Self(Arc::new(Recorded { registry, families }));
        metrics
            .gauge(
                Metric::BuildInfo,
                &[
                    Value(Label::Service, &identity.service),
                    Value(Label::Version, &identity.version),
                    Value(Label::GitSha, &identity.git_sha),
                    Value(Label::Environment, identity.environment.as_deref().unwrap_or_default()),
                ],
            )
            .set(1);
        metrics
    }

    /// One series of a counter. A caller that counts often keeps it.
    ///
    /// # Panics
    /// When the metric is not a counter, or has other labels: a mistake in the code, which every test of that code would show.
    pub fn counter(&self, metric: Metric, values: &[Value<'_>]) -> IntCounter {
        match self.family(metric, values) {
            Family::Counter(family) => family.with_label_values(Texts::of(values).as_slice()),
            Family::Gauge(_) | Family::Histogram(_) => panic!("{metric:?} is no counter"),
        }
    }

    /// Counts one.
    pub fn count(&self, metric: Metric, values: &[Value<'_>]) {
        self.counter(metric, values).inc();
    }

    /// One series of a gauge.
    ///
    /// # Panics
    /// As [`Metrics::counter`].
    pub fn gauge(&self, metric: Metric, values: &[Value<'_>]) -> IntGauge {
        match self.family(metric, values) {
            Family::Gauge(family) => family.with_label_values(Texts::of(values).as_slice()),
            Family::Counter(_) | Family::Histogram(_) => panic!("{metric:?} is no gauge"),
        }
    }

    /// One series of a distribution.
    ///
    /// # Panics
    /// As [`Metrics::counter`].
    pub fn histogram(&self, metric: Metric, values: &[Value<'_>]) -> Histogram {
        match self.family(metric, values) {
            Family::Histogram(family) => family.with_label_values(Texts::of(values).as_slice()),
            Family::Counter(_) | Family::Gauge(_) => panic!("{metric:?} is no histogram"),
        }
    }

    /// Records a duration.
    pub fn observe(&self, metric: Metric, values: &[Value<'_>], duration: Duration) {
        self.histogram(metric, values).observe(duration.as_secs_f64());
    }

    fn family(&self, metric: Metric, values: &[Value<'_>]) -> &Family {
        let expected = TABLE[metric as usize].labels;
        debug_assert!(
            values.iter().map(|value| value.0).eq(expected.iter().copied()),
            "{metric:?} has the labels {expected:?}, not {values:?}"
        );
        &self.0.families[metric as usize]
    }

    /// Everything, in Prometheus's text format.
    ///
    /// # Errors
    /// When a value of the process collector cannot be written, which no value is known to cause.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|fault| prometheus::Error::Msg(fault.to_string()))
    }
}

/// The content type of [`Metrics::render`] (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The most labels that a metric has.
const MOST_LABELS: usize = 4;

/// The texts of values, kept on the stack since they are recorded too often to allocate each time.
struct Texts<'a>([&'a str; MOST_LABELS], usize);

impl<'a> Texts<'a> {
    fn of(values: &[Value<'a>]) -> Self {
        let mut texts = [""; MOST_LABELS];
        for (text, value) in texts.iter_mut().zip(values) {
            *text = value.1;
        }
        Self(texts, values.len().min(MOST_LABELS))
    }

    fn as_slice(&self) -> &[&'a str] {
        &self.0[..self.1]
    }
}

fn register(registry: &Registry, collector: Box<dyn Collector>) {
    registry
        .register(collector)
        .expect("the names of the table differ, and those of the process begin otherwise");
}

fn registered(registry: &Registry, row: &Row, sets: &LabelSets) -> Family {
    let labels: Vec<&str> = row.labels.iter().map(|label| label.name()).collect();
    let opts = Opts::new(row.exposed(), row.help);
    let valid = "the table holds valid names";
    let family = match row.kind {
        Kind::Counter => Family::Counter(IntCounterVec::new(opts, &labels).expect(valid)),
        Kind::Gauge => Family::Gauge(IntGaugeVec::new(opts, &labels).expect(valid)),
        Kind::Histogram => {
            let opts = HistogramOpts::from(opts).buckets(BUCKETS.to_vec());
            Family::Histogram(HistogramVec::new(opts, &labels).expect(valid))
        }
    };
    // Every series exists from the start with the value 0: an alert on its growth needs a first value.
    for values in combinations(row.labels, sets) {
        match &family {
            Family::Counter(family) => drop(family.with_label_values(&values)),
            Family::Gauge(family) => drop(family.with_label_values(&values)),
            Family::Histogram(family) => drop(family.with_label_values(&values)),
        }
    }
    register(
        registry,
        match &family {
            Family::Counter(family) => Box::new(family.clone()),
            Family::Gauge(family) => Box::new(family.clone()),
            Family::Histogram(family) => Box::new(family.clone()),
        },
    );
    family
}

/// Every combination of values, if all labels have closed sets; otherwise none.
fn combinations(labels: &[Label], sets: &LabelSets) -> Vec<Vec<&'static str>> {
    let mut found = vec![Vec::new()];
    for label in labels {
        let Values::Closed(names) = label.values(sets) else { return Vec::new() };
        let longer = |known: Vec<&'static str>| {
            names.iter().map(move |name| known.iter().copied().chain([*name]).collect())
        };
        found = found.into_iter().flat_map(longer).collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_names_nothing_twice() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.metric as usize, index, "{}", row.name);
            assert!(row.name.starts_with("honoken."), "{}", row.name);
        }
        assert!(TABLE.iter().all(|row| row.labels.len() <= MOST_LABELS));
        let names: BTreeSet<String> = TABLE.iter().map(Row::exposed).collect();
        assert_eq!(names.len(), TABLE.len());
        let last = Metric::LogOutputDropped as usize;
        assert_eq!(TABLE.len(), last + 1, "every metric has its row");
    }

    #[test]
    fn what_never_happened_is_zero() {
        let identity = Identity { version: "1.2.3".into(), git_sha: "c0ffee".into(), ..Identity::default() };
        let text = Metrics::new(&identity, &LabelSets::default()).render().unwrap();
        for line in [
            "honoken_requests_shed_total{queue=\"build\"} 0",
            "honoken_device_messages_total{class=\"spurious_push\"} 0",
            "honoken_requests_panicked_total 0",
            "honoken_build_info{environment=\"\",git_sha=\"c0ffee\",service_name=\"honoken\",service_version=\"1.2.3\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn names_are_made_of_the_dotted_name_the_unit_and_the_kind() {
        assert_eq!(TABLE[Metric::DevicePolls as usize].exposed(), "honoken_device_polls_total");
        assert_eq!(TABLE[Metric::PassSigning as usize].exposed(), "honoken_pass_signing_seconds");
    }

    #[test]
    fn an_area_is_told_by_the_route() {
        for (route, area) in [
            ("/v1/log", Area::Device),
            ("/manage/v1/passes", Area::Manage),
            ("/admin/projections", Area::Admin),
            ("/api/admin/projections", Area::Admin),
            ("/health/live", Area::Service),
            ("/metrics", Area::Service),
            ("-", Area::Service),
        ] {
            assert_eq!(Area::of(route), area, "{route}");
        }
    }
}
