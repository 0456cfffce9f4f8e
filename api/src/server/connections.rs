//! Who is connected, and since when each waits for the other side: so that one address cannot have all connections, and that those who keep us waiting
//! longest make room for newcomers when there are no more.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::Counts;
use crate::client_address::counted_as;

/// The connections of a door.
#[derive(Debug)]
pub struct Connections {
    limit: usize,
    per_address: Option<usize>,
    free: Arc<Semaphore>,
    known: Mutex<Known>,
    /// Numbers the beginnings of waits, so that the longest wait has the smallest number.
    waits: Arc<AtomicU64>,
    counts: Counts,
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

/// A connection in the lists, which it leaves when this is dropped.
#[derive(Debug)]
struct Counted {
    connections: Arc<Connections>,
    number: u64,
    address: IpAddr,
    status: Arc<ConnectionStatus>,
}

/// Between two looks for a connection that can be closed.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// One look finds the longest waits among all connections, so it closes a small share of them at once: a flood of newcomers does not make
/// us look through all for each.
const SHARE_CLOSED: usize = 256;

impl Connections {
    /// Nobody is connected yet.
    pub fn new(limit: usize, per_address: Option<usize>, counts: Counts) -> Self {
        Self {
            limit,
            per_address,
            free: Arc::new(Semaphore::new(limit)),
            known: Mutex::default(),
            waits: Arc::new(AtomicU64::new(1)),
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
        let permit = loop {
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                break permit;
            }
            self.make_room();
            // Never closed, so what fails is the time.
            if let Ok(Ok(permit)) =
                tokio::time::timeout(BETWEEN_LOOKS, self.free.clone().acquire_owned()).await
            {
                break permit;
            }
        };
        self.counts.open.inc();
        Some(Place { connections: self.clone(), counted, permit })
    }

    fn count(self: &Arc<Self>, address: IpAddr) -> Option<Counted> {
        let status = Arc::new(ConnectionStatus::new(self.waits.clone()));
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

    /// Closes those that have waited longest for the other side.
    fn make_room(&self) {
        let mut waiting: Vec<(u64, Arc<ConnectionStatus>)> = {
            let known = self.known();
            let waiting = known.statuses.values().filter_map(|status| Some((status.waits_since()?, status)));
            waiting.map(|(since, status)| (since, status.clone())).collect()
        };
        let many = (self.limit / SHARE_CLOSED).max(1).min(waiting.len());
        if many < waiting.len() {
            waiting.select_nth_unstable_by_key(many, |(since, _)| *since);
        }
        for (_, status) in waiting.iter().take(many) {
            status.close();
            self.counts.crowded.inc();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// What the connection does.
    pub fn status(&self) -> &Arc<ConnectionStatus> {
        &self.counted.status
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
    /// When the wait for the other side began, as a number; 0 while it is not waited for.
    since: AtomicU64,
    waits: Arc<AtomicU64>,
    closing: CancellationToken,
}

/// What a connection does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It waits for a request.
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
    fn new(waits: Arc<AtomicU64>) -> Self {
        let since = AtomicU64::new(waits.fetch_add(1, Ordering::Relaxed));
        let phase = AtomicU8::new(Phase::Idle as u8);
        Self { phase, since, waits, closing: CancellationToken::new() }
    }

    /// What it does.
    pub fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Relaxed)) % Phase::ALL.len()]
    }

    /// It does something else from now on.
    pub fn enters(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        let since = if phase == Phase::Work { 0 } else { self.waits.fetch_add(1, Ordering::Relaxed) };
        self.since.store(since, Ordering::Relaxed);
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
