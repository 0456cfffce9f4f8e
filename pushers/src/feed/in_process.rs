//! From the event log to the push subscriber without a broker. The checkpoint moves when the messages that were handed out are done, in order, so
//! that the next process hands out the rest, whatever kills this one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use honoken_domain::ids::PassId;
use honoken_event_store::{EventLog, Position};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::figures::FeedFigures;
use super::{Feed, FeedError, Received};
use crate::ledger::feeds::{Checkpoint, CheckpointError, IN_PROCESS};
use crate::ledger::{Ledger, Part};
use crate::source::{OutgoingMessage, Source};
use crate::sweep::{FollowError, HeldBackPasses, Round};

/// How often it looks at pauses and the lease, without having been woken.
const POLL: Duration = Duration::from_secs(1);

/// Events read at a time.
const PAGE: u32 = 250;

/// Messages that may be handed out and not be done. The subscriber holds them in memory.
const MAX_OPEN: usize = 10_000;

/// A message that was handed out. One that is dropped, because the subscriber failed, is handed out again.
#[derive(Debug)]
pub struct Receipt {
    /// `None` when the feed has been told what became of it.
    message: Option<Message>,
    dropped: mpsc::UnboundedSender<Message>,
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            // Without the feed it is not handed out, until another feed reads it from the event log.
            let _ = self.dropped.send(message);
        }
    }
}

/// A message, and how it came to be one.
#[derive(Debug)]
struct Message {
    outgoing: OutgoingMessage,
    attempt: u64,
    /// Whether the sweep has published it again, so that no checkpoint waits for it.
    republished: bool,
}

/// Messages straight from the event log.
#[derive(Debug)]
pub struct InProcessFeed<L> {
    source: Source<L>,
    ledger: Ledger,
    checkpoint: Checkpoint,
    sweep_every: Duration,
    figures: watch::Sender<FeedFigures>,
    /// Everything up to here has been read.
    read: Position,
    /// Passes that stood still on the way there, and are not stored yet.
    standing_still: BTreeMap<PassId, Position>,
    /// Messages that were read and are not done, each with the position of the event before it.
    open: BTreeMap<Position, Position>,
    /// The same of messages that the sweep has published again.
    open_republished: BTreeSet<Position>,
    /// Messages that are handed out next.
    ready: VecDeque<Message>,
    /// Messages that are handed out again, and when.
    delayed: Vec<(Instant, Message)>,
    /// Messages that were handed out and dropped: never more than were handed out.
    dropped: (mpsc::UnboundedSender<Message>, mpsc::UnboundedReceiver<Message>),
    sweep: Option<Sweep>,
    last_sweep: Option<Instant>,
    /// Passes that stood still when those that were held back were last looked at.
    parked: Option<BTreeSet<PassId>>,
}

#[derive(Debug)]
struct Sweep {
    held_back: HeldBackPasses,
    round: Round,
}

impl<L: EventLog> InProcessFeed<L> {
    /// The messages of `source`; `ledger` knows how far it is. A sweep follows another after `sweep_every`.
    pub fn new(source: Source<L>, ledger: Ledger, sweep_every: Duration) -> Self {
        let checkpoint = ledger.checkpoint(IN_PROCESS);
        Self {
            source,
            ledger,
            checkpoint,
            sweep_every,
            figures: watch::Sender::default(),
            read: Position(0),
            standing_still: BTreeMap::new(),
            open: BTreeMap::new(),
            open_republished: BTreeSet::new(),
            ready: VecDeque::new(),
            delayed: Vec::new(),
            dropped: mpsc::unbounded_channel(),
            sweep: None,
            last_sweep: None,
            parked: None,
        }
    }

    /// How far it is.
    pub fn figures(&self) -> watch::Receiver<FeedFigures> {
        self.figures.subscribe()
    }

    /// Stores how far it came, and lets another process follow the event log.
    pub async fn close(mut self) {
        if self.checkpoint.is_held()
            && let Err(fault) = self.move_checkpoint().await
        {
            tracing::warn!(error = %fault, "the checkpoint of messages was not moved; some messages will be processed again");
        }
        self.checkpoint.release().await;
    }

