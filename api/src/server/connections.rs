//! The open connections, and since when each waits for the other side. So no address can have all connections, and the connections that
//! have waited longest make room for new ones when there are no more. Fewer connections have buffers at a time than there may be
//! connections: one that waits for its next request does without them when another needs them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Counts;
use crate::layers::client_address::counted_as;

/// The connections of a listener.
#[derive(Debug)]
pub struct Connections {
    per_address: Option<usize>,
    open: Permits,
    buffered: Permits,
    known: Mutex<Known>,
    /// The moment from which waits are measured.
    start: Instant,
    counts: Counts,
}

/// A number of permits, granted in the order of the requests.
#[derive(Debug)]
struct Permits {
    free: Arc<Semaphore>,
    /// The first in the queue makes room, the others wait behind it. Holds when it last found no room to make.
    queue: tokio::sync::Mutex<Option<Instant>>,
    /// How many requests wait in the queue.
    wanted: Arc<AtomicUsize>,
    /// How many connections give up their permit at a time.
    batch: usize,
}

#[derive(Debug, Default)]
struct Known {
    /// By the number of the connection.
    statuses: HashMap<u64, Arc<ConnectionStatus>>,
    by_address: HashMap<IpAddr, usize>,
    next: u64,
}

/// The right to be connected, given back when it is dropped.
#[derive(Debug)]
pub struct Slot {
    connections: Arc<Connections>,
    counted: Counted,
    #[expect(dead_code, reason = "held, not looked at")]
    permit: OwnedSemaphorePermit,
}

/// See [`Slot::buffers`].
#[derive(Debug)]
pub struct Buffers {
    status: Arc<ConnectionStatus>,
    #[expect(dead_code, reason = "held, not looked at")]
    permit: OwnedSemaphorePermit,
}

/// The entry of a connection in the lists, removed when this is dropped.
#[derive(Debug)]
struct Counted {
    connections: Arc<Connections>,
    number: u64,
    address: IpAddr,
    status: Arc<ConnectionStatus>,
}

/// The time between two searches for a connection that can be closed.
const ROOM_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// The least time in microseconds that a connection has waited for the other side before it is closed to make room. Bytes that have arrived
/// may not have been read yet, and a new connection gets its chance in any crowd.
const MIN_WAIT_MICROS: u64 = 250_000;

/// One search finds the longest waits among all connections, so it closes a small share of them at once: a flood of new connections does
/// not cause a search for each.
const SHARE_CLOSED: usize = 256;

impl Connections {
    /// No connection is open yet.
    pub fn new(limit: usize, buffered: usize, per_address: Option<usize>, counts: Counts) -> Self {
        Self {
            per_address,
            open: Permits::new(limit),
            buffered: Permits::new(buffered),
            known: Mutex::default(),
            start: Instant::now(),
            counts,
        }
    }

