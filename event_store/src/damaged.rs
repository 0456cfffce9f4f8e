//! Streams of which an event cannot be read: how an aggregate is loaded from what follows, and how that comes to be there.
//!
//! Such an aggregate answers no command, since its state is not known. Once an operator has decided to do without the event, a command states
//! the whole of what is known in one event ([`Snapshot::WHOLE`]), and from then on nothing before that event is needed.

use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::SerializedEvent;
use honoken_domain::snapshot::Snapshot;

use crate::dispatch::{Committed, DispatchError, Dispatcher, Metadata, append_of, understood};
use crate::error::{AppendError, LogError};
use crate::event::RecordedEvent;
use crate::log::EventLog;
use crate::position::Position;
use crate::snapshots::Snapshots;
use crate::states::State;

/// Events that are read at a time.
const PAGE: u32 = 100;

/// Attempts beside other processes, which do not change an aggregate that they cannot load.
const TRIES: usize = 5;

impl<L: EventLog + Snapshots> Dispatcher<L> {
    /// The last event that states the whole aggregate and those behind it, in a stream in which an event cannot be read; `None` where none of
    /// the first kind is behind those that cannot.
    pub(crate) async fn behind_damage<A: Snapshot>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> Result<Option<Vec<SerializedEvent>>, LogError> {
        let Some(whole) = A::WHOLE else { return Ok(None) };
        let (mut events, mut after): (Option<Vec<SerializedEvent>>, _) = (None, after_sequence);
        loop {
            let page = self.log.history::<A>(aggregate_id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(events) };
            after = last.event.sequence as u64;
            for recorded in page {
                events = match events {
                    _ if !is_readable(&recorded) => None,
                    _ if recorded.event.event_type == whole => Some(vec![recorded.event]),
                    Some(mut events) => {
                        events.push(recorded.event);
                        Some(events)
                    }
                    None => None,
                };
            }
        }
    }

    /// Carries a command to an aggregate of which an event cannot be read, without that event. `None` when every event can be read: then there
    /// is nothing to repair.
    ///
    /// # Errors
    /// [`DispatchError`]. A refusal has appended nothing.
    pub async fn dispatch_past_damage<A>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        services: &A::Services,
        metadata: &Metadata,
    ) -> Result<Option<Committed<A>>, DispatchError<A::Error>>
    where
        A: Snapshot,
        A::Command: Clone,
    {
        let key = (A::TYPE, aggregate_id.to_owned());
        let _turn = self.stripe_of(&key).await;
        for _ in 0..TRIES {
            match self.load::<A>(aggregate_id).await {
                Ok(_) => return Ok(None),
                Err(fault) if fault.damaged().is_some() => {}
                Err(fault) => return Err(fault),
            }
            let mut state = self.load_readable::<A>(aggregate_id).await?;
            let mut aggregate = A::clone(&state.aggregate);
            let sink = EventSink::default();
            aggregate.handle(command.clone(), services, &sink).await.map_err(DispatchError::Refused)?;
            let events = sink.collect().await;
            match self.log.append(append_of::<A>(aggregate_id, state.sequence, &events, metadata)).await {
                Ok(position) => {
                    state.aggregate = Arc::new(aggregate);
                    state.sequence += events.len() as u64;
                    state.position = Some(position);
                    let (aggregate, aggregate_id) = (state.aggregate.clone(), aggregate_id.to_owned());
                    self.states.put(key, state).await;
                    return Ok(Some(Committed { aggregate_id, aggregate, events, position }));
                }
                Err(AppendError::Conflict) => {}
                Err(AppendError::Log(fault)) => return Err(fault.into()),
                Err(AppendError::Unknown(fault)) => return Err(DispatchError::OutcomeUnknown(fault)),
            }
        }
        Err(DispatchError::Conflict)
    }

    /// The positions of the events of an aggregate that cannot be read.
    ///
    /// # Errors
    /// When the event log is unavailable.
    pub async fn damage_of<A: Snapshot>(&self, aggregate_id: &str) -> Result<Vec<Position>, LogError> {
        let (mut damaged, mut after) = (Vec::new(), 0);
        loop {
            let page = self.log.history::<A>(aggregate_id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(damaged) };
            after = last.event.sequence as u64;
            for RecordedEvent { position, event, .. } in page {
                let event = self.upcasters.upcast(event);
                if serde_json::from_value::<A::Event>(event.payload).is_err() {
                    damaged.push(position);
                }
            }
        }
    }

    /// The state that the readable events lead to.
    async fn load_readable<A: Snapshot>(
        &self,
        aggregate_id: &str,
    ) -> Result<State<A>, DispatchError<A::Error>> {
        let stored = self.log.load_snapshot(A::TYPE, aggregate_id).await?;
        let mut state = stored.and_then(understood::<A>).unwrap_or_default();
        let aggregate = Arc::make_mut(&mut state.aggregate);
        loop {
            let page = self.log.history::<A>(aggregate_id, state.sequence, PAGE).await?;
            let Some(last) = page.last() else { return Ok(state) };
            state.sequence = last.event.sequence as u64;
            for recorded in page {
                let event = self.upcasters.upcast(recorded.event);
                // Those that are no events are what this is about.
                if let Ok(event) = serde_json::from_value(event.payload) {
                    aggregate.apply(event);
                }
            }
        }
    }
}

/// An event that cannot be read has null for its payload, which no event is.
fn is_readable(recorded: &RecordedEvent) -> bool {
    !recorded.event.payload.is_null()
}
