//! Results of deliveries and phones that are to be written into the ledger: one batch is written while the next one gathers.

use crate::ledger::DeliveryState;
use crate::ledger::claims::NextPush;
use crate::ledger::deliveries::{DeliveryResult, PendingDelivery};

use super::coalesce::Job;
use super::make_due::MakeDue;

#[derive(Default)]
pub(super) struct PendingWrites {
    gathered: Batch,
    /// A batch is being written.
    flushing: bool,
}

/// The results that are written in one transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) deliveries: Vec<DeliveryResult>,
    pub(super) phones: Vec<NextPush>,
    /// Pushes whose answers are among them.
    pub(super) answered: usize,
    /// Phones that are made due when the batch is written, so that those are found that it puts back.
    pub(super) make_due: Vec<MakeDue>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.phones.is_empty()
    }

    fn add(&mut self, later: Self) {
        self.deliveries.extend(later.deliveries);
        self.phones.extend(later.phones);
        self.answered += later.answered;
        self.make_due.extend(later.make_due);
    }
}

impl PendingWrites {
    /// How much waits to be written.
    pub(super) fn len(&self) -> usize {
        self.gathered.deliveries.len().max(self.gathered.phones.len())
    }

    /// Whether nothing is left to be written.
    pub(super) fn are_done(&self) -> bool {
        self.gathered.is_empty() && !self.flushing
    }

    /// A push has been answered.
    pub(super) fn push_answered(&mut self) {
        self.gathered.answered += 1;
    }

    pub(super) fn make_due(&mut self, phones: impl IntoIterator<Item = MakeDue>) {
        self.gathered.make_due.extend(phones);
    }

    pub(super) fn add_phone(&mut self, next: NextPush) {
        self.gathered.phones.push(next);
    }

    pub(super) fn add_superseded(&mut self, deliveries: Vec<DeliveryResult>) {
        self.gathered.deliveries.extend(deliveries);
    }

    /// All deliveries that a push stands for have come to the same state, after so many `attempts` since they were claimed.
    pub(super) fn add_deliveries(
        &mut self,
        job: &Job,
        state: DeliveryState,
        attempts: u64,
        error: Option<&str>,
        apns_id: Option<&str>,
        at_ms: i64,
    ) {
        self.gathered.deliveries.extend(job.deliveries.iter().map(|delivery| DeliveryResult {
            id: delivery.id,
            state,
            attempts,
            error: error.map(str::to_owned),
            apns_id: apns_id.map(str::to_owned),
            at_ms,
        }));
    }

    /// An attempt has failed: deliveries that have had `at_most` attempts are given up. Gives whether some of them are still pending.
    pub(super) fn add_failed_attempt(&mut self, job: &Job, reason: &str, at_most: u64, at_ms: i64) -> bool {
        let is_over = |delivery: &PendingDelivery| delivery.attempts + 1 >= at_most;
        self.gathered.deliveries.extend(job.deliveries.iter().map(|delivery| DeliveryResult {
            id: delivery.id,
            state: if is_over(delivery) { DeliveryState::Failed } else { DeliveryState::Pending },
            attempts: 1,
            error: Some(reason.to_owned()),
            apns_id: None,
            at_ms,
        }));
        !job.deliveries.iter().all(is_over)
    }

    /// Takes the batch that is gathered, unless one is being written. A batch that is not empty is to be written: [`flushed`](Self::flushed) or
    /// [`flush_failed`](Self::flush_failed) follows.
    pub(super) fn begin_flush(&mut self) -> Option<Batch> {
        if self.flushing {
            return None;
        }
        let batch = std::mem::take(&mut self.gathered);
        self.flushing = !batch.is_empty();
        Some(batch)
    }

    pub(super) fn flushed(&mut self) {
        self.flushing = false;
    }

    /// The batch is to be written again, before the one that was gathered since.
    pub(super) fn flush_failed(&mut self, batch: Batch) {
        self.flushing = false;
        let later = std::mem::replace(&mut self.gathered, batch);
        self.gathered.add(later);
    }
}
