//! Finds messages that were published and never arrived, and changes that could not be published when they were due.
//!
//! The broker may lose messages, as a whole stream when an operator deletes it. So the event log is read a second time, behind the feed: a pass that
//! shows a state behind its push watermark is published again. A message that was published lately is left alone: it is still on its way. A pass that stood
//! still was left out when its event was due; it is published as soon as it moves.

use std::collections::BTreeSet;

use honoken_domain::ids::PassId;
use honoken_event_store::{EventLog, Position};

use crate::ledger::feeds::{Checkpoint, CheckpointError};
use crate::ledger::held_back::HeldBack;
use crate::ledger::{Ledger, LedgerError};
use crate::source::{OutgoingMessage, Source, SourceError};

/// Events looked at in one step.
const PAGE: u32 = 250;

/// Why the event log cannot be followed, or swept, for now. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The event log or the read model is unavailable.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The ledger is unavailable.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The checkpoint could not be moved.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// One walk from where everything has arrived to where everything must have.
#[derive(Debug)]
pub(crate) struct Round {
    cursor: Position,
    horizon: Position,
    /// Whether everything up to the cursor has arrived.
    complete: bool,
}

impl Round {
    /// Begins behind the messages that are known to have arrived, and ends at `horizon`.
    pub(crate) fn new(checkpoint: &Checkpoint, horizon: Position) -> Self {
        Self { cursor: checkpoint.swept(), horizon, complete: true }
    }

    /// Whether there is nothing left to look at.
    pub(crate) fn is_over(&self) -> bool {
        self.cursor >= self.horizon
    }

    /// Looks at the next page. Gives the messages that never arrived, to be published again.
    pub(crate) async fn step<L: EventLog>(
        &mut self,
        source: &Source<L>,
        ledger: &Ledger,
        checkpoint: &mut Checkpoint,
    ) -> Result<Vec<OutgoingMessage>, FollowError> {
        // Tables that are being filled again show less than they did.
        let horizon = self.horizon.min(source.shown());
        let page = source.read_between(self.cursor, horizon, PAGE).await?;
        // A message about an older state is of no use: the newer one has a position of its own in the event log.
        let current = page.messages.into_iter().filter(|message| message.current).collect();
        let lost = never_arrived(ledger, current).await?;
        self.complete &= lost.is_empty();
        if self.complete {
            checkpoint.sweep(page.up_to, &page.standing_still).await?;
        }
        // Nothing is left to be found by this round if it sees no further.
        self.cursor = if page.up_to > self.cursor { page.up_to } else { self.horizon };
        Ok(lost)
    }
}

/// The messages that are ahead of the push watermark of their pass.
async fn never_arrived(
    ledger: &Ledger,
    messages: Vec<OutgoingMessage>,
) -> Result<Vec<OutgoingMessage>, LedgerError> {
    if messages.is_empty() {
        return Ok(messages);
    }
    let passes: Vec<PassId> = messages.iter().map(OutgoingMessage::pass).collect();
    let watermarks = ledger.push_watermarks(&passes).await?;
    let arrived = |message: &OutgoingMessage| {
        watermarks.get(&message.pass()).is_some_and(|position| *position >= message.position())
    };
    Ok(messages.into_iter().filter(|message| !arrived(message)).collect())
}

/// Passes that were held back and can be published now, page by page.
#[derive(Debug, Default)]
pub(crate) struct HeldBackPasses {
    after: Option<PassId>,
    over: bool,
}

impl HeldBackPasses {
    /// Whether all of them have been looked at.
    pub(crate) fn are_over(&self) -> bool {
        self.over
    }

    /// Looks at the next page. A message that was published already is only given when it must have arrived, and has not: `settled`.
    pub(crate) async fn step<L: EventLog>(
        &mut self,
        source: &Source<L>,
        ledger: &Ledger,
        checkpoint: &mut Checkpoint,
        settled: bool,
    ) -> Result<Vec<OutgoingMessage>, FollowError> {
        let held = ledger.held_back(self.after.as_ref(), PAGE).await?;
        self.over = held.len() < PAGE as usize;
        self.after = held.last().map(|held| held.pass.clone());
        if held.is_empty() {
            return Ok(Vec::new());
        }
        // Asked before the states: a pass that is let go in between is looked at again.
        let (parked, shown) = (source.parked(), source.shown());
        // Also of a pass that stands still: it may have moved on by some events.
        let states = source.current_states(held.iter().map(|held| &held.pass)).await?;
        let lost = never_arrived(ledger, states).await?;
        let missing: BTreeSet<PassId> = lost.iter().map(OutgoingMessage::pass).collect();
        // Skipped, or arrived: nothing is left to be published.
        let free: Vec<HeldBack> = held
            .iter()
            .filter(|held| {
                held.position <= shown && !parked.contains(&held.pass) && !missing.contains(&held.pass)
            })
            .cloned()
            .collect();
        if !free.is_empty() {
            checkpoint.let_go(&[], &free).await?;
        }
        let published_before = |message: &OutgoingMessage| {
            held.iter().any(|held| held.pass == message.pass() && held.published >= message.position())
        };
        Ok(lost.into_iter().filter(|message| settled || !published_before(message)).collect())
    }
}
