//! Who is connected, and since when each waits for the other side: so that one address cannot have all connections, and that those who keep us waiting
//! longest make room for newcomers when there are no more. Fewer connections have buffers at a time than there may be connections: one that waits
//! for its next request rests without them when another needs them.

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

/// The connections of a door.
#[derive(Debug)]
pub struct Connections {
    per_address: Option<usize>,
    open: Permits,
    buffered: Permits,
    known: Mutex<Known>,
    /// Waits are counted from here.
    start: Instant,
    counts: Counts,
}

/// A number of permits, handed out in the order in which they were asked for.
#[derive(Debug)]
struct Permits {
    free: Arc<Semaphore>,
    /// The first in the queue makes room, the others wait behind it. When it last found no room to make.
    queue: tokio::sync::Mutex<Option<Instant>>,
    /// How many wait in the queue.
    wanted: Arc<AtomicUsize>,
    /// How many connections give up their permit at a time.
    at_a_time: usize,
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
pub struct Place {
    connections: Arc<Connections>,
    counted: Counted,
    #[expect(dead_code, reason = "held, not looked at")]
    permit: OwnedSemaphorePermit,
}

/// See [`Storage::buffers`].
#[derive(Debug)]
pub struct Buffers {
    status: Arc<ConnectionStatus>,
    #[expect(dead_code, reason = "held, not looked at")]
    permit: OwnedSemaphorePermit,
}

/// A connection in the lists, which it leaves when this is dropped.
#[derive(Debug)]
struct Counted {
    connections: Arc<Connections>,
    number: u64,
    address: IpAddr,
    status: Arc<ConnectionStatus>,
}

/// Between two looks for a connection that can be closed.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A connection is closed to make room when it has waited for the other side for so long at least: what has come may not be seen yet, and a newcomer
/// gets its chance in any crowd. Microseconds.
const PATIENCE: u64 = 250_000;

/// One look finds the longest waits among all connections, so it closes a small share of them at once: a flood of newcomers does not make
/// us look through all for each.
const SHARE_CLOSED: usize = 256;

impl Connections {
    /// Nobody is connected yet.
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

    /// A place for a newcomer; `None` when its address has as many as it may. When all are taken, those who have kept us waiting longest are
    /// closed; while everything is at work, the newcomer waits.
    pub async fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let Some(counted) = self.count(counted_as(peer)) else {
            self.counts.address.inc();
            return None;
        };
        let permit = self.open.next(|many| self.make_room(many)).await;
        self.counts.open.inc();
        counted.status.enters(Phase::Idle);
        Some(Place { connections: self.clone(), counted, permit })
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

    /// Buffers for a connection that something has come in on. When all are taken, connections that wait for their next request do without, and
    /// where there are none, those that have waited longest for the other side are closed.
    async fn buffers(&self) -> OwnedSemaphorePermit {
        self.buffered.next(|many| self.free_buffers(many)).await
    }

    fn make_room(&self, many: usize) -> bool {
        let waiting = self.first(many, ConnectionStatus::waits_too_long_since);
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
            let is_idle = status.phase() == Phase::Idle;
            let since = if is_idle { status.waits_since() } else { status.waits_too_long_since() };
            since.map(|since| (!is_idle, since))
        };
        let waiting = self.first(many, order);
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

    /// The first connections in some order; without a rank there, a connection is left out.
    fn first<R: Ord + Copy>(
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
        let at_a_time = (permits / SHARE_CLOSED).max(1);
        let (free, queue, wanted) =
            (Arc::new(Semaphore::new(permits)), tokio::sync::Mutex::default(), Arc::default());
        Self { free, queue, wanted, at_a_time }
    }

    /// A permit, as soon as there is one. While there is none, so many connections at a time are asked for theirs.
    /// `make_room` asks them, and says whether there were any.
    async fn next(&self, make_room: impl Fn(usize) -> bool) -> OwnedSemaphorePermit {
        let _wanted = Wanted::one_more(&self.wanted);
        let mut in_vain = self.queue.lock().await;
        loop {
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                return permit;
            }
            if in_vain.is_none_or(|last| last.elapsed() >= BETWEEN_LOOKS) {
                *in_vain = (!make_room(self.at_a_time)).then(Instant::now);
            }
            // Never closed, so what fails is the time.
            let permit = tokio::time::timeout(BETWEEN_LOOKS, self.free.clone().acquire_owned()).await;
            if let Ok(Ok(permit)) = permit {
                return permit;
            }
        }
    }
}

