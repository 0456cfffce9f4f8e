//! The loop of the sender: it begins each step when it can, and waits for the events that follow.

use std::time::Duration;

use honoken_telemetry::error_chain;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::back_off::StorePause;
use super::claims::{Claims, PushResult};
use super::context::Context;
use super::events::{Event, Running};
use super::lanes::Lanes;
use super::make_due::MakeDue;
use super::parked_credentials::ParkedCredentials;
use super::pending_writes::PendingWrites;
use super::permits::Permits;
use super::refresh::{self, Refresh, Refreshed, refresh};
use super::run_state::{PauseChange, RunState};
use super::suspect_tokens::SuspectTokens;
use crate::ledger::LedgerError;
use crate::ports::{Apns, Credentials, DeadTokens};

/// When the sender is stopped, pushes in flight may take so long to be answered and written.
const LAST_ANSWERS: Duration = Duration::from_secs(15);

/// Events that are handled before the next step, so that they are written together.
const EVENTS_AT_ONCE: usize = 1000;

/// The sender while it runs.
pub(super) struct SendLoop<A, C, D> {
    pub(super) context: Context<A, C, D>,
    pub(super) running: Running,
    pub(super) run_state: RunState,
    pub(super) store_pause: StorePause,
    pub(super) refresh: Refresh,
    pub(super) claims: Claims,
    pub(super) lanes: Lanes,
    pub(super) permits: Permits,
    pub(super) parked: ParkedCredentials,
    pub(super) suspect_tokens: SuspectTokens,
    pub(super) writes: PendingWrites,
}

impl<A: Apns, C: Credentials, D: DeadTokens> SendLoop<A, C, D> {
    pub(super) fn new(context: Context<A, C, D>) -> Self {
        Self {
            running: Running::default(),
            run_state: RunState::new(),
            store_pause: StorePause::default(),
            refresh: Refresh::new(&*context.ports.time),
            claims: Claims::new(),
            lanes: Lanes::default(),
            permits: Permits::new(context.settings.at_work),
            parked: ParkedCredentials::default(),
            suspect_tokens: SuspectTokens::default(),
            writes: PendingWrites::default(),
            context,
        }
    }

    pub(super) async fn run(&mut self, stop: &CancellationToken) {
        let (mut due, mut pauses) = (self.context.ledger.changes(), self.context.ledger.pauses());
        let mut ticks = tokio::time::interval(refresh::EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.take_steps();
            let wait = self.claims.wait(self.context.now_ms());
            tokio::select! {
                () = stop.cancelled() => return,
                Some(event) = self.running.next() => self.on_events(event),
                Ok(()) = due.changed() => self.claims.may_be_due(),
                Ok(()) = pauses.changed() => self.begin_refresh(),
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => self.claims.wait_is_over(),
                _ = ticks.tick() => {
                    self.store_pause.end();
                    self.claims.may_be_due();
                    self.begin_refresh();
                }
            }
        }
    }

    /// Waits for the pushes in flight, and writes their results.
    pub(super) async fn shut_down(&mut self) {
        self.run_state.stop();
        self.put_back_queued();
        let last = async {
            loop {
                self.take_steps();
                if self.is_done() {
                    return;
                }
                tokio::select! {
                    Some(event) = self.running.next() => self.on_events(event),
                    () = tokio::time::sleep(refresh::EVERY) => self.store_pause.end(),
                }
            }
        };
        if tokio::time::timeout(LAST_ANSWERS, last).await.is_err() {
            tracing::warn!(
                "some pushes were not answered, or their results were not written, before the end: they are sent again"
            );
        }
        // Work that still runs is no longer waited for, and may be about to write.
        self.running.give_up();
        let (ledger, name) = (self.context.ledger.clone(), self.context.name.clone());
        if let Err(fault) = self.context.home.run(async move { ledger.end_sender(&name).await }).await {
            tracing::warn!(
                error = error_chain(&fault),
                "the claims of this sender become free when its lease expires"
            );
        }
    }

    fn take_steps(&mut self) {
        self.claim_due();
        self.send_queued();
        self.flush();
    }

    fn is_done(&self) -> bool {
        self.permits.are_all_answered() && !self.claims.is_claiming() && self.writes.are_done()
    }

    /// Everything that has happened, so that it is written together.
    fn on_events(&mut self, first: Event) {
        self.on_event(first);
        for _ in 0..EVENTS_AT_ONCE {
            let Some(event) = self.running.next_now() else { return };
            self.on_event(event);
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Claimed(response) => self.on_claimed(response),
            Event::Answered { lane, job, outcome, took } => self.on_answer(&lane, job, outcome, took),
            Event::Reported { job, reason, is_dead } => self.on_reported(&job, &reason, is_dead),
            Event::Flushed(batch, outcome) => self.on_flushed(batch, outcome),
            Event::Released(topic) => self.parked.release_written(topic),
            Event::Refreshed(refreshed) => self.on_refreshed(refreshed),
            Event::Ended => {}
        }
    }

    fn begin_refresh(&mut self) {
        if self.refresh.is_running() || self.run_state.is_stopping() {
            return;
        }
        let Context { ledger, ports, settings, home, name, .. } = &self.context;
        let future_times = self.refresh.begin(&*ports.time, settings.window);
        let (ledger, credentials, name) = (ledger.clone(), ports.credentials.clone(), name.clone());
        let now_ms = self.context.now_ms();
        self.running.begin(home, async move {
            Event::Refreshed(refresh(&ledger, &*credentials, &name, now_ms, future_times).await)
        });
    }

    fn on_refreshed(&mut self, refreshed: Result<Refreshed, LedgerError>) {
        let corrected = refreshed.as_ref().is_ok_and(|refreshed| refreshed.corrected);
        self.refresh.ended(corrected, &*self.context.ports.time);
        let Refreshed { paused, parked, may_probe, .. } = match refreshed {
            Ok(refreshed) => refreshed,
            Err(fault) => {
                tracing::warn!(
                    error = error_chain(&fault),
                    "cannot read the senders of other processes; retrying in {:?}",
                    refresh::EVERY
                );
                return;
            }
        };
        match self.run_state.set_paused(paused) {
            PauseChange::Unchanged => {}
            PauseChange::Paused => self.put_back_queued(),
            PauseChange::Resumed => self.claims.may_be_due(),
        }
        self.writes.make_due(may_probe.iter().cloned().map(MakeDue::a_few));
        self.parked.refresh(parked, may_probe, self.context.now_ms());
        self.lanes.forget_idle(self.context.steady_ms());
        self.probe_lanes();
    }

    /// Makes a few phones due for every lane that can be probed. When those that were put back are due by themselves was a guess, or was stored
    /// before the clock was set.
    fn probe_lanes(&mut self) {
        if self.run_state.is_paused() {
            return;
        }
        let topics = self.lanes.topics_to_probe(self.context.steady_ms());
        self.writes.make_due(topics.map(MakeDue::a_few));
    }

    /// Puts back the queued pushes: the sender is paused or stops.
    fn put_back_queued(&mut self) {
        let now_ms = self.context.now_ms();
        let jobs = self.lanes.take_all();
        self.all_end(jobs, PushResult::PutBack(now_ms));
    }
}
