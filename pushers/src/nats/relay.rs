//! From the event log to the stream. Of several processes one does so; its checkpoint moves after the broker's acknowledgement.
//!
//! While NATS is unreachable nothing is lost and only the phones wait: the checkpoint stays, and the relay catches up. A crash between publishing
//! and moving the checkpoint publishes the same messages under the same ids again, which the broker drops within two minutes and the ledger always.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::{HeaderMap, HeaderValue};
use honoken_domain::ids::PassId;
use honoken_event_store::{EventLog, Position};
use honoken_telemetry::error_chain;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::{Nats, NatsError};
use super::message_headers::{MESSAGE_ID, REQUEST_ID};
use super::stream::{CONTENT_CHANGED, PUSHER_CONSUMER};
use crate::feed::figures::FeedFigures;
use crate::ledger::feeds::{Checkpoint, CheckpointError, RELAY};
use crate::ledger::{Ledger, LedgerError, Part};
use crate::ports::Clock;
use crate::source::{OutgoingMessage, Source, SourceError};
use crate::sweep::{FollowError, HeldBackPasses, Round};

/// Events looked at, and published, at a time.
const PAGE: u32 = 250;

/// How often it looks at pauses, the lease and the broker, without having been woken.
const POLL: Duration = Duration::from_secs(1);

/// How often it looks whether the stream is still the same one, while messages are on their way.
const STREAM_CHECK: Duration = Duration::from_secs(5);

/// Waits after a failure, from the first to the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How often everything is looked at.
#[derive(Debug, Clone, Copy)]
pub struct RelaySettings {
    /// Between two sweeps.
    pub sweep_every: Duration,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self { sweep_every: Duration::from_secs(10) }
    }
}

/// Why the relay did not go on. It is tried again.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Sweep(#[from] FollowError),
    #[error(transparent)]
    Nats(#[from] NatsError),
}

/// Publishes the changes of the event log on NATS.
pub struct Relay<L> {
    source: Source<L>,
    ledger: Ledger,
    nats: Nats,
    time: Arc<dyn Clock>,
    settings: RelaySettings,
    checkpoint: Checkpoint,
    figures: watch::Sender<FeedFigures>,
    /// The messages that were on their way at the last look.
    mark: Option<Mark>,
    last_look: Option<Instant>,
    /// The sweep that is under way.
    sweep: Option<Sweep>,
    /// When the last sweep of everything began.
    last_sweep: Option<Instant>,
    /// Passes that stood still when those that were held back were last looked at.
    parked: Option<BTreeSet<PassId>>,
    paused: bool,
    /// Failures in a row, and the last one that was logged.
    failures: u32,
    logged: Option<String>,
}

/// The position that was published up to at some moment, and the state of the broker then.
#[derive(Debug, Clone, Copy)]
struct Mark {
    position: Position,
    /// When the stream was created: another one has lost everything.
    created: OffsetDateTime,
    /// The last message about a pass in it.
    last: u64,
}

#[derive(Debug)]
struct Sweep {
    held_back: HeldBackPasses,
    /// `None` when only those that were held back are looked at.
    round: Option<Round>,
}

impl<L: EventLog> Relay<L> {
    /// From `source` to `nats`; `ledger` knows how far it is.
    pub fn new(
        source: Source<L>,
        ledger: Ledger,
        nats: Nats,
        time: Arc<dyn Clock>,
        settings: RelaySettings,
    ) -> Self {
        let checkpoint = ledger.checkpoint(RELAY);
        Self {
            source,
            ledger,
            nats,
            time,
            settings,
            checkpoint,
            figures: watch::Sender::default(),
            mark: None,
            last_look: None,
            sweep: None,
            last_sweep: None,
            parked: None,
            paused: false,
            failures: 0,
            logged: None,
        }
    }