/// Counted as waiting until it is dropped.
struct Wanted<'a>(&'a AtomicUsize);

impl<'a> Wanted<'a> {
    fn one_more(wanted: &'a AtomicUsize) -> Self {
        wanted.fetch_add(1, Ordering::Relaxed);
        Self(wanted)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Place {
    /// What the connection does.
    pub fn status(&self) -> &Arc<ConnectionStatus> {
        &self.counted.status
    }

    /// The right to have buffers, given back when it is dropped.
    pub async fn buffers(&self) -> Buffers {
        // Until there is room it is we who keep the other side waiting.
        self.status().enters(Phase::Work);
        let permit = self.connections.buffers().await;
        self.status().enters(Phase::Head);
        self.status().has_buffers.store(true, Ordering::Relaxed);
        Buffers { status: self.status().clone(), permit }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        self.status.has_buffers.store(false, Ordering::Relaxed);
    }
}

impl Drop for Place {
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

/// What a connection does, for those who look for one that can be closed. Only its own task changes it.
#[derive(Debug)]
pub struct ConnectionStatus {
    phase: AtomicU8,
    /// When the wait for the other side began, in microseconds from the start; 0 while it is not waited for.
    since: AtomicU64,
    start: Instant,
    /// How many wait for buffers.
    buffers_wanted: Arc<AtomicUsize>,
    closing: CancellationToken,
    has_buffers: AtomicBool,
    /// Whether the end of HTTP is not the end of the connection.
    outlives_http: AtomicBool,
    resting: Notify,
}

/// What a connection does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It waits for a request, the first or the next; all answers are written.
    Idle,
    /// A part of a head has come.
    Head,
    /// A request is worked on.
    Work,
    /// Its body is waited for.
    Body,
    /// The other side reads the answer.
    Answer,
}

impl Phase {
    const ALL: [Self; 5] = [Self::Idle, Self::Head, Self::Work, Self::Body, Self::Answer];
}

impl ConnectionStatus {
    fn new(start: Instant, buffers_wanted: Arc<AtomicUsize>) -> Self {
        // We are not waiting for it until it is admitted.
        Self {
            phase: AtomicU8::new(Phase::Work as u8),
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

    /// Says whether the end of HTTP is not the end of the connection.
    pub fn outlives_http(&self, outlives: bool) {
        self.outlives_http.store(outlives, Ordering::Relaxed);
    }

    /// Whether the end of HTTP is not the end of the connection.
    pub fn is_outliving_http(&self) -> bool {
        self.outlives_http.load(Ordering::Relaxed)
    }

    /// Ends when it waits for a request and is to do so without buffers.
    pub async fn is_to_rest(&self) {
        loop {
            self.resting.notified().await;
            if self.phase() == Phase::Idle {
                return;
            }
            // A request has come meanwhile.
            self.has_buffers.store(true, Ordering::Relaxed);
        }
    }

    fn rest(&self) {
        // Not asked twice.
        self.has_buffers.store(false, Ordering::Relaxed);
        self.resting.notify_one();
    }

    /// What it does.
    pub fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Relaxed)) % Phase::ALL.len()]
    }

    /// It does something else from now on.
    pub fn enters(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        let since = if phase == Phase::Work { 0 } else { self.now() };
        self.since.store(since, Ordering::Relaxed);
        if phase == Phase::Idle && self.has_buffers() && self.buffers_wanted.load(Ordering::Relaxed) > 0 {
            self.rest();
        }
    }

    /// Microseconds from the start, at least one.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }

    /// It waits for the body of a request, until the guard is dropped.
    pub fn waits_for_body(self: Arc<Self>) -> WaitsForBody {
        self.enters(Phase::Body);
        WaitsForBody(self)
    }

    /// Ends when it is to make room.
    pub async fn is_to_close(&self) {
        self.closing.cancelled().await;
    }

    /// Whether it is to make room.
    pub fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    fn waits_since(&self) -> Option<u64> {
        let since = self.since.load(Ordering::Relaxed);
        (since != 0 && !self.is_closing()).then_some(since)
    }

    fn waits_too_long_since(&self) -> Option<u64> {
        let latest = self.now().saturating_sub(PATIENCE);
        self.waits_since().filter(|since| *since <= latest)
    }

    fn close(&self) {
        self.closing.cancel();
    }
}

/// See [`ConnectionStatus::waits_for_body`].
#[derive(Debug)]
pub struct WaitsForBody(Arc<ConnectionStatus>);

impl Drop for WaitsForBody {
    fn drop(&mut self) {
        self.0.enters(Phase::Work);
    }
}
