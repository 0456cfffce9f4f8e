//! From a claim to the push: phones that are due are claimed, their pushes are queued in the lane of their credential, and sent when there is
//! room.

use std::collections::HashMap;
use std::sync::Arc;

use honoken_domain::ids::{PassTypeIdentifier, PushToken};
use honoken_projections::pass_holders::Holder;
use honoken_telemetry::error_chain;
use tokio::time::Instant;

use super::back_off::spread;
use super::claims::{ClaimFault, ClaimResponse, PushResult};
use super::coalesce::{Coalesced, Job, coalesce};
use super::context::Context;
use super::events::Event;
use super::lanes::{BreakerOpen, Departure};
use super::parked_credentials::{NOT_INSTALLED, Parking, put_back_until};
use super::refresh;
use super::send_loop::SendLoop;
use crate::ledger::DeliveryState;
use crate::ledger::ParkedCredential;
use crate::ledger::claims::Claim;
use crate::ports::{Apns, Credential, Credentials, DeadTokens, NoCredential};
use crate::subscriber::milliseconds;

/// When a phone is looked at again whose credential could not be read, but for the time until the next refresh.
const CREDENTIAL_UNAVAILABLE_MS: i64 = 2000;

/// When a phone is looked at again whose credential was not asked for.
const CREDENTIAL_UNKNOWN_MS: i64 = 1000;

impl<A: Apns, C: Credentials, D: DeadTokens> SendLoop<A, C, D> {
    /// Claims phones that are due, unless there is enough to do.
    pub(super) fn claim_due(&mut self) {
        let Context { ledger, read_model, ports, settings, home, name } = &self.context;
        let many = usize::try_from(settings.batch_size).unwrap_or(usize::MAX).max(1);
        let is_enough = self.lanes.queued() * 2 >= many || self.writes.len() >= many * 4;
        if !self.claims.should_claim()
            || !self.run_state.takes_on_work()
            || is_enough
            || self.store_pause.is_active()
        {
            return;
        }
        let now_ms = ports.time.unix_ms();
        let request = self.claims.begin(name.clone(), settings.batch_size.max(1), now_ms);
        let (ledger, read_model, credentials) =
            (ledger.clone(), read_model.clone(), ports.credentials.clone());
        self.running.begin(home, async move {
            Event::Claimed(request.carry_out(&ledger, &read_model, &*credentials).await)
        });
    }

    pub(super) fn on_claimed(&mut self, response: ClaimResponse) {
        let ClaimResponse { claimed, tokens, credentials, next_due_ms, fault } = response;
        match fault {
            Some(ClaimFault::Ledger(fault)) => {
                tracing::warn!(
                    error = error_chain(&fault),
                    "cannot read the due phones; retrying in {:?}",
                    refresh::EVERY
                );
                self.claims.ledger_failed();
                self.store_pause.begin();
                return;
            }
            Some(ClaimFault::ReadModel(fault)) => {
                tracing::warn!(
                    error = error_chain(&fault),
                    "cannot read the push tokens of phones; retrying in {:?}",
                    refresh::EVERY
                );
                self.claims.read_model_failed(claimed);
                self.store_pause.begin();
                return;
            }
            None => {}
        }
        self.claims.succeeded(claimed.len(), next_due_ms);
        for claimed in claimed {
            // One that is claimed already was given back by the ledger, because this sender seemed dead.
            if !self.claims.contains(&claimed.key) {
                let credential = credentials.get(&claimed.key.pass_type_identifier);
                self.dispatch(claimed, &tokens, credential);
            }
        }
    }

