//! From the log to the push subscriber without a broker. Its checkpoint moves when what was handed out is done, in order, so that whatever kills
//! the process, the next one hands out the rest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use honoken_domain::ids::PassId;
use honoken_event_store::{EventLog, Position};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::figures::FeedFigures;
use super::{Feed, FeedError, Received};
use crate::ledger::feeds::{Checkpoint, CheckpointError, IN_PROCESS};
use crate::ledger::{Ledger, LedgerError, Part};
use crate::source::{Said, Source, SourceError};
use crate::sweep::{HeldBackPasses, Round, SweepError};

/// Looks around without having been woken: at pauses and the lease.
const POLL: Duration = Duration::from_secs(1);

/// Events read at a time.
const PAGE: u32 = 250;

/// How much may be handed out and not be done. Whoever works on it holds it in memory.
const AT_WORK: usize = 10_000;

/// A message that was handed out. One that is dropped, because whoever worked on it failed, is handed out again.
#[derive(Debug)]
pub struct Receipt {
    /// `None` when the feed has been told what became of it.
    message: Option<Message>,
    dropped: mpsc::UnboundedSender<Message>,
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            // Without a feed there is nobody to hand it out, until another one reads it from the log.
            let _ = self.dropped.send(message);
        }
    }
}

/// A message, and how it came to be one.
#[derive(Debug)]
struct Message {
    said: Said,
    attempt: u64,
    /// Whether it is said again by the sweep, so that no checkpoint waits for it.
    again: bool,
}

/// Messages straight from the log.
#[derive(Debug)]
pub struct InProcessFeed<L> {
    source: Source<L>,
    ledger: Ledger,
    checkpoint: Checkpoint,
    sweep_every: Duration,
    figures: watch::Sender<FeedFigures>,
    /// Everything up to here has been read.
    read: Position,
    /// Passes that stood still on the way there, and are not noted yet.
    standing_still: BTreeMap<PassId, Position>,
    /// What was read and is not done.
    open: BTreeSet<Position>,
    /// The same of what the sweep says again.
    open_again: BTreeSet<Position>,
    /// What is handed out next.
    ready: VecDeque<Message>,
    /// What is handed out again, and when.
    later: Vec<(Instant, Message)>,
    /// What was handed out and dropped: no more than was handed out.
    dropped: (mpsc::UnboundedSender<Message>, mpsc::UnboundedReceiver<Message>),
    sweep: Option<Sweep>,
    swept: Option<Instant>,
    /// What stood still when passes that were held back were last looked at.
    parked: Option<BTreeSet<PassId>>,
}

#[derive(Debug)]
struct Sweep {
    held_back: HeldBackPasses,
    round: Round,
}

/// Why the log cannot be followed for now.
#[derive(Debug, thiserror::Error)]
enum InProcessError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Sweep(#[from] SweepError),
}

