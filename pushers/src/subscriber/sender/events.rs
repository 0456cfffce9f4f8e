//! The work that is under way, and the events that the loop waits for.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use honoken_domain::ids::PassTypeIdentifier;

use super::claims::ClaimResponse;
use super::coalesce::Job;
use super::pending_writes::Batch;
use super::refresh::Refreshed;
use crate::dedicated_thread::Home;
use crate::ledger::LedgerError;
use crate::outcome::Outcome;

/// Something that was waited for.
pub(super) enum Event {
    /// The ledger has answered a claim.
    Claimed(ClaimResponse),
    /// APNs has answered a push.
    Answered { lane: Arc<str>, job: Job, outcome: Outcome, took: Duration },
    /// The domain was told that a token is dead; `false` when the device has a newer one.
    Reported { job: Job, reason: String, is_dead: Result<bool, Box<dyn std::error::Error + Send + Sync>> },
    /// A batch of results was written.
    Flushed(Batch, Result<(), LedgerError>),
    /// The ledger knows that the credential of a topic is no longer parked.
    Released(PassTypeIdentifier),
    /// The ledger was asked for the changes of other processes.
    Refreshed(Result<Refreshed, LedgerError>),
    /// Nothing follows from it.
    Ended,
}

/// The work that is under way.
#[derive(Default)]
pub(super) struct Running {
    tasks: FuturesUnordered<BoxFuture<'static, Event>>,
}

impl Running {
    /// Begins work with the stores, which are asked on their own runtime.
    pub(super) fn begin(&mut self, home: &Home, work: impl Future<Output = Event> + Send + 'static) {
        self.tasks.push(home.run(work).boxed());
    }

    /// Begins a push, which is sent from the thread of this loop.
    pub(super) fn begin_here(&mut self, work: impl Future<Output = Event> + Send + 'static) {
        self.tasks.push(work.boxed());
    }

    /// Waits for the next event; `None` when no work is under way.
    pub(super) async fn next(&mut self) -> Option<Event> {
        self.tasks.next().await
    }

    /// The next event, if there is one already.
    pub(super) fn next_now(&mut self) -> Option<Event> {
        self.tasks.next().now_or_never().flatten()
    }

    /// Gives up all work.
    pub(super) fn give_up(&mut self) {
        self.tasks.clear();
    }
}
