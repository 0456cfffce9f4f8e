//! From the result of a push to the ledger.

use honoken_telemetry::error_chain;

use super::claims::PushResult;
use super::coalesce::Job;
use super::events::Event;
use super::make_due::MakeDue;
use super::pending_writes::Batch;
use super::refresh;
use super::send_loop::SendLoop;
use crate::ledger::phone_topic::PhoneTopic;
use crate::ledger::{DeliveryState, LedgerError};
use crate::ports::{Apns, Credentials, DeadTokens};
use crate::subscriber::milliseconds;

impl<A: Apns, C: Credentials, D: DeadTokens> SendLoop<A, C, D> {
    /// One attempt has brought the deliveries of a push to a state, which may be `Pending` still.
    pub(super) fn end_delivery(
        &mut self,
        job: &Job,
        state: DeliveryState,
        error: Option<&str>,
        apns_id: Option<&str>,
        result: PushResult,
    ) {
        self.writes.add_deliveries(job, state, 1, error, apns_id, self.context.now_ms());
        self.push_ends(&job.key, result);
    }

    /// One attempt has failed. The deliveries of the push have `result`, unless they have had their last attempt.
    pub(super) fn end_failed_attempt(&mut self, job: &Job, reason: &str, result: PushResult) {
        let (at_most, now_ms) = (self.context.settings.retry_attempts, self.context.now_ms());
        let is_pending = self.writes.add_failed_attempt(job, reason, at_most, now_ms);
        self.push_ends(&job.key, if is_pending { result } else { PushResult::Ended });
    }

    pub(super) fn all_end(&mut self, jobs: impl IntoIterator<Item = Job>, result: PushResult) {
        for job in jobs {
            self.push_ends(&job.key, result);
        }
    }

    /// A push has a result, and with the last one its phone has.
    pub(super) fn push_ends(&mut self, key: &PhoneTopic, result: PushResult) {
        if self.claims.push_ended(key, result) {
            self.phone_ends(key);
        }
    }

    /// All pushes to a phone have a result.
    pub(super) fn phone_ends(&mut self, key: &PhoneTopic) {
        let now_ms = self.context.now_ms();
        let window_ms = milliseconds(self.context.settings.window);
        let quiet_until_ms = if window_ms == 0 { 0 } else { now_ms + window_ms };
        if let Some(next) = self.claims.next(key, now_ms, quiet_until_ms) {
            self.writes.add_phone(next);
        }
    }

    /// Writes the results of pushes, unless that is being done, or has failed a moment ago.
    pub(super) fn flush(&mut self) {
        if self.store_pause.is_active() {
            return;
        }
        let Some(batch) = self.writes.begin_flush() else { return };
        if batch.is_empty() {
            self.permits.release(batch.answered);
            self.make_due(batch.make_due);
            return;
        }
        let (ledger, name) = (self.context.ledger.clone(), self.context.name.clone());
        self.running.begin(&self.context.home, async move {
            let outcome = ledger.write_results(&name, &batch.deliveries, &batch.phones).await;
            Event::Flushed(batch, outcome)
        });
    }

    pub(super) fn on_flushed(&mut self, batch: Batch, outcome: Result<(), LedgerError>) {
        if let Err(fault) = outcome {
            tracing::warn!(
                error = error_chain(&fault),
                "the results of pushes were not written; retrying in {:?}",
                refresh::EVERY
            );
            self.store_pause.begin();
            self.writes.flush_failed(batch);
            return;
        }
        self.writes.flushed();
        self.permits.release(batch.answered);
        for ended in batch.deliveries.iter().filter(|result| result.state.is_final()) {
            self.context.ports.observer.ended(ended.state);
        }
        self.claims.written(&batch.phones);
        self.make_due(batch.make_due);
    }

    fn make_due(&mut self, phones: Vec<MakeDue>) {
        for phones in phones {
            let (ledger, time) = (self.context.ledger.clone(), self.context.ports.time.clone());
            self.running.begin(&self.context.home, async move {
                let topic = phones.topic().clone();
                if let Err(fault) = phones.carry_out(&ledger, || time.unix_ms()).await {
                    tracing::warn!(error = error_chain(&fault), "pushes of {topic} go on a little later");
                }
                if phones.releases() { Event::Released(topic) } else { Event::Ended }
            });
        }
    }
}