    /// A slot for a new connection; `None` when its address has as many as it may. When all slots are taken, the connections that have
    /// waited longest for the other side are closed; while all of them are at work, the new one waits.
    pub async fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let Some(counted) = self.count(counted_as(peer)) else {
            self.counts.address.inc();
            return None;
        };
        let permit = self.open.next(|many| self.make_room(many)).await;
        self.counts.open.inc();
        counted.status.enter(ConnectionPhase::Idle);
        Some(Slot { connections: self.clone(), counted, permit })
    }

    fn count(self: &Arc<Self>, address: IpAddr) -> Option<Counted> {
        let status = Arc::new(ConnectionStatus::new(self.start, self.buffered.wanted.clone()));
        let mut known = self.known();
        let of_address = known.by_address.entry(address).or_default();
        if self.per_address.is_some_and(|most| *of_address >= most) {
            return None;
        }
        *of_address += 1;
        let number = known.next;
        known.next += 1;
        known.statuses.insert(number, status.clone());
        Some(Counted { connections: self.clone(), number, address, status })
    }

    /// Buffers for a connection on which bytes have arrived. When all are taken, connections that wait for their next request give up
    /// theirs, and where there are none, those that have waited longest for the other side are closed.
    async fn buffers(&self) -> OwnedSemaphorePermit {
        self.buffered.next(|many| self.free_buffers(many)).await
    }

    fn make_room(&self, many: usize) -> bool {
        let waiting = self.first_ranked(many, ConnectionStatus::waits_too_long_since);
        for (_, status) in &waiting {
            status.close();
            self.counts.crowded.inc();
        }
        !waiting.is_empty()
    }

    fn free_buffers(&self, many: usize) -> bool {
        let order = |status: &ConnectionStatus| {
            if !status.has_buffers() {
                return None;
            }
            let is_idle = status.phase() == ConnectionPhase::Idle;
            let since = if is_idle { status.waits_since() } else { status.waits_too_long_since() };
            since.map(|since| (!is_idle, since))
        };
        let waiting = self.first_ranked(many, order);
        for ((is_half_there, _), status) in &waiting {
            if *is_half_there {
                status.close();
                self.counts.crowded.inc();
            } else {
                status.rest();
            }
        }
        !waiting.is_empty()
    }

    /// The first `many` connections by rank; one without a rank is left out.
    fn first_ranked<R: Ord + Copy>(
        &self,
        many: usize,
        rank: impl Fn(&ConnectionStatus) -> Option<R>,
    ) -> Vec<(R, Arc<ConnectionStatus>)> {
        let mut ranked: Vec<(R, Arc<ConnectionStatus>)> = {
            let known = self.known();
            let ranked = known.statuses.values().filter_map(|status| Some((rank(status)?, status)));
            ranked.map(|(rank, status)| (rank, status.clone())).collect()
        };
        if many < ranked.len() {
            ranked.select_nth_unstable_by_key(many, |(rank, _)| *rank);
        }
        ranked.truncate(many);
        ranked
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permits {
    fn new(permits: usize) -> Self {
        let batch = (permits / SHARE_CLOSED).max(1);
        let (free, queue, wanted) =
            (Arc::new(Semaphore::new(permits)), tokio::sync::Mutex::default(), Arc::default());
        Self { free, queue, wanted, batch }
    }

    /// The next free permit. While there is none, `make_room` is called with the number of connections that are to give up theirs, and
    /// returns whether there were any.
    async fn next(&self, make_room: impl Fn(usize) -> bool) -> OwnedSemaphorePermit {
        let _wanted = Wanted::count(&self.wanted);
        let mut last_failure = self.queue.lock().await;
        loop {
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                return permit;
            }
            if last_failure.is_none_or(|last| last.elapsed() >= ROOM_CHECK_INTERVAL) {
                *last_failure = (!make_room(self.batch)).then(Instant::now);
            }
            // The semaphore is never closed, so the only failure is the timeout.
            let permit = tokio::time::timeout(ROOM_CHECK_INTERVAL, self.free.clone().acquire_owned()).await;
            if let Ok(Ok(permit)) = permit {
                return permit;
            }
        }
    }
}

/// Counted as waiting until it is dropped.
struct Wanted<'a>(&'a AtomicUsize);