impl<L: EventLog> InProcessFeed<L> {
    /// What `source` has to say; `ledger` knows how far it is. A sweep follows another after `sweep_every`.
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
            open: BTreeSet::new(),
            open_again: BTreeSet::new(),
            ready: VecDeque::new(),
            later: Vec::new(),
            dropped: mpsc::unbounded_channel(),
            sweep: None,
            swept: None,
            parked: None,
        }
    }

    /// How far it is.
    pub fn figures(&self) -> watch::Receiver<FeedFigures> {
        self.figures.subscribe()
    }

    /// Notes how far it came, and lets another process follow the log.
    pub async fn close(mut self) {
        if self.checkpoint.is_held()
            && let Err(fault) = self.note().await
        {
            tracing::warn!(error = %fault, "it was not noted how far messages have come; some will be looked at again");
        }
        self.checkpoint.release().await;
    }

    /// Waits until something can be handed out.
    async fn fill(&mut self) -> Result<(), InProcessError> {
        let mut changes = self.ledger.changes();
        loop {
            let waits = match self.turn().await {
                Ok(follows) => !follows || self.is_full(),
                Err(
                    InProcessError::Checkpoint(CheckpointError::Superseded)
                    | InProcessError::Sweep(SweepError::Checkpoint(CheckpointError::Superseded)),
                ) => {
                    self.superseded();
                    true
                }
                Err(fault) => return Err(fault),
            };
            if !self.ready.is_empty() {
                return Ok(());
            }
            let next_again = self.later.iter().map(|(at, _)| *at).min();
            let poll = Instant::now() + POLL.min(self.sweep_every);
            let (read, follows) = (self.read, !waits);
            tokio::select! {
                () = self.source.moves(read), if follows => {}
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep_until(next_again.map_or(poll, |at| at.min(poll))) => {}
            }
        }
    }

    /// Finds out what there is to hand out; `false` when this process has nothing to say for now.
    async fn turn(&mut self) -> Result<bool, InProcessError> {
        for part in [Part::Relay, Part::Pusher] {
            if self.ledger.paused(part).await?.is_some() {
                return Ok(false);
            }
        }
        if !self.hold().await? {
            return Ok(false);
        }
        self.note().await?;
        self.take_up();
        while self.ready.is_empty() && !self.is_full() {
            if !(self.read_page().await? || self.sweep_step().await?) {
                break;
            }
        }
        Ok(true)
    }

    fn is_full(&self) -> bool {
        self.open.len() + self.open_again.len() >= AT_WORK
    }

    /// Sees to it that this process is the one. What another has taken over is forgotten here.
    async fn hold(&mut self) -> Result<bool, InProcessError> {
        if self.checkpoint.is_held() {
            match self.checkpoint.hold().await {
                Ok(()) => return Ok(true),
                Err(CheckpointError::Superseded) => self.superseded(),
                Err(fault) => return Err(fault.into()),
            }
        }
        if !self.checkpoint.take(self.source.epoch(), self.source.head()).await? {
            return Ok(false);
        }
        if !self.source.reaches(self.checkpoint.position()).await? {
            tracing::warn!("the log does not reach what was said of it: it was restored from a backup");
            self.checkpoint.set_back(self.source.head()).await?;
        }
        self.read = self.checkpoint.position();
        self.show();
        Ok(true)
    }

    fn superseded(&mut self) {
        tracing::warn!("another process follows the log from here on");
        self.standing_still.clear();
        self.open.clear();
        self.open_again.clear();
        self.ready.clear();
        self.later.clear();
        self.dropped = mpsc::unbounded_channel();
        (self.sweep, self.swept, self.parked) = (None, None, None);
        self.show();
    }

    /// Moves the checkpoint to where everything is done.
    async fn note(&mut self) -> Result<(), CheckpointError> {
        let done = self.open.first().map_or(self.read, |first| Position(first.0 - 1));
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
        self.show();
        Ok(())
    }

    /// What was handed back and is due now, and what was dropped.
    fn take_up(&mut self) {
        let now = Instant::now();
        let due = self.later.extract_if(.., |(at, _)| *at <= now);
        self.ready.extend(due.map(|(_, message)| message));
        while let Ok(message) = self.dropped.1.try_recv() {
            self.ready.push_back(message);
        }
    }

    /// Reads on in the log; `false` when there is nothing.
    async fn read_page(&mut self) -> Result<bool, InProcessError> {
        let page = self.source.read_after(self.read, PAGE).await?;
        if page.up_to == self.read {
            return Ok(false);
        }
        for (pass, position) in page.standing_still {
            self.standing_still.insert(pass, position);
        }
        self.open.extend(page.messages.iter().map(Said::position));
        self.figures.send_modify(|figures| figures.said += page.messages.len() as u64);
        self.ready.extend(page.messages.into_iter().map(|said| Message { said, attempt: 0, again: false }));
        self.read = page.up_to;
        if self.open.is_empty() {
            self.note().await?;
        }
        Ok(true)
    }

    /// Says again what never arrived, and what was held back; `false` when there is nothing to be done.
    async fn sweep_step(&mut self) -> Result<bool, InProcessError> {
        let parked = self.source.parked();
        let is_due = self.swept.is_none_or(|last| last.elapsed() >= self.sweep_every);
        if self.sweep.is_none() {
            // What is said again and not done is not said a third time.
            if !self.open_again.is_empty() || !(is_due || self.parked.as_ref() != Some(&parked)) {
                return Ok(false);
            }
            self.swept = Some(Instant::now());
            self.parked = Some(parked);
            // Up to its checkpoint everything is done, so what has not arrived is lost: another feed said it, or another log had it.
            let round = Round::new(&self.checkpoint, self.checkpoint.position());
            self.sweep = Some(Sweep { held_back: HeldBackPasses::default(), round });
        }
        let Some(sweep) = &mut self.sweep else { return Ok(false) };
        let said = if !sweep.held_back.are_over() {
            sweep.held_back.step(&self.source, &self.ledger, &mut self.checkpoint, true).await?
        } else if !sweep.round.is_over() {
            sweep.round.step(&self.source, &self.ledger, &mut self.checkpoint).await?
        } else {
            self.sweep = None;
            return Ok(false);
        };
        // What is read and not done is on its way.
        let said: Vec<Said> = said.into_iter().filter(|said| !self.open.contains(&said.position())).collect();
        if !said.is_empty() {
            tracing::info!(
                "{} changes of passes never arrived, or stood still, and are said now",
                said.len()
            );
        }
        self.figures.send_modify(|figures| {
            figures.said += said.len() as u64;
            figures.swept += said.len() as u64;
        });
        for said in said {
            if self.open_again.insert(said.position()) {
                self.ready.push_back(Message { said, attempt: 0, again: true });
            }
        }
        Ok(true)
    }

    fn show(&self) {
        self.figures.send_modify(|figures| {
            figures.leads = self.checkpoint.is_held();
            figures.position = self.checkpoint.position();
        });
    }

    /// Ends a message, whatever became of it.
    fn ends(&mut self, message: &Message) {
        let open = if message.again { &mut self.open_again } else { &mut self.open };
        open.remove(&message.said.position());
    }

    fn hand_out(&self, message: Message) -> Received<Receipt> {
        let message = Message { attempt: message.attempt + 1, ..message };
        Received {
            message: Ok(message.said.message.clone()),
            request_id: message.said.request_id.clone(),
            attempt: message.attempt,
            receipt: Receipt { message: Some(message), dropped: self.dropped.0.clone() },
        }
    }
}

