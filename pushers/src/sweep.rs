//! Finds what was said and never arrived, and what could not be said when it was due.
//!
//! The broker may lose messages, as a whole stream when somebody deletes it. So the log is read a second time, behind the feed: a pass that shows
//! a state for which its phones were never woken, as the ledger knows, is said again. What was said lately is left alone: it is still on its
//! way. A pass that stood still was left out when its event was due; it is said as soon as it moves.

use std::collections::BTreeSet;

use honoken_domain::ids::PassId;
use honoken_event_store::{EventLog, Position};

use crate::ledger::feeds::{Checkpoint, CheckpointError};
use crate::ledger::held_back::HeldBack;
use crate::ledger::{Ledger, LedgerError};
use crate::source::{Said, Source, SourceError};

/// Events looked at in one step.
const PAGE: u32 = 250;

/// Why a sweep did not go on. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Log or read model are away.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The ledger is away.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// It could not be noted how far it is.
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
    /// Begins behind what is known to have arrived, and ends at `horizon`.
    pub(crate) fn new(checkpoint: &Checkpoint, horizon: Position) -> Self {
        Self { cursor: checkpoint.swept(), horizon, complete: true }
    }

    /// Whether there is nothing left to look at.
    pub(crate) fn is_over(&self) -> bool {
        self.cursor >= self.horizon
    }

    /// Looks on. Gives what never arrived, to be said again.
    pub(crate) async fn step<L: EventLog>(
        &mut self,
        source: &Source<L>,
        ledger: &Ledger,
        checkpoint: &mut Checkpoint,
    ) -> Result<Vec<Said>, SweepError> {
        // Tables that are filled again show less than they did.
        let horizon = self.horizon.min(source.shown());
        let page = source.read_between(self.cursor, horizon, PAGE).await?;
        // Of an older state nobody need hear: the newer one has a place of its own in the log.
        let current = page.messages.into_iter().filter(|said| said.current).collect();
        let lost = never_arrived(ledger, current).await?;
        self.complete &= lost.is_empty();
        if self.complete {
            checkpoint.sweep(page.up_to, &page.standing_still).await?;
        }
        // Nothing is left to be found by this one if it sees no further.
        self.cursor = if page.up_to > self.cursor { page.up_to } else { self.horizon };
        Ok(lost)
    }
}

/// What the ledger does not know.
async fn never_arrived(ledger: &Ledger, said: Vec<Said>) -> Result<Vec<Said>, LedgerError> {
    if said.is_empty() {
        return Ok(said);
    }
    let passes: Vec<PassId> = said.iter().map(Said::pass).collect();
    let watermarks = ledger.push_watermarks(&passes).await?;
    let arrived =
        |said: &Said| watermarks.get(&said.pass()).is_some_and(|position| *position >= said.position());
    Ok(said.into_iter().filter(|said| !arrived(said)).collect())
}

/// What was held back and can be said now, page by page.
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

    /// Looks at some more. What was said already is only given when it must have arrived, and has not: `settled`.
    pub(crate) async fn step<L: EventLog>(
        &mut self,
        source: &Source<L>,
        ledger: &Ledger,
        checkpoint: &mut Checkpoint,
        settled: bool,
    ) -> Result<Vec<Said>, SweepError> {
        let held = ledger.held_back(self.after.as_ref(), PAGE).await?;
        self.over = held.len() < PAGE as usize;
        self.after = held.last().map(|held| held.pass.clone());
        if held.is_empty() {
            return Ok(Vec::new());
        }
        // Asked before the states: a pass that is let go in between is looked at again.
        let (parked, shown) = (source.parked(), source.shown());
        // Also of one that stands still: it may have moved on by some events.
        let states = source.state_of(held.iter().map(|held| &held.pass)).await?;
        let lost = never_arrived(ledger, states).await?;
        let missing: BTreeSet<PassId> = lost.iter().map(Said::pass).collect();
        // Skipped, or arrived: nothing is left to be said.
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
        let said_before = |said: &Said| {
            held.iter().any(|held| held.pass == said.pass() && held.published >= said.position())
        };
        Ok(lost.into_iter().filter(|said| settled || !said_before(said)).collect())
    }
}