impl<'a> Wanted<'a> {
    fn count(wanted: &'a AtomicUsize) -> Self {
        wanted.fetch_add(1, Ordering::Relaxed);
        Self(wanted)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Slot {
    /// The status of the connection.
    pub fn status(&self) -> &Arc<ConnectionStatus> {
        &self.counted.status
    }

    /// The right to have buffers, given back when it is dropped.
    pub async fn buffers(&self) -> Buffers {
        // While it waits for buffers, this process keeps the other side waiting, and not the reverse.
        self.status().enter(ConnectionPhase::Handling);
        let permit = self.connections.buffers().await;
        self.status().enter(ConnectionPhase::ReadingHead);
        self.status().has_buffers.store(true, Ordering::Relaxed);
        Buffers { status: self.status().clone(), permit }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        self.status.has_buffers.store(false, Ordering::Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.counts.open.dec();
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut known = self.connections.known();
        known.statuses.remove(&self.number);
        if let Some(of_address) = known.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                known.by_address.remove(&self.address);
            }
        }
    }
}

/// The status of a connection, read by the search for one that can be closed. Only its own task changes it.
#[derive(Debug)]
pub struct ConnectionStatus {
    phase: AtomicU8,
    /// When the wait for the other side began, in microseconds from the start; 0 while the connection does not wait for it.
    since: AtomicU64,
    start: Instant,
    /// How many connections wait for buffers.
    buffers_wanted: Arc<AtomicUsize>,
    closing: CancellationToken,
    has_buffers: AtomicBool,
    /// Whether the connection stays open when HTTP ends.
    outlives_http: AtomicBool,
    resting: Notify,
}

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionPhase {
    /// It waits for a request, the first or the next; all answers are written.
    Idle,
    /// A part of a head has arrived.
    ReadingHead,
    /// A request is worked on.
    Handling,
    /// The body of the request is awaited.
    ReadingBody,
    /// The other side reads the answer.
    WritingAnswer,
}

impl ConnectionPhase {
    const ALL: [Self; 5] =
        [Self::Idle, Self::ReadingHead, Self::Handling, Self::ReadingBody, Self::WritingAnswer];
}

impl ConnectionStatus {
    fn new(start: Instant, buffers_wanted: Arc<AtomicUsize>) -> Self {
        // The other side is not waited for until the connection is admitted.
        Self {
            phase: AtomicU8::new(ConnectionPhase::Handling as u8),
            since: AtomicU64::new(0),
            start,
            buffers_wanted,
            closing: CancellationToken::new(),
            has_buffers: AtomicBool::new(false),
            outlives_http: AtomicBool::new(false),
            resting: Notify::new(),
        }
    }

    fn has_buffers(&self) -> bool {
        self.has_buffers.load(Ordering::Relaxed)
    }

    /// Sets whether the connection stays open when HTTP ends.
    pub fn outlives_http(&self, outlives: bool) {
        self.outlives_http.store(outlives, Ordering::Relaxed);
    }

    /// Whether the connection stays open when HTTP ends.
    pub fn is_outliving_http(&self) -> bool {
        self.outlives_http.load(Ordering::Relaxed)
    }

    /// Completes when the connection waits for a request and is to release its buffers.
    pub async fn rest_requested(&self) {
        loop {
            self.resting.notified().await;
            if self.phase() == ConnectionPhase::Idle {
                return;
            }
            // A request has arrived meanwhile.
            self.has_buffers.store(true, Ordering::Relaxed);
        }
    }

    fn rest(&self) {
        // So that it is not asked twice.
        self.has_buffers.store(false, Ordering::Relaxed);
        self.resting.notify_one();
    }

    /// The current phase.
    pub fn phase(&self) -> ConnectionPhase {
        ConnectionPhase::ALL[usize::from(self.phase.load(Ordering::Relaxed)) % ConnectionPhase::ALL.len()]
    }

    /// Enters a phase.
    pub fn enter(&self, phase: ConnectionPhase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        let since = if phase == ConnectionPhase::Handling { 0 } else { self.now() };
        self.since.store(since, Ordering::Relaxed);
        if phase == ConnectionPhase::Idle
            && self.has_buffers()
            && self.buffers_wanted.load(Ordering::Relaxed) > 0
        {
            self.rest();
        }
    }

    /// Microseconds from the start, at least one.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }

    /// Marks the connection as waiting for the body of a request, until the guard is dropped.
    pub fn wait_for_body(self: Arc<Self>) -> BodyWait {
        self.enter(ConnectionPhase::ReadingBody);
        BodyWait(self)
    }

    /// Completes when the connection is to close to make room.
    pub async fn close_requested(&self) {
        self.closing.cancelled().await;
    }

    /// Whether the connection is to close to make room.
    pub fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    fn waits_since(&self) -> Option<u64> {
        let since = self.since.load(Ordering::Relaxed);
        (since != 0 && !self.is_closing()).then_some(since)
    }

    fn waits_too_long_since(&self) -> Option<u64> {
        let latest = self.now().saturating_sub(MIN_WAIT_MICROS);
        self.waits_since().filter(|since| *since <= latest)
    }

    fn close(&self) {
        self.closing.cancel();
    }
}

/// See [`ConnectionStatus::wait_for_body`].
#[derive(Debug)]
pub struct BodyWait(Arc<ConnectionStatus>);

impl Drop for BodyWait {
    fn drop(&mut self) {
        self.0.enter(ConnectionPhase::Handling);
    }
}
