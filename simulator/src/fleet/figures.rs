//! The counts of a fleet, and the report of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::http::{Answer, HttpError};

/// A longer time is counted as this one.
const LONGEST: Duration = Duration::from_hours(1);
/// The longest text of a failure in a report.
const SEEN_CHARACTERS: usize = 200;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Route {
    /// `POST …/registrations/{type}/{serial}`
    Register,
    /// `GET …/registrations/{type}` without a tag.
    FirstList,
    /// The same with the tag.
    List,
    /// `GET /v1/passes/{type}/{serial}` without a condition.
    Get,
    /// The same with `If-Modified-Since`.
    GetAgain,
    /// `DELETE …/registrations/{type}/{serial}`
    Unregister,
}

impl Route {
    const ALL: [Self; 6] =
        [Self::Register, Self::FirstList, Self::List, Self::Get, Self::GetAgain, Self::Unregister];

    fn words(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::FirstList => "list without a tag",
            Self::List => "list with the tag",
            Self::Get => "get",
            Self::GetAgain => "get if modified",
            Self::Unregister => "unregister",
        }
    }
}

/// One set of figures for each route.
#[derive(Default)]
pub(super) struct Figures {
    routes: [Mutex<Counted>; Route::ALL.len()],
}

struct Counted {
    /// Microseconds, to three digits, of the requests that were answered.
    times: Histogram<u64>,
    statuses: BTreeMap<u16, u64>,
    unanswered: u64,
    unexpected: u64,
    first_failure: Option<String>,
}

impl Default for Counted {
    fn default() -> Self {
        let longest = u64::try_from(LONGEST.as_micros()).unwrap_or(u64::MAX);
        let times = Histogram::new_with_bounds(1, longest, 3).expect("bounds that are constants");
        Self { times, statuses: BTreeMap::new(), unanswered: 0, unexpected: 0, first_failure: None }
    }
}

impl Figures {
    /// Counts an exchange and passes the answer on.
    pub(super) fn counts(
        &self,
        route: Route,
        took: Duration,
        expected: &[u16],
        answered: Result<Answer, HttpError>,
    ) -> Option<Answer> {
        let mut counted = self.of(route);
        match answered {
            Ok(answer) => {
                counted.times.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
                *counted.statuses.entry(answer.status.as_u16()).or_default() += 1;
                if !expected.contains(&answer.status.as_u16()) {
                    counted.fails(&format!("answered with {}", answer.status.as_u16()));
                }
                Some(answer)
            }
            Err(fault) => {
                counted.unanswered += 1;
                counted.fails(&fault.told());
                None
            }
        }
    }

    /// An answer that was none, in spite of its status.
    pub(super) fn objects(&self, route: Route, text: &str) {
        self.of(route).fails(text);
    }

    fn of(&self, route: Route) -> MutexGuard<'_, Counted> {
        let at = Route::ALL.iter().position(|known| *known == route).unwrap_or_default();
        // Counting does not panic half way.
        self.routes[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn report(
        &self,
        phones: u64,
        took: Duration,
        registered: u64,
        interrupted: bool,
    ) -> FleetReport {
        let asked = Route::ALL.iter().map(|route| self.of(*route).report(*route));
        let routes: Vec<RouteReport> = asked.filter(|report| report.requests > 0).collect();
        let requests = routes.iter().map(|route| route.requests).sum();
        FleetReport {
            phones,
            requests,
            seconds: took.as_secs_f64(),
            still_registered: registered,
            interrupted,
            routes,
        }
    }
}

impl Counted {
    fn fails(&mut self, text: &str) {
        self.unexpected += 1;
        let shown =
            || text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SEEN_CHARACTERS).collect();
        self.first_failure.get_or_insert_with(shown);
    }

    fn report(&self, route: Route) -> RouteReport {
        let at = |quantile| milliseconds(self.times.value_at_quantile(quantile));
        RouteReport {
            route,
            requests: self.statuses.values().sum::<u64>() + self.unanswered,
            statuses: self.statuses.clone(),
            unanswered: self.unanswered,
            unexpected: self.unexpected,
            first_failure: self.first_failure.clone(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            max_ms: milliseconds(self.times.max()),
        }
    }
}

fn milliseconds(microseconds: u64) -> f64 {
    f64::from(u32::try_from(microseconds).unwrap_or(u32::MAX)) / 1_000.0
}

/// The report of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetReport {
    /// How many phones there were.
    pub phones: u64,
    /// How many requests they made.
    pub requests: u64,
    /// How long it took.
    pub seconds: f64,
    /// How many of them are registered in the end, as far as is known.
    pub still_registered: u64,
    /// Whether it was ended early.
    pub interrupted: bool,
    /// The kinds of requests that were made, in the order of a phone's life.
    pub routes: Vec<RouteReport>,
}

/// The report of one kind of request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteReport {
    /// Which.
    pub route: Route,
    /// How many requests.
    pub requests: u64,
    /// How many answers of each status.
    pub statuses: BTreeMap<u16, u64>,
    /// How many requests without a complete answer.
    pub unanswered: u64,
    /// How many requests had no answer, or another one than a phone expects.
    pub unexpected: u64,
    /// The first of these.
    pub first_failure: Option<String>,
    /// Half of the answers came within this time, in milliseconds.
    pub p50_ms: f64,
    /// Nine in ten.
    pub p90_ms: f64,
    /// Ninety-nine in a hundred.
    pub p99_ms: f64,
    /// All.
    pub max_ms: f64,
}

impl FleetReport {
    /// Whether every request was answered as a phone expects.
    pub fn is_clean(&self) -> bool {
        self.routes.iter().all(|route| route.unexpected == 0)
    }
}

impl fmt::Display for FleetReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = ["", "requests", "p50 ms", "p90 ms", "p99 ms", "max ms"];
        let [name, titles @ ..] = titles;
        write!(formatter, "{name:<20}")?;
        for title in titles {
            write!(formatter, "{title:>11}")?;
        }
        writeln!(formatter, "  statuses")?;
        for route in &self.routes {
            write!(formatter, "{:<20}{:>11}", route.route.words(), route.requests)?;
            for time in [route.p50_ms, route.p90_ms, route.p99_ms, route.max_ms] {
                write!(formatter, "{time:>11.2}")?;
            }
            let statuses = route.statuses.iter().map(|(status, count)| format!("{status}: {count}"));
            let unanswered = (route.unanswered > 0).then(|| format!("no answer: {}", route.unanswered));
            writeln!(formatter, "  {}", statuses.chain(unanswered).collect::<Vec<_>>().join(", "))?;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = self.requests as f64 / self.seconds.max(0.001);
        let Self { phones, requests, seconds, .. } = self;
        write!(formatter, "\n{phones} phones, {requests} requests in {seconds:.1} s ({rate:.0} a second)")?;
        for route in self.routes.iter().filter(|route| route.unexpected > 0) {
            let (words, count) = (route.route.words(), route.unexpected);
            let first = route.first_failure.as_deref().unwrap_or_default();
            write!(formatter, "\nnot as expected: {words}, {count} times; the first: {first}")?;
        }
        if self.interrupted {
            write!(formatter, "\ninterrupted before the end")?;
        }
        write!(formatter, "\nstill registered: {}", self.still_registered)
    }
}
