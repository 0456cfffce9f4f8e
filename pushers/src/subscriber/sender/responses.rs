//! The consequences of an answer of APNs, for the delivery, for its phone, for the lane, and for the credential.

use std::sync::Arc;
use std::time::Duration;

use honoken_telemetry::error_chain;
use tokio::time::Instant;

use super::back_off;
use super::circuit_breaker;
use super::claims::PushResult;
use super::coalesce::Job;
use super::events::Event;
use super::lanes::BreakerOpened;
use super::make_due::MakeDue;
use super::parked_credentials::put_back_until;
use super::refresh;
use super::send_loop::SendLoop;
use super::suspect_tokens::Diagnosis;
use crate::ledger::DeliveryState;
use crate::ledger::phone_topic::PhoneTopic;
use crate::outcome::{Outcome, RetryScope};
use crate::ports::{Apns, Credentials, DeadTokens};
use crate::subscriber::milliseconds;

impl<A: Apns, C: Credentials, D: DeadTokens> SendLoop<A, C, D> {
    pub(super) fn on_answer(&mut self, lane: &Arc<str>, job: Job, outcome: Outcome, took: Duration) {
        self.permits.push_answered(Instant::now());
        self.lanes.answered(lane);
        self.writes.push_answered();
        self.context.ports.observer.pushed(outcome.kind(), took);
        match outcome {
            Outcome::Accepted { apns_id } => self.on_accepted(lane, &job, apns_id),
            Outcome::TokenDead { reason, since_ms, certain: true } => {
                self.credential_works(lane, &job);
                self.report_dead_token(job, reason, since_ms);
            }
            Outcome::TokenDead { reason, since_ms, certain: false } => {
                self.on_token_called_wrong(lane, job, reason, since_ms);
            }
            Outcome::Retry { reason, after, scope: RetryScope::Token } => {
                self.credential_works(lane, &job);
                self.back_off(&job, &reason, after);
            }
            Outcome::Retry { reason, after, scope: RetryScope::Credential } => {
                self.lane_failed(lane, &job, &reason, after);
                self.retry_with_lane(lane, &job, &reason);
            }
            Outcome::Misconfigured { reason } => self.on_credential_refused(lane, &job, &reason),
            Outcome::Refused { reason } => {
                self.credential_works(lane, &job);
                self.end_delivery(&job, DeliveryState::Failed, Some(&reason), None, PushResult::Ended);
            }
        }
    }

    fn on_accepted(&mut self, lane: &Arc<str>, job: &Job, apns_id: Option<String>) {
        self.credential_works(lane, job);
        self.suspect_tokens.accepted(&job.push.topic, lane, self.context.steady_ms());
        let apns_id = apns_id.unwrap_or_else(|| job.push.apns_id.clone());
        self.end_delivery(job, DeliveryState::Sent, None, Some(&apns_id), PushResult::Sent);
    }

    /// The token may be dead, or the credential wrong.
    fn on_token_called_wrong(&mut self, lane: &Arc<str>, job: Job, reason: String, since_ms: Option<i64>) {
        self.lane_works(lane);
        let tried = job.deliveries.iter().filter(|delivery| delivery.attempts > 0);
        // A time in the future was stored before the clock was set back: it is longer ago than now, by an unknown time.
        let (now_ms, steady_ms) = (self.context.now_ms(), self.context.steady_ms());
        let before_ms = tried.map(|delivery| steady_ms - (now_ms - delivery.changed_at_ms).max(0)).min();
        match self.suspect_tokens.called_wrong(&job.push.topic, lane, before_ms) {
            Diagnosis::Dead => self.report_dead_token(job, reason, since_ms),
            Diagnosis::Unknown => self.back_off(&job, &reason, None),
            Diagnosis::Misconfigured => {
                self.on_credential_refused(lane, &job, &format!("{reason} for many phones"));
            }
        }
    }

    /// Nothing more is sent to the topic, and nothing is deleted.
    fn on_credential_refused(&mut self, lane: &Arc<str>, job: &Job, reason: &str) {
        self.lane_works(lane);
        let topic = &job.push.topic;
        let probe_at_ms = self.park(topic, lane, reason);
        let result = PushResult::PutBack(put_back_until(probe_at_ms, self.context.now_ms()));
        let refused = self.lanes.take_topic(lane, topic);
        self.all_end(refused, result);
        self.end_delivery(job, DeliveryState::Pending, Some(reason), None, result);
    }