    /// Waits until something can be handed out.
    async fn fill(&mut self) -> Result<(), FollowError> {
        let mut changes = self.ledger.changes();
        loop {
            let waits = match self.step().await {
                Ok(follows) => !follows || self.is_full(),
                Err(FollowError::Checkpoint(CheckpointError::Superseded)) => {
                    self.on_superseded();
                    true
                }
                Err(fault) => return Err(fault),
            };
            if !self.ready.is_empty() {
                return Ok(());
            }
            let next_delayed = self.delayed.iter().map(|(at, _)| *at).min();
            let poll = Instant::now() + POLL.min(self.sweep_every);
            let (read, follows) = (self.read, !waits);
            tokio::select! {
                () = self.source.wait_beyond(read), if follows => {}
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep_until(next_delayed.map_or(poll, |at| at.min(poll))) => {}
            }
        }
    }

    /// Finds out what there is to hand out; `false` when this process publishes nothing for now.
    async fn step(&mut self) -> Result<bool, FollowError> {
        for part in [Part::Relay, Part::Pusher] {
            let paused = self.ledger.paused(part).await?.is_some();
            self.figures.send_modify(|figures| figures.paused = paused);
            if paused {
                return Ok(false);
            }
        }
        if !self.hold().await? {
            return Ok(false);
        }
        self.move_checkpoint().await?;
        self.take_returned();
        while self.ready.is_empty() && !self.is_full() {
            if !(self.read_page().await? || self.sweep_step().await?) {
                break;
            }
        }
        Ok(true)
    }

    fn is_full(&self) -> bool {
        self.open.len() + self.open_republished.len() >= MAX_OPEN
    }

    /// Sees to it that this process holds the lease. Once another process has taken over, all messages are forgotten here.
    async fn hold(&mut self) -> Result<bool, FollowError> {
        if self.checkpoint.is_held() {
            match self.checkpoint.hold().await {
                Ok(()) => return Ok(true),
                Err(CheckpointError::Superseded) => self.on_superseded(),
                Err(fault) => return Err(fault.into()),
            }
        }
        if !self.checkpoint.take(self.source.epoch(), self.source.head()).await? {
            return Ok(false);
        }
        if !self.source.reaches(self.checkpoint.position()).await? {
            tracing::warn!("the event log ends before the published position: it was restored from a backup");
            self.checkpoint.set_back(self.source.head()).await?;
        }
        self.read = self.checkpoint.position();
        self.show_figures();
        Ok(true)
    }

    fn on_superseded(&mut self) {
        tracing::warn!("another process follows the event log from now on");
        self.standing_still.clear();
        self.open.clear();
        self.open_republished.clear();
        self.ready.clear();
        self.delayed.clear();
        self.dropped = mpsc::unbounded_channel();
        (self.sweep, self.last_sweep, self.parked) = (None, None, None);
        self.show_figures();
    }

