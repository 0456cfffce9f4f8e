//! The current request, for all code that works on it, without being passed on: its id, its timings, its deadline, and how much its caller
//! may log. It replaces a span, which would be created and written for every request, and read only for the few that log something.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::log_output::AnonymousLines;
use crate::metrics::AnonymousLine;

/// The address of a request that did not come over a connection.
pub const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A part of the time of a request.
#[derive(Debug, Clone, Copy)]
pub enum Spent {
    /// Waiting for a permit.
    Waiting,
    /// Waiting for its own body.
    Body,
    /// Deciding commands and appending their events.
    Log,
    /// Waiting for a pass to be built and signed.
    Building,
}

/// The timings of a request, as far as they are known. Each wait counts in one of them only; the rest is reading and answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// [`Spent::Waiting`], milliseconds.
    pub waiting_ms: u64,
    /// [`Spent::Body`], milliseconds.
    pub body_ms: u64,
    /// [`Spent::Log`], milliseconds.
    pub log_ms: u64,
    /// [`Spent::Building`], milliseconds.
    pub building_ms: u64,
}

/// A request while it is worked on. Clones are the same request.
#[derive(Debug, Clone)]
pub struct CurrentRequest(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    id: String,
    /// Microseconds, in the order of [`Spent`].
    times: [AtomicU64; 4],
    /// Set when the work begins.
    deadline: OnceLock<Instant>,
    address: IpAddr,
    /// Whether the caller has shown credentials that are right.
    is_known: AtomicBool,
    lines: Arc<AnonymousLines>,
}

tokio::task_local! {
    static CURRENT: CurrentRequest;
}

impl CurrentRequest {
    /// A request of a caller at this address who has shown nothing yet.
    pub fn new(id: String, address: IpAddr, lines: Arc<AnonymousLines>) -> Self {
        Self(Arc::new(Shared {
            id,
            times: Default::default(),
            deadline: OnceLock::new(),
            address,
            is_known: AtomicBool::new(false),
            lines,
        }))
    }

    /// Runs `work` with this as the current request.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Starts the work, and returns its deadline, which the first call decides.
    pub fn start(&self, now: Instant, longest: Duration) -> Instant {
        *self.0.deadline.get_or_init(|| now + longest)
    }

    /// Its timings so far.
    pub fn timings(&self) -> Timings {
        let [waiting_ms, body_ms, log_ms, building_ms] =
            self.0.times.each_ref().map(|micros| micros.load(Ordering::Relaxed) / 1000);
        Timings { waiting_ms, body_ms, log_ms, building_ms }
    }

    /// How many lines of this kind may be logged for it. Lines of an authenticated caller are not limited: there are as many as requests of
    /// a caller who can be asked to stop.
    pub fn may_log(&self, line: AnonymousLine, lines: usize) -> usize {
        if self.0.is_known.load(Ordering::Relaxed) {
            lines
        } else {
            self.0.lines.admit(line, self.0.address, lines)
        }
    }
}

/// Passes the id of the current request to `look`. Work outside a request has none.
pub fn with_id<T>(look: impl FnOnce(Option<&str>) -> T) -> T {
    let current = CURRENT.try_with(CurrentRequest::clone).ok();
    look(current.as_ref().map(CurrentRequest::id))
}

/// Records that the caller of the current request has shown correct credentials.
pub fn caller_is_known() {
    // Work outside a request has no caller.
    let _ = CURRENT.try_with(|current| current.0.is_known.store(true, Ordering::Relaxed));
}

/// How many of these lines may be logged for the caller of the current request; all of them where there is none.
pub fn may_log(line: AnonymousLine, lines: usize) -> usize {
    CURRENT.try_with(|current| current.may_log(line, lines)).unwrap_or(lines)
}

/// The deadline of the current request. Work outside a request has none.
pub fn deadline() -> Option<Instant> {
    CURRENT.try_with(|current| current.0.deadline.get().copied()).ok().flatten()
}

/// Adds to the timings of the current request. Outside a request it does nothing.
pub fn note(spent: Spent, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    // Work outside a request has no timings.
    let _ = CURRENT.try_with(|current| current.0.times[spent as usize].fetch_add(micros, Ordering::Relaxed));
}

/// Adds the duration of a wait to the timings of the current request.
pub async fn timed<T>(spent: Spent, wait: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let outcome = wait.await;
    note(spent, started.elapsed());
    outcome
}