    /// Queues the pushes to a phone, or puts it back when they cannot be sent now.
    fn dispatch(
        &mut self,
        claimed: Claim,
        tokens: &HashMap<Holder, PushToken>,
        credential: Option<&Result<(Arc<str>, Credential), NoCredential>>,
    ) {
        let now_ms = self.context.now_ms();
        let together = !self.context.settings.window.is_zero();
        let Coalesced { jobs, superseded } = coalesce(&claimed, tokens, together, now_ms);
        let key = claimed.key.clone();
        self.writes.add_superseded(superseded);
        self.claims.add(claimed, jobs.len());
        if jobs.is_empty() {
            self.phone_ends(&key);
            return;
        }
        if !self.run_state.takes_on_work() {
            self.all_end(jobs, PushResult::PutBack(now_ms));
            return;
        }
        match credential {
            Some(Ok((id, credential))) => self.enqueue(id, credential, jobs),
            Some(Err(NoCredential::NotSent(reason))) => {
                for job in jobs {
                    self.writes.add_deliveries(&job, DeliveryState::Failed, 0, Some(reason), None, now_ms);
                    self.push_ends(&job.key, PushResult::Ended);
                }
            }
            Some(Err(NoCredential::NotInstalled(reason))) => {
                let topic = &key.pass_type_identifier;
                let probe_at_ms = match self.parked.probe_at(topic, NOT_INSTALLED) {
                    Some(probe_at_ms) => probe_at_ms,
                    None => self.park(topic, NOT_INSTALLED, reason),
                };
                self.all_end(jobs, PushResult::PutBack(put_back_until(probe_at_ms, now_ms)));
            }
            Some(Err(NoCredential::Unavailable(fault))) => {
                tracing::warn!(
                    error = error_chain(&**fault),
                    "cannot read the credentials for pushes; retrying"
                );
                let until_ms = now_ms + CREDENTIAL_UNAVAILABLE_MS + spread(refresh::EVERY);
                self.all_end(jobs, PushResult::PutBack(until_ms));
            }
            None => self.all_end(jobs, PushResult::PutBack(now_ms + CREDENTIAL_UNKNOWN_MS)),
        }
    }

    fn enqueue(&mut self, id: &Arc<str>, credential: &Credential, mut jobs: Vec<Job>) {
        let Some(first) = jobs.first_mut() else { return };
        let (topic, now_ms) = (&first.push.topic, self.context.now_ms());
        if let Some(probe_at_ms) = self.parked.probe_at(topic, id) {
            if !self.parked.take_probe(topic) {
                self.all_end(jobs, PushResult::PutBack(put_back_until(probe_at_ms, now_ms)));
                return;
            }
            first.is_probe = true;
        }
        if let Err(BreakerOpen { jobs, open_for }) =
            self.lanes.enqueue(id, credential, jobs, self.context.steady_ms())
        {
            let until_ms = now_ms + milliseconds(open_for) + spread(refresh::EVERY);
            self.all_end(jobs, PushResult::PutBack(until_ms));
        }
    }

    /// Sends queued pushes, one of each lane in turn, as long as there is room.
    pub(super) fn send_queued(&mut self) {
        if self.run_state.is_stopping() {
            return;
        }
        let steady_ms = self.context.steady_ms();
        loop {
            let round = self.lanes.next_round(&mut self.permits, steady_ms);
            if round.is_empty() {
                return;
            }
            for departure in round {
                self.send(departure);
            }
        }
    }

    fn send(&mut self, Departure { lane, credential, job }: Departure) {
        let apns = self.context.ports.apns.clone();
        self.running.begin_here(async move {
            let from = Instant::now();
            let outcome = apns.push(&credential, &job.push).await;
            Event::Answered { lane, job, outcome, took: from.elapsed() }
        });
    }

    /// Keeps a credential from being used for a topic. Gives when it is probed, Unix milliseconds.
    pub(super) fn park(&mut self, topic: &PassTypeIdentifier, credential: &str, reason: &str) -> i64 {
        let Parking { probe_at_ms, news } =
            self.parked.park(topic, credential, reason, self.context.now_ms());
        let Some(parked) = news else { return probe_at_ms };
        let ledger = self.context.ledger.clone();
        self.running.begin(&self.context.home, async move {
            let ParkedCredential { topic, credential, reason, .. } = &parked;
            match ledger.park_credential(&parked).await {
                Ok(true) => tracing::error!(
                    pass.topic = %topic,
                    credential,
                    reason,
                    "pushes of {topic} wait until their credential is mended: {reason}"
                ),
                Ok(false) => {}
                Err(fault) => tracing::warn!(
                    error = error_chain(&fault),
                    reason,
                    "it is not recorded yet in the ledger that pushes of {topic} wait; retrying"
                ),
            }
            Event::Ended
        });
        probe_at_ms
    }
}