    /// Moves the checkpoint to where everything is done.
    async fn move_checkpoint(&mut self) -> Result<(), CheckpointError> {
        let done = self.open.first_key_value().map_or(self.read, |(_, before)| *before);
        if done <= self.checkpoint.position() {
            return Ok(());
        }
        let (noted, still): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.standing_still).into_iter().partition(|(_, position)| *position <= done);
        self.standing_still = still;
        let advanced = self.checkpoint.advance(done, &noted).await;
        if advanced.is_err() {
            self.standing_still.extend(noted);
        }
        advanced?;
        self.show_figures();
        Ok(())
    }

    /// Takes the messages that were handed back and are due now, and those that were dropped.
    fn take_returned(&mut self) {
        let now = Instant::now();
        let due = self.delayed.extract_if(.., |(at, _)| *at <= now);
        self.ready.extend(due.map(|(_, message)| message));
        while let Ok(message) = self.dropped.1.try_recv() {
            self.ready.push_back(message);
        }
    }

    /// Reads the next page of the event log; `false` when there is none.
    async fn read_page(&mut self) -> Result<bool, FollowError> {
        let page = self.source.read_after(self.read, PAGE).await?;
        if page.up_to == self.read {
            return Ok(false);
        }
        for (pass, position) in page.standing_still {
            self.standing_still.insert(pass, position);
        }
        self.open.extend(page.before);
        self.figures.send_modify(|figures| figures.published += page.messages.len() as u64);
        self.ready.extend(page.messages.into_iter().map(|outgoing| Message {
            outgoing,
            attempt: 0,
            republished: false,
        }));
        self.read = page.up_to;
        if self.open.is_empty() {
            self.move_checkpoint().await?;
        }
        Ok(true)
    }

    /// Publishes again what never arrived, and what was held back; `false` when there is nothing to be done.
    async fn sweep_step(&mut self) -> Result<bool, FollowError> {
        let parked = self.source.parked();
        let is_due = self.last_sweep.is_none_or(|last| last.elapsed() >= self.sweep_every);
        if self.sweep.is_none() {
            // A message that was published again and is not done is not published a third time.
            if !self.open_republished.is_empty() || !(is_due || self.parked.as_ref() != Some(&parked)) {
                return Ok(false);
            }
            self.last_sweep = Some(Instant::now());
            self.parked = Some(parked);
            // Up to the checkpoint everything is done, so a message that has not arrived is lost: another feed published it, or another event log had
            // it.
            let round = Round::new(&self.checkpoint, self.checkpoint.position());
            self.sweep = Some(Sweep { held_back: HeldBackPasses::default(), round });
        }
        let Some(sweep) = &mut self.sweep else { return Ok(false) };
        let missing = if !sweep.held_back.are_over() {
            sweep.held_back.step(&self.source, &self.ledger, &mut self.checkpoint, true).await?
        } else if !sweep.round.is_over() {
            sweep.round.step(&self.source, &self.ledger, &mut self.checkpoint).await?
        } else {
            self.sweep = None;
            return Ok(false);
        };
        // A message that is read and not done is on its way.
        let missing: Vec<OutgoingMessage> =
            missing.into_iter().filter(|message| !self.open.contains_key(&message.position())).collect();
        if !missing.is_empty() {
            tracing::info!(
                "{} changes of passes never arrived, or stood still, and are republished now",
                missing.len()
            );
        }
        self.figures.send_modify(|figures| {
            figures.published += missing.len() as u64;
            figures.swept += missing.len() as u64;
        });
        for outgoing in missing {
            if self.open_republished.insert(outgoing.position()) {
                self.ready.push_back(Message { outgoing, attempt: 0, republished: true });
            }
        }
        Ok(true)
    }

    fn show_figures(&self) {
        self.figures.send_modify(|figures| {
            figures.leads = self.checkpoint.is_held();
            figures.position = self.checkpoint.position();
        });
    }

    /// Ends a message, whatever became of it.
    fn end(&mut self, message: &Message) {
        let position = message.outgoing.position();
        if message.republished {
            self.open_republished.remove(&position);
        } else {
            self.open.remove(&position);
        }
    }

    fn hand_out(&self, message: Message) -> Received<Receipt> {
        let message = Message { attempt: message.attempt + 1, ..message };
        Received {
            message: Ok(message.outgoing.message.clone()),
            request_id: message.outgoing.request_id.clone(),
            attempt: message.attempt,
            receipt: Receipt { message: Some(message), dropped: self.dropped.0.clone() },
        }
    }
}

impl<L: EventLog> Feed for InProcessFeed<L> {
    type Receipt = Receipt;

    async fn next(&mut self, limit: usize) -> Result<Vec<Received<Receipt>>, FeedError> {
        let filled = self.fill().await;
        filled.map_err(|fault| FeedError { doing: "following the event log", source: Box::new(fault) })?;
        let count = self.ready.len().min(limit.max(1));
        let next: Vec<_> = self.ready.drain(..count).collect();
        Ok(next.into_iter().map(|message| self.hand_out(message)).collect())
    }

    async fn ack(&mut self, mut receipt: Receipt) -> Result<(), FeedError> {
        if let Some(message) = receipt.message.take() {
            self.end(&message);
        }
        Ok(())
    }

    async fn in_progress(&mut self, _: &Receipt) -> Result<(), FeedError> {
        match self.checkpoint.hold().await {
            // Found out again when the next message is asked for.
            Ok(()) | Err(CheckpointError::Superseded) => Ok(()),
            Err(fault) => Err(FeedError { doing: "holding the checkpoint", source: Box::new(fault) }),
        }
    }

    async fn nak(&mut self, mut receipt: Receipt, after: Duration) -> Result<(), FeedError> {
        self.delayed.extend(receipt.message.take().map(|message| (Instant::now() + after, message)));
        Ok(())
    }

    async fn term(&mut self, mut receipt: Receipt) -> Result<(), FeedError> {
        let Some(message) = &receipt.message else { return Ok(()) };
        // Else the sweep would find that it never arrived.
        let arrived =
            self.ledger.enqueue(&[], &[(message.outgoing.pass(), message.outgoing.position())], 0).await;
        arrived.map_err(|fault| FeedError {
            doing: "recording that a message is parked",
            source: Box::new(fault),
        })?;
        if let Some(message) = receipt.message.take() {
            self.end(&message);
        }
        Ok(())
    }
}