    /// How far it is.
    pub fn figures(&self) -> watch::Receiver<FeedFigures> {
        self.figures.subscribe()
    }

    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.ledger.changes();
        loop {
            let wait = match stop.run_until_cancelled(self.step()).await {
                None => break,
                Some(Ok(())) => {
                    self.failures = 0;
                    if self.logged.take().is_some() {
                        tracing::info!("the relay goes on");
                    }
                    POLL.min(self.settings.sweep_every)
                }
                // The connection logs that itself.
                Some(Err(RelayError::Nats(NatsError::Interrupted))) => {
                    self.step_down().await;
                    let connected = async {
                        tokio::select! { () = self.nats.connected() => {} () = tokio::time::sleep(POLL) => {} }
                    };
                    if stop.run_until_cancelled(connected).await.is_none() {
                        break;
                    }
                    continue;
                }
                Some(Err(
                    RelayError::Checkpoint(CheckpointError::Superseded)
                    | RelayError::Sweep(FollowError::Checkpoint(CheckpointError::Superseded)),
                )) => {
                    tracing::warn!("another process has taken over the relay");
                    self.forget();
                    POLL
                }
                Some(Err(fault)) => self.on_failure(&fault),
            };
            let position = self.checkpoint.position();
            // New events wake the process that may publish them; after a failure the wait is the point.
            let ready = self.failures == 0 && self.checkpoint.is_held() && !self.paused;
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.source.wait_beyond(position), if ready => {}
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.step_down().await;
    }

    /// Publishes all messages that there are now.
    async fn step(&mut self) -> Result<(), RelayError> {
        self.paused = self.ledger.paused(Part::Relay).await?.is_some();
        self.figures.send_modify(|figures| figures.paused = self.paused);
        if self.paused {
            return Ok(());
        }
        if !self.nats.is_connected() {
            return Err(NatsError::Interrupted.into());
        }
        if !self.take_lease().await? {
            return Ok(());
        }
        self.checkpoint.hold().await?;
        while self.publish_page().await? {}
        self.sweep().await
    }

    /// Takes the lease if no other process has it.
    async fn take_lease(&mut self) -> Result<bool, RelayError> {
        if self.checkpoint.is_held() {
            return Ok(true);
        }
        if !self.checkpoint.take(self.source.epoch(), self.source.head()).await? {
            return Ok(false);
        }
        let position = self.checkpoint.position();
        if !self.source.reaches(position).await? {
            tracing::warn!(
                "the relay was at position {position}, and the event log ends before it: it was restored from a backup"
            );
            self.checkpoint.set_back(self.source.head()).await?;
        }
        self.nats.stream().await?;
        tracing::info!("relaying to NATS from position {}", self.checkpoint.position());
        self.show_figures();
        Ok(true)
    }

    /// Publishes the next page of the event log; `false` when there is none.
    async fn publish_page(&mut self) -> Result<bool, RelayError> {
        let position = self.checkpoint.position();
        let page = self.source.read_after(position, PAGE).await?;
        if page.up_to == position {
            return Ok(false);
        }
        self.publish(&page.messages, None).await?;
        self.checkpoint.advance(page.up_to, &page.standing_still).await?;
        self.figures.send_modify(|figures| figures.published += page.messages.len() as u64);
        self.show_figures();
        // A page that was looked at while an operator paused is the last one.
        Ok(self.ledger.paused(Part::Relay).await?.is_none())
    }

    /// Publishes messages and waits until the broker has all of them. A message that is republished must not be taken for one that the broker had
    /// before.
    async fn publish(
        &self,
        messages: &[OutgoingMessage],
        republished_at: Option<i64>,
    ) -> Result<(), NatsError> {
        self.nats.unless_interrupted(Box::pin(self.publish_all(messages, republished_at))).await?
    }

