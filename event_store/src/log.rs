//! The promises of an event log.
//!
//! **Position.** Every event has one: strictly increasing in the order of commits, so a reader that has seen position `n` will never be
//! shown a smaller one later. Checkpoints and update tags rest on this. It is assigned under one lock at append. The other ways lose
//! events: an identity column is taken before the commit, so `n + 1` can be visible while `n` is still open; ordering by transaction id
//! breaks when a dump is restored into another cluster; watching for gaps has to guess how long to wait for one. On SQLite and Postgres positions are
//! the numbers of events, and the questions below that can be answered by that are; on KurrentDB they are not. Nothing above this crate counts on it.
//!
//! **Acknowledged means on disk.** [`EventLog::append`] answers after the sync. Appends that arrive together are committed together;
//! a conflict in one of them fails that one alone.

use std::future::Future;

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use tokio::sync::watch;

use crate::epoch::Epoch;
use crate::error::{AppendError, LogError};
use crate::event::{Append, RecordedEvent};
use crate::position::Position;
use crate::turn::Turn;

/// An append-only, totally ordered log of events.
pub trait EventLog: Send + Sync + 'static {
    /// Appends to one stream and answers, once that is on disk, the position of the last event appended.
    fn append(&self, append: Append) -> impl Future<Output = Result<Position, AppendError>> + Send;

    /// Waits for a turn at an aggregate that several processes change all the time, so that they do it one after the other. `None` where no
    /// other process writes, and when it does not come soon. A caller without a turn may append as well.
    fn turn(
        &self,
        _aggregate_type: &'static str,
        _aggregate_id: &str,
    ) -> impl Future<Output = Option<Turn>> + Send {
        async { None }
    }

    /// The events of one aggregate behind a sequence, in order.
    fn load<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> impl Future<Output = Result<Vec<SerializedEvent>, LogError>> + Send;

    /// At most `limit` events of one aggregate behind a sequence, in order and as they were recorded. An event that is not readable has null for
    /// payload and metadata.
    fn history<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<RecordedEvent>, LogError>> + Send;

    /// The position of the event of an aggregate with this sequence.
    fn position_of<A: Aggregate>(
        &self,
        aggregate_id: &str,
        sequence: u64,
    ) -> impl Future<Output = Result<Option<Position>, LogError>> + Send;

    /// At most `limit` events behind a position, in order; on KurrentDB the position is 0 or that of an event. [`LogError::Unreadable`] only when the first of them is: those before an unreadable
    /// one are answered, so that a reader can come as far as to it, then take its known parts and go on behind it.
    fn read_after(
        &self,
        position: Position,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<RecordedEvent>, LogError>> + Send;

    /// The event at a position, if there is one at it. [`LogError::Unreadable`] when it cannot be read.
    fn event_at(
        &self,
        position: Position,
    ) -> impl Future<Output = Result<Option<RecordedEvent>, LogError>> + Send {
        async move {
            let before = Position(position.0.saturating_sub(1));
            match self.read_after(before, 1).await {
                Ok(events) => Ok(events.into_iter().next().filter(|event| event.position == position)),
                Err(LogError::Unreadable { event, .. }) if event.position != position => Ok(None),
                Err(fault) => Err(fault),
            }
        }
    }

    /// Whether the event log goes as far as a position, whatever this process knows of it.
    fn reaches(&self, position: Position) -> impl Future<Output = Result<bool, LogError>> + Send {
        async move {
            let Some(before) = position.0.checked_sub(1) else { return Ok(true) };
            match self.read_after(Position(before), 1).await {
                Ok(events) => Ok(!events.is_empty()),
                Err(LogError::Unreadable { .. }) => Ok(true),
                Err(fault) => Err(fault),
            }
        }
    }

    /// Whether there are more than so many events behind a position.
    fn has_more_than(
        &self,
        events: u32,
        position: Position,
    ) -> impl Future<Output = Result<bool, LogError>> + Send {
        async move { self.reaches(Position(position.0 + u64::from(events) + 1)).await }
    }

    /// The position of the last event that this process knows of; every change wakes those that wait for it. It may be behind for a moment when
    /// other processes write to the same event log.
    fn head(&self) -> watch::Receiver<Position>;

    /// The beginning of the update tags of this event log.
    fn epoch(&self) -> Epoch;
}
