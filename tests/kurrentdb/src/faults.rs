//! What a test may let go wrong, and what it may count.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tonic::Status;

use crate::errors;

/// The most bytes of one append: servers before 26 are so unless they are configured; later ones take more.
const APPEND_LIMIT: usize = 1024 * 1024;

/// Why a server takes no appends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Another node leads: `not-leader`, with its address.
    NotLeader {
        /// The host of the leader.
        host: String,
        /// The port of the leader.
        port: u16,
    },
    /// It starts or stops: `UNAVAILABLE`, "Server Is Not Ready".
    NotReady,
    /// Its queues are full: `UNAVAILABLE`, "Server Is Too Busy".
    Busy,
    /// The caller may not: `PERMISSION_DENIED`, `access-denied`.
    AccessDenied,
    /// It waited too long for itself: `ABORTED`, "Operation timed out"; in a batch `DEADLINE_EXCEEDED`. Nothing was stored.
    TimedOut,
    /// Something before the server refuses: `RESOURCE_EXHAUSTED`.
    Exhausted,
}

impl Refusal {
    /// The status of a call.
    pub(crate) fn status(&self) -> Status {
        match self {
            Refusal::NotLeader { host, port } => errors::not_leader(host, *port),
            Refusal::NotReady => Status::unavailable("Server Is Not Ready"),
            Refusal::Busy => Status::unavailable("Server Is Too Busy"),
            Refusal::AccessDenied => errors::access_denied(),
            Refusal::TimedOut => errors::timed_out(),
            Refusal::Exhausted => Status::resource_exhausted("There is no room for another request."),
        }
    }
}

/// The faults that are set, and the counters.
#[derive(Debug)]
pub(crate) struct Faults {
    lost_answers: AtomicU64,
    refusal: Mutex<Option<Refusal>>,
    /// How many more events are read before a reader loses its connection; 0 is any number.
    events_before_cut: AtomicU64,
    append_limit: AtomicUsize,
    ignores_filters: AtomicBool,
    is_hanging: AtomicBool,
    hanging: Mutex<Vec<Waker>>,
    appends: AtomicU64,
    reads: AtomicU64,
}

impl Default for Faults {
    fn default() -> Self {
        Faults {
            lost_answers: AtomicU64::new(0),
            refusal: Mutex::new(None),
            events_before_cut: AtomicU64::new(0),
            append_limit: AtomicUsize::new(APPEND_LIMIT),
            ignores_filters: AtomicBool::new(false),
            is_hanging: AtomicBool::new(false),
            hanging: Mutex::new(Vec::new()),
            appends: AtomicU64::new(0),
            reads: AtomicU64::new(0),
        }
    }
}

impl Faults {
    pub(crate) fn lose_answers(&self, count: u64) {
        self.lost_answers.store(count, Ordering::SeqCst);
    }

    /// Whether the answer to this append is to be lost.
    pub(crate) fn takes_this_answer(&self) -> bool {
        self.lost_answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    pub(crate) fn cut_a_read_after(&self, events: u64) {
        self.events_before_cut.store(events, Ordering::SeqCst);
    }

    /// Whether the event that is read now is the last on its connection.
    pub(crate) fn ends_this_read(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.events_before_cut.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) == Ok(1)
    }

    pub(crate) fn refuse_appends(&self, refusal: Option<Refusal>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_append_limit(&self, bytes: usize) {
        self.append_limit.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn append_limit(&self) -> usize {
        self.append_limit.load(Ordering::SeqCst)
    }

    pub(crate) fn ignore_filters(&self, ignores: bool) {
        self.ignores_filters.store(ignores, Ordering::SeqCst);
    }

    pub(crate) fn ignores_filters(&self) -> bool {
        self.ignores_filters.load(Ordering::SeqCst)
    }

    pub(crate) fn hang(&self, is_hanging: bool) {
        self.is_hanging.store(is_hanging, Ordering::SeqCst);
        if !is_hanging {
            let waiting = std::mem::take(&mut *self.hanging.lock().unwrap_or_else(PoisonError::into_inner));
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Is ready unless the server hangs.
    pub(crate) fn poll_goes_on(&self, context: &Context<'_>) -> Poll<()> {
        if !self.is_hanging.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner).push(context.waker().clone());
        // It may have come back between the two looks, and nobody would wake this one.
        if self.is_hanging.load(Ordering::SeqCst) { Poll::Pending } else { Poll::Ready(()) }
    }

    pub(crate) fn count_append(&self) {
        self.appends.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn count_read(&self) {
        self.reads.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn appends(&self) -> u64 {
        self.appends.load(Ordering::SeqCst)
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }
}
