//! From the log to the stream. Of several processes one does so; its checkpoint moves after the broker's acknowledgement.
//!
//! While NATS is away nothing is lost and nobody waits but the phones: the checkpoint stays, and the relay catches up. A crash between
//! publishing and noting it publishes the same messages under the same ids again, which the broker drops within two minutes and the ledger
//! always.

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
use crate::ports::Time;
use crate::source::{Said, Source, SourceError};
use crate::sweep::{HeldBackPasses, Round, SweepError};

/// Events looked at, and published, at a time.
const PAGE: u32 = 250;

/// Looks around without having been woken: at pauses, the lease, and what the broker has done.
const POLL: Duration = Duration::from_secs(1);

/// Looks whether the stream is still the same one, while something is on its way.
const LOOK: Duration = Duration::from_secs(5);

/// Waits after a failure, from the first to the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How often the whole is looked at.
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
    Sweep(#[from] SweepError),
    #[error(transparent)]
    Nats(#[from] NatsError),
}

/// Says on NATS what the log has to say.
pub struct Relay<L> {
    source: Source<L>,
    ledger: Ledger,
    nats: Nats,
    time: Arc<dyn Time>,
    settings: RelaySettings,
    checkpoint: Checkpoint,
    figures: watch::Sender<FeedFigures>,
    /// What was on its way when it was last looked.
    mark: Option<Mark>,
    /// When it was last looked.
    looked: Option<Instant>,
    /// The sweep that is under way.
    sweep: Option<Sweep>,
    /// When the last sweep of everything began.
    swept: Option<Instant>,
    /// What stood still when passes that were held back were last looked at.
    parked: Option<BTreeSet<PassId>>,
    paused: bool,
    /// Failures in a row, and what was told of the last one.
    failures: u32,
    told: Option<String>,
}

/// How far was said at some moment, and what the broker had then.
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
        time: Arc<dyn Time>,
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
            looked: None,
            sweep: None,
            swept: None,
            parked: None,
            paused: false,
            failures: 0,
            told: None,
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
            let wait = match stop.run_until_cancelled(self.turn()).await {
                None => break,
                Some(Ok(())) => {
                    self.failures = 0;
                    if self.told.take().is_some() {
                        tracing::info!("the relay goes on");
                    }
                    POLL.min(self.settings.sweep_every)
                }
                // The connection tells of it itself.
                Some(Err(RelayError::Nats(NatsError::Interrupted))) => {
                    self.stand_back().await;
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
                    | RelayError::Sweep(SweepError::Checkpoint(CheckpointError::Superseded)),
                )) => {
                    tracing::warn!("another process has taken over the relay");
                    self.forget();
                    POLL
                }
                Some(Err(fault)) => self.failed(&fault),
            };
            let position = self.checkpoint.position();
            // What there is to say wakes whoever may say it; after a failure the wait is the point.
            let ready = self.failures == 0 && self.checkpoint.is_held() && !self.paused;
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.source.moves(position), if ready => {}
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.stand_back().await;
    }

    /// Does what there is to do now.
    async fn turn(&mut self) -> Result<(), RelayError> {
        self.paused = self.ledger.paused(Part::Relay).await?.is_some();
        if self.paused {
            return Ok(());
        }
        if !self.nats.is_connected() {
            return Err(NatsError::Interrupted.into());
        }
        if !self.take().await? {
            return Ok(());
        }
        self.checkpoint.hold().await?;
        while self.say_page().await? {}
        self.sweep().await
    }

    /// Takes the lease if nobody has it.
    async fn take(&mut self) -> Result<bool, RelayError> {
        if self.checkpoint.is_held() {
            return Ok(true);
        }
        if !self.checkpoint.take(self.source.epoch(), self.source.head()).await? {
            return Ok(false);
        }
        let position = self.checkpoint.position();
        if !self.source.reaches(position).await? {
            tracing::warn!(
                "the relay was at position {position}, which the log does not reach: it was restored from a backup"
            );
            self.checkpoint.set_back(self.source.head()).await?;
        }
        self.nats.stream().await?;
        tracing::info!("relays to NATS from position {}", self.checkpoint.position());
        self.show();
        Ok(true)
    }

    /// Publishes what comes next; `false` when there is nothing.
    async fn say_page(&mut self) -> Result<bool, RelayError> {
        let position = self.checkpoint.position();
        let page = self.source.read_after(position, PAGE).await?;
        if page.up_to == position {
            return Ok(false);
        }
        self.publish(&page.messages, None).await?;
        self.checkpoint.advance(page.up_to, &page.standing_still).await?;
        self.figures.send_modify(|figures| figures.said += page.messages.len() as u64);
        self.show();
        // A page that was looked at while an operator paused is the last one.
        Ok(self.ledger.paused(Part::Relay).await?.is_none())
    }

    /// Publishes messages and waits until the broker has all of them. What is said again must not be taken for what the broker had before.
    async fn publish(&self, messages: &[Said], again_at: Option<i64>) -> Result<(), NatsError> {
        self.nats.unless_interrupted(Box::pin(self.publish_all(messages, again_at))).await?
    }

    async fn publish_all(&self, messages: &[Said], again_at: Option<i64>) -> Result<(), NatsError> {
        let mut acknowledgements = Vec::with_capacity(messages.len());
        for said in messages {
            let payload = serde_json::to_vec(&said.message);
            let payload = payload.map_err(NatsError::doing("a message cannot be written"))?;
            let headers = headers(said, again_at);
            let sent = self.nats.jetstream().publish_with_headers(CONTENT_CHANGED, headers, payload.into());
            acknowledgements.push(sent.await.map_err(publish_failed)?);
        }
        for acknowledgement in acknowledgements {
            if let Err(fault) = acknowledgement.await {
                if fault.kind() == PublishErrorKind::StreamNotFound {
                    // Somebody has deleted it. The next attempt finds it.
                    self.nats.stream().await?;
                }
                return Err(publish_failed(fault));
            }
        }
        Ok(())
    }

    /// Says what is not said from the end of the log: what never arrived, and what was held back.
    async fn sweep(&mut self) -> Result<(), RelayError> {
        self.begin_sweep().await?;
        while self.sweep_step().await? {
            // What is new comes first, however long the sweep is.
            while self.say_page().await? {}
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
            let said = held_back.step(&self.source, &self.ledger, &mut self.checkpoint, settled).await?;
            self.say_again(&said, "stood still").await?;
            let said: Vec<_> = said.iter().map(|said| (said.pass(), said.position())).collect();
            if !said.is_empty() {
                self.checkpoint.let_go(&said, &[]).await?;
            }
            return Ok(true);
        }
        if let Some(round) = sweep.round.as_mut().filter(|round| !round.is_over()) {
            let said = round.step(&self.source, &self.ledger, &mut self.checkpoint).await?;
            self.say_again(&said, "never arrived").await?;
            return Ok(true);
        }
        self.sweep = None;
        Ok(false)
    }

    async fn say_again(&mut self, said: &[Said], why: &'static str) -> Result<(), RelayError> {
        if said.is_empty() {
            return Ok(());
        }
        tracing::info!("{} changes of passes {why} and are said now", said.len());
        self.publish(said, Some(self.time.unix_ms())).await?;
        self.figures.send_modify(|figures| {
            figures.said += said.len() as u64;
            figures.swept += said.len() as u64;
        });
        Ok(())
    }

    /// Begins a sweep when it is time for one: of what was held back, as soon as something else stands still; of everything, now and then, when
    /// what was said by the last look has been taken, and at once when the stream is another one.
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
        let is_due = self.swept.is_none_or(|last| last.elapsed() >= self.settings.sweep_every);
        let look_every = if is_due { POLL.min(self.settings.sweep_every) } else { LOOK };
        if self.looked.is_some_and(|last| last.elapsed() < look_every) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let all_arrived = self.checkpoint.swept() == self.checkpoint.position();
        if all_arrived && self.ledger.held_back(None, 1).await?.is_empty() {
            self.mark = None;
            return Ok(());
        }
        let mark = match self.mark {
            Some(mark) => mark,
            None => self.marks().await?,
        };
        self.mark = Some(mark);
        match self.fate(mark).await? {
            Fate::OnItsWay => {}
            Fate::Taken if !is_due => {}
            Fate::Taken | Fate::Lost => {
                self.mark = None;
                self.swept = Some(Instant::now());
                let round = Some(Round::new(&self.checkpoint, mark.position));
                self.sweep = Some(Sweep { held_back: HeldBackPasses::default(), round });
            }
        }
        Ok(())
    }

    /// How far was said by now, and what the broker has.
    async fn marks(&self) -> Result<Mark, RelayError> {
        let position = self.checkpoint.position();
        let stream = self.nats.stream().await?;
        let last = match self
            .nats
            .unless_interrupted(stream.get_last_raw_message_by_subject(CONTENT_CHANGED))
            .await?
        {
            Ok(message) => message.sequence,
            Err(fault) if fault.kind() == LastRawMessageErrorKind::NoMessageFound => 0,
            Err(fault) => return Err(NatsError::doing("the last message cannot be asked for")(fault).into()),
        };
        Ok(Mark { position, created: stream.cached_info().created, last })
    }

    /// What has become of that.
    async fn fate(&self, mark: Mark) -> Result<Fate, RelayError> {
        let stream = self.nats.stream().await?;
        let info = stream.cached_info();
        // A broker whose machine died may have lost the end of what it had acknowledged.
        if info.created != mark.created || info.state.last_sequence < mark.last {
            return Ok(Fate::Lost);
        }
        match self.nats.unless_interrupted(stream.get_consumer::<pull::Config>(PUSHER_CONSUMER)).await? {
            Ok(consumer) => {
                let info = consumer.cached_info();
                let idle = info.num_pending == 0 && info.num_ack_pending == 0;
                let taken = idle || info.ack_floor.stream_sequence >= mark.last;
                Ok(if taken { Fate::Taken } else { Fate::OnItsWay })
            }
            // Nobody has ever listened: whoever does gets what the stream has.
            Err(_) => Ok(Fate::OnItsWay),
        }
    }

    /// Lets another process do it, while this one cannot or must not.
    async fn stand_back(&mut self) {
        self.checkpoint.release().await;
        self.forget();
    }

    /// What was known while this process did it.
    fn forget(&mut self) {
        (self.mark, self.sweep, self.parked, self.swept, self.looked) = (None, None, None, None, None);
        self.show();
    }

    fn show(&self) {
        self.figures.send_modify(|figures| {
            figures.leads = self.checkpoint.is_held();
            figures.position = self.checkpoint.position();
        });
    }

    /// Tells of a failure when it is another than before, and gives how long to wait.
    fn failed(&mut self, fault: &RelayError) -> Duration {
        let wait = BACK_OFF.1.min(BACK_OFF.0 * 2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        let why = error_chain(fault);
        if self.told.as_ref() != Some(&why) {
            tracing::error!(error = why, "the relay stands still, and tries again until it can go on");
            self.told = Some(why);
        }
        wait
    }
}

/// What has become of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The consumer has not had all of it.
    OnItsWay,
    /// The consumer is done with it.
    Taken,
    /// The broker does not have it any more.
    Lost,
}

fn headers(said: &Said, again_at: Option<i64>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let id = match again_at {
        None => said.message.event_id.to_string(),
        Some(at) => format!("{}:{at}", said.message.event_id),
    };
    headers.insert(MESSAGE_ID, id);
    // One that could not be a header came from somewhere else than HTTP.
    if let Some(Ok(request_id)) = said.request_id.as_deref().map(str::parse::<HeaderValue>) {
        headers.insert(REQUEST_ID, request_id);
    }
    headers
}

fn publish_failed(fault: PublishError) -> NatsError {
    NatsError::doing("NATS did not take a message")(fault)
}
