//! An aggregate as it was: its events up to a moment, on the stored state if that is not younger.

use std::sync::Arc;

use cqrs_es::persist::SerializedEvent;
use honoken_domain::snapshot::Snapshot;

use crate::dispatch::{DispatchError, Dispatcher, understood};
use crate::error::LogError;
use crate::event::RecordedEvent;
use crate::log::EventLog;
use crate::position::Position;
use crate::snapshots::Snapshots;
use crate::states::State;

/// Events that are read at a time.
const PAGE: u32 = 100;

/// A moment of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// With the event at this position, or the last one before it.
    Position(Position),
    /// With the last event that was recorded no later than this, Unix milliseconds, and with all before it, also where the clock ran back between them.
    Time(i64),
}

/// An aggregate as it was.
#[derive(Debug)]
pub struct Past<A> {
    /// The aggregate.
    pub aggregate: Arc<A>,
    /// The position of its last event of a kind that was asked for; 0 when there was none.
    pub position: Position,
}

impl<L: EventLog + Snapshots> Dispatcher<L> {
    /// The aggregate at a moment, and the last event of a kind up to there. `None` before its first event.
    ///
    /// # Errors
    /// When the event log is unavailable, or an event cannot be read that the state rests on.
    pub async fn past<A: Snapshot>(
        &self,
        aggregate_id: &str,
        moment: Moment,
        is_of_kind: impl Fn(&str) -> bool + Sync,
    ) -> Result<Option<Past<A>>, DispatchError<A::Error>> {
        let stored = self.log.load_snapshot(A::TYPE, aggregate_id).await?;
        let last = match moment {
            Moment::Position(_) => u64::MAX,
            Moment::Time(time) => self.last_recorded::<A>(aggregate_id, time).await?,
        };
        let stored = stored.filter(|stored| match moment {
            Moment::Position(position) => stored.position <= position,
            Moment::Time(_) => stored.sequence <= last,
        });
        let mut state = stored.and_then(understood::<A>).unwrap_or_default();
        let is_within = |event: &RecordedEvent| match moment {
            Moment::Position(position) => event.position <= position,
            Moment::Time(_) => event.event.sequence as u64 <= last,
        };
        let found = self.fold(aggregate_id, &mut state, is_within, &is_of_kind).await?;
        if state.sequence == 0 {
            return Ok(None);
        }
        let position = match found {
            Some(position) => position,
            None => self.last_of_kind::<A>(aggregate_id, state.sequence, &is_of_kind).await?,
        };
        Ok(Some(Past { aggregate: state.aggregate, position }))
    }

    /// The sequence of the last event that was recorded no later than a time; 0 when there is none.
    async fn last_recorded<A: Snapshot>(&self, aggregate_id: &str, time: i64) -> Result<u64, LogError> {
        let (mut after, mut last) = (0, 0);
        loop {
            let page = self.log.history::<A>(aggregate_id, after, PAGE).await?;
            let Some(end) = page.last() else { return Ok(last) };
            after = end.event.sequence as u64;
            let found = page.iter().rev().find(|event| event.recorded_at_ms <= time);
            last = found.map_or(last, |event| event.event.sequence as u64);
        }
    }

    /// Applies events to a state for as long as they are within; answers the position of the last of a kind.
    async fn fold<A: Snapshot>(
        &self,
        aggregate_id: &str,
        state: &mut State<A>,
        is_within: impl Fn(&RecordedEvent) -> bool,
        is_of_kind: impl Fn(&str) -> bool,
    ) -> Result<Option<Position>, DispatchError<A::Error>> {
        let (mut found, mut damage) = (None, None);
        'pages: loop {
            let page = self.log.history::<A>(aggregate_id, state.sequence, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for recorded in page {
                if !is_within(&recorded) {
                    break 'pages;
                }
                let RecordedEvent { position, event, .. } = recorded;
                state.sequence = event.sequence as u64;
                if is_of_kind(&event.event_type) {
                    found = Some(position);
                }
                if A::WHOLE == Some(event.event_type.as_str()) {
                    // It states everything, whatever was before it.
                    (damage, state.aggregate) = (None, Arc::default());
                }
                if damage.is_none() {
                    damage = self.apply::<A>(state, event).err();
                }
            }
        }
        match damage {
            None => Ok(found),
            Some((sequence, source)) => {
                Err(DispatchError::Undecodable { aggregate_id: aggregate_id.to_owned(), sequence, source })
            }
        }
    }

    fn apply<A: Snapshot>(
        &self,
        state: &mut State<A>,
        event: SerializedEvent,
    ) -> Result<(), (usize, serde_json::Error)> {
        let sequence = event.sequence;
        let event = self.upcasters.upcast(event);
        let event = serde_json::from_value(event.payload).map_err(|fault| (sequence, fault))?;
        Arc::make_mut(&mut state.aggregate).apply(event);
        Ok(())
    }

    /// The position of the last event of a kind up to a sequence; 0 when there is none.
    async fn last_of_kind<A: Snapshot>(
        &self,
        aggregate_id: &str,
        mut sequence: u64,
        is_of_kind: impl Fn(&str) -> bool,
    ) -> Result<Position, LogError> {
        while let Some(before) = sequence.checked_sub(1) {
            let event = self.log.history::<A>(aggregate_id, before, 1).await?.into_iter().next();
            if let Some(event) = event.filter(|event| is_of_kind(&event.event.event_type)) {
                return Ok(event.position);
            }
            sequence = before;
        }
        Ok(Position(0))
    }
}