    /// APNs is available.
    fn lane_works(&mut self, lane: &str) {
        let waiting = self.lanes.succeeded(lane, self.context.steady_ms());
        self.writes.make_due(waiting.into_iter().map(MakeDue::all));
    }

    /// APNs is available, and takes the credential.
    fn credential_works(&mut self, lane: &Arc<str>, job: &Job) {
        self.lane_works(lane);
        let topic = &job.push.topic;
        if self.parked.release(topic, lane) {
            tracing::info!(pass.topic = %topic, credential = %lane, "pushes of {topic} go on: APNs accepts the credential again");
            self.writes.make_due([MakeDue::release(topic.clone(), lane.clone())]);
        }
    }

    /// APNs is unavailable, or asks for a pause. Queued pushes are put back if that opens the circuit breaker.
    fn lane_failed(&mut self, lane: &Arc<str>, job: &Job, reason: &str, after: Option<Duration>) {
        let now_ms = self.context.now_ms();
        let opened = self.lanes.failed(lane, job, after, self.context.steady_ms());
        let Some(BreakerOpened { open_for, jobs }) = opened else { return };
        let seconds = open_for.as_millis().div_ceil(1000);
        tracing::warn!(credential = %lane, reason, "APNs is unavailable or asks for a pause: no push is sent for {seconds} s");
        let until_ms = now_ms + milliseconds(open_for) + back_off::spread(refresh::EVERY);
        self.all_end(jobs, PushResult::PutBack(until_ms));
    }

    /// A push has failed with its lane: it is tried again when the lane is open again.
    fn retry_with_lane(&mut self, lane: &str, job: &Job, reason: &str) {
        let wait_ms = if let Some(open_for) = self.lanes.open_for(lane, self.context.steady_ms()) {
            milliseconds(open_for) + back_off::spread(refresh::EVERY)
        } else {
            // A failure or two of a lane that works: it is soon known which it is, this phone's bad luck or the lane.
            let failures = self.claims.failures_of(&job.key);
            milliseconds(circuit_breaker::length(failures).mul_f64(back_off::at_most_one()))
        };
        let until_ms = self.context.now_ms() + wait_ms;
        self.end_failed_attempt(job, reason, PushResult::Retry(until_ms));
    }

    /// A push has failed for reasons of its phone, which is left alone for a while.
    fn back_off(&mut self, job: &Job, reason: &str, after: Option<Duration>) {
        let asked_for_ms = self.context.now_ms() + milliseconds(after.unwrap_or_default());
        let until_ms = self.back_off_until(&job.key).max(asked_for_ms);
        self.end_failed_attempt(job, reason, PushResult::BackOff(until_ms));
    }

    fn back_off_until(&self, key: &PhoneTopic) -> i64 {
        self.context.now_ms() + back_off::of_a_phone(self.claims.failures_of(key))
    }

    fn report_dead_token(&mut self, job: Job, reason: String, since_ms: Option<i64>) {
        self.permits.report_sent();
        let dead_tokens = self.context.ports.dead_tokens.clone();
        self.running.begin(&self.context.home, async move {
            let device = &job.key.device_library_identifier;
            let is_dead = dead_tokens.report(&job.push.topic, device, &job.push.token, since_ms).await;
            Event::Reported { job, reason, is_dead }
        });
    }

    pub(super) fn on_reported(
        &mut self,
        job: &Job,
        reason: &str,
        is_dead: Result<bool, Box<dyn std::error::Error + Send + Sync>>,
    ) {
        self.permits.report_answered();
        match is_dead {
            Ok(true) => self.end_delivery(job, DeliveryState::Dead, Some(reason), None, PushResult::Ended),
            Ok(false) => {
                // The device has another token, or has registered since: that token is tried, the first time at once.
                let is_first = self.claims.failures_of(&job.key) == 0;
                let until_ms = if is_first { self.context.now_ms() } else { self.back_off_until(&job.key) };
                self.end_failed_attempt(job, reason, PushResult::Retry(until_ms));
            }
            Err(fault) => {
                tracing::warn!(
                    error = error_chain(&*fault),
                    device = job.key.device_library_identifier.shortened(),
                    "a dead push token was not removed from its device; retrying"
                );
                self.back_off(job, reason, None);
            }
        }
    }
}