impl<L: EventLog> Feed for InProcessFeed<L> {
    type Receipt = Receipt;

    async fn next(&mut self, limit: usize) -> Result<Vec<Received<Receipt>>, FeedError> {
        let filled = self.fill().await;
        filled.map_err(|fault| FeedError { doing: "following the log", source: Box::new(fault) })?;
        let count = self.ready.len().min(limit.max(1));
        let next: Vec<_> = self.ready.drain(..count).collect();
        Ok(next.into_iter().map(|message| self.hand_out(message)).collect())
    }

    async fn done(&mut self, mut receipt: Receipt) -> Result<(), FeedError> {
        if let Some(message) = receipt.message.take() {
            self.ends(&message);
        }
        Ok(())
    }

    async fn still_at_it(&mut self, _: &Receipt) -> Result<(), FeedError> {
        match self.checkpoint.hold().await {
            // Found out again when the next message is asked for.
            Ok(()) | Err(CheckpointError::Superseded) => Ok(()),
            Err(fault) => Err(FeedError { doing: "holding the checkpoint", source: Box::new(fault) }),
        }
    }

    async fn again(&mut self, mut receipt: Receipt, after: Duration) -> Result<(), FeedError> {
        self.later.extend(receipt.message.take().map(|message| (Instant::now() + after, message)));
        Ok(())
    }

    async fn hopeless(&mut self, mut receipt: Receipt) -> Result<(), FeedError> {
        let Some(message) = &receipt.message else { return Ok(()) };
        // Else the sweep would find that it never arrived.
        let arrived = self.ledger.enqueue(&[], &[(message.said.pass(), message.said.position())], 0).await;
        arrived.map_err(|fault| FeedError {
            doing: "noting that a message is given up",
            source: Box::new(fault),
        })?;
        if let Some(message) = receipt.message.take() {
            self.ends(&message);
        }
        Ok(())
    }
}