    async fn publish_all(
        &self,
        messages: &[OutgoingMessage],
        republished_at: Option<i64>,
    ) -> Result<(), NatsError> {
        let mut acknowledgements = Vec::with_capacity(messages.len());
        for outgoing in messages {
            let payload = serde_json::to_vec(&outgoing.message);
            let payload = payload.map_err(NatsError::doing("a message cannot be written"))?;
            let headers = headers(outgoing, republished_at);
            let sent = self.nats.jetstream().publish_with_headers(CONTENT_CHANGED, headers, payload.into());
            acknowledgements.push(sent.await.map_err(publish_failed)?);
        }
        for acknowledgement in acknowledgements {
            if let Err(fault) = acknowledgement.await {
                if fault.kind() == PublishErrorKind::StreamNotFound {
                    // An operator has deleted it. The next attempt finds it.
                    self.nats.stream().await?;
                }
                return Err(publish_failed(fault));
            }
        }
        Ok(())
    }

    /// Publishes messages that do not come from the end of the event log: those that never arrived, and those about passes that were held back.
    async fn sweep(&mut self) -> Result<(), RelayError> {
        self.begin_sweep().await?;
        while self.sweep_step().await? {
            // New events come first, however long the sweep is.
            while self.publish_page().await? {}
            if self.ledger.paused(Part::Relay).await?.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Goes on with a sweep that was begun; `false` when there is none.
    async fn sweep_step(&mut self) -> Result<bool, RelayError> {
        let Some(sweep) = &mut self.sweep else { return Ok(false) };
        let settled = sweep.round.is_some();
        if !sweep.held_back.are_over() {
            let held_back = &mut sweep.held_back;
            let missing = held_back.step(&self.source, &self.ledger, &mut self.checkpoint, settled).await?;
            self.republish(&missing, "stood still").await?;
            let published: Vec<_> =
                missing.iter().map(|message| (message.pass(), message.position())).collect();
            if !published.is_empty() {
                self.checkpoint.let_go(&published, &[]).await?;
            }
            return Ok(true);
        }
        if let Some(round) = sweep.round.as_mut().filter(|round| !round.is_over()) {
            let missing = round.step(&self.source, &self.ledger, &mut self.checkpoint).await?;
            self.republish(&missing, "never arrived").await?;
            return Ok(true);
        }
        self.sweep = None;
        Ok(false)
    }

    async fn republish(&mut self, messages: &[OutgoingMessage], why: &'static str) -> Result<(), RelayError> {
        if messages.is_empty() {
            return Ok(());
        }
        tracing::info!("{} changes of passes {why} and are republished now", messages.len());
        self.publish(messages, Some(self.time.unix_ms())).await?;
        self.figures.send_modify(|figures| {
            figures.published += messages.len() as u64;
            figures.swept += messages.len() as u64;
        });
        Ok(())
    }

    /// Begins a sweep when it is time for one: of passes that were held back, as soon as other ones stand still; of everything, now and then, when
    /// the messages that were published by the last look have been consumed, and at once when the stream is another one.
    async fn begin_sweep(&mut self) -> Result<(), RelayError> {
        if self.sweep.is_some() {
            return Ok(());
        }
        let parked = self.source.parked();
        if self.parked.as_ref() != Some(&parked) {
            self.parked = Some(parked);
            self.sweep = Some(Sweep { held_back: HeldBackPasses::default(), round: None });
            return Ok(());
        }
        let is_due = self.last_sweep.is_none_or(|last| last.elapsed() >= self.settings.sweep_every);
        let look_every = if is_due { POLL.min(self.settings.sweep_every) } else { STREAM_CHECK };
        if self.last_look.is_some_and(|last| last.elapsed() < look_every) {
            return Ok(());
        }
        self.last_look = Some(Instant::now());
        let all_arrived = self.checkpoint.swept() == self.checkpoint.position();
        if all_arrived && self.ledger.held_back(None, 1).await?.is_empty() {
            self.mark = None;
            return Ok(());
        }
        let mark = match self.mark {
            Some(mark) => mark,
            None => self.take_mark().await?,
        };
        self.mark = Some(mark);
        match self.arrival(mark).await? {
            Arrival::InTransit => {}
            Arrival::Consumed if !is_due => {}
            Arrival::Consumed | Arrival::Lost => {
                self.mark = None;
                self.last_sweep = Some(Instant::now());
                let round = Some(Round::new(&self.checkpoint, mark.position));
                self.sweep = Some(Sweep { held_back: HeldBackPasses::default(), round });
            }
        }
        Ok(())
    }

    /// The position that was published up to by now, and the state of the broker.
    async fn take_mark(&self) -> Result<Mark, RelayError> {
        let position = self.checkpoint.position();
        let stream = self.nats.stream().await?;
        let last = match self
            .nats
            .unless_interrupted(stream.get_last_raw_message_by_subject(CONTENT_CHANGED))
            .await?
        {
            Ok(message) => message.sequence,
            Err(fault) if fault.kind() == LastRawMessageErrorKind::NoMessageFound => 0,
            Err(fault) => {
                return Err(
                    NatsError::doing("the last message could not be requested from NATS")(fault).into()
                );
            }
        };
        Ok(Mark { position, created: stream.cached_info().created, last })
    }

    /// Whether the messages up to a mark have arrived.
    async fn arrival(&self, mark: Mark) -> Result<Arrival, RelayError> {
        let stream = self.nats.stream().await?;
        let info = stream.cached_info();
        // A broker whose machine died may have lost the end of the messages that it had acknowledged.
        if info.created != mark.created || info.state.last_sequence < mark.last {
            return Ok(Arrival::Lost);
        }
        match self.nats.unless_interrupted(stream.get_consumer::<pull::Config>(PUSHER_CONSUMER)).await? {
            Ok(consumer) => {
                let info = consumer.cached_info();
                let idle = info.num_pending == 0 && info.num_ack_pending == 0;
                let is_done = idle || info.ack_floor.stream_sequence >= mark.last;
                Ok(if is_done { Arrival::Consumed } else { Arrival::InTransit })
            }
            // Without a consumer nothing has been handed out: a new one gets all messages of the stream.
            Err(_) => Ok(Arrival::InTransit),
        }
    }

    /// Lets another process relay, while this one cannot or must not.
    async fn step_down(&mut self) {
        self.checkpoint.release().await;
        self.forget();
    }

    /// Forgets the state of relaying.
    fn forget(&mut self) {
        (self.mark, self.sweep, self.parked, self.last_sweep, self.last_look) =
            (None, None, None, None, None);
        self.show_figures();
    }

    fn show_figures(&self) {
        self.figures.send_modify(|figures| {
            figures.leads = self.checkpoint.is_held();
            figures.position = self.checkpoint.position();
        });
    }

    /// Logs a failure when it is another one than before, and gives how long to wait.
    fn on_failure(&mut self, fault: &RelayError) -> Duration {
        let wait = BACK_OFF.1.min(BACK_OFF.0 * 2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        let why = error_chain(fault);
        if self.logged.as_ref() != Some(&why) {
            tracing::error!(error = why, "the relay stands still; retrying");
            self.logged = Some(why);
        }
        wait
    }
}

/// Whether messages that were published have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// The consumer has not had all of them.
    InTransit,
    /// The consumer is done with them.
    Consumed,
    /// The broker no longer has them.
    Lost,
}

fn headers(outgoing: &OutgoingMessage, republished_at: Option<i64>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let id = match republished_at {
        None => outgoing.message.event_id.to_string(),
        Some(at) => format!("{}:{at}", outgoing.message.event_id),
    };
    headers.insert(MESSAGE_ID, id);
    // An id that cannot be a header came from somewhere else than HTTP.
    if let Some(Ok(request_id)) = outgoing.request_id.as_deref().map(str::parse::<HeaderValue>) {
        headers.insert(REQUEST_ID, request_id);
    }
    headers
}

fn publish_failed(fault: PublishError) -> NatsError {
    NatsError::doing("NATS did not accept a message")(fault)
}
