//! A log on KurrentDB that is being filled from another one.
//!
//! Positions are the server's, so they cannot be kept: the copy has the events in the same order, numbered from 1 on where they are compared, and an
//! epoch of its own, by which phones ask for everything once.

use eventstore::EventData;

use super::about::{self, About};
use super::address::Address;
use super::appending::append_events;
use super::connection::{Connection, Fault};
use super::stored_form::{self, Parts, new_id, position_of};
use super::{ROWS, at_start, connect, reading};
use crate::epoch::Epoch;
use crate::error::{AppendError, LogError};
use crate::marks::Mark;
use crate::position::Position;
use crate::transfer::{BATCH_BYTES, StoredEvent};

/// Events of one stream that are appended at once.
const RUN: usize = 100;

/// A log that is being filled.
pub(crate) struct KurrentTarget {
    connection: Connection,
    about: About,
}

impl KurrentTarget {
    pub(crate) async fn open(address: &Address) -> Result<Self, LogError> {
        let connection = connect(address)?;
        let read = async { about::read(&connection).await.map_err(Fault::while_it_is("opened")) };
        let about = at_start(read).await?;
        Ok(Self { connection, about })
    }

    pub(crate) fn marks(&self) -> &[String] {
        &self.about.marks
    }

    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.about.epoch
    }

    /// How many events it has.
    pub(crate) async fn count(&self) -> Result<Position, LogError> {
        let (mut position, mut count) = (Position(0), 0);
        loop {
            let events = reading::after(&self.connection, position, ROWS, BATCH_BYTES).await;
            let events = events.map_err(Fault::while_it_is("read"))?;
            let Some(last) = events.last() else { return Ok(Position(count)) };
            position = position_of(last);
            count += events.len() as u64;
        }
    }

    /// Appends events one after the other, since their order is that of the log; those of one stream that follow each other go together.
    pub(crate) async fn append(&self, events: &[StoredEvent]) -> Result<(), LogError> {
        let is_same_stream = |one: &StoredEvent, next: &StoredEvent| {
            (&one.aggregate_type, &one.aggregate_id) == (&next.aggregate_type, &next.aggregate_id)
        };
        for run in events.chunk_by(is_same_stream).flat_map(|run| run.chunks(RUN)) {
            self.append_run(run).await?;
        }
        Ok(())
    }

    async fn append_run(&self, run: &[StoredEvent]) -> Result<(), LogError> {
        let Some(first) = run.first() else { return Ok(()) };
        let stream = self.connection.address.stream(&first.aggregate_type, &first.aggregate_id);
        let expected = first.sequence.unsigned_abs().saturating_sub(1);
        if expected == 0 {
            let listed = about::list(&self.connection, &first.aggregate_type, &first.aggregate_id).await;
            listed.map_err(Fault::while_it_is("written"))?;
        }
        let events: Result<Vec<EventData>, _> = run.iter().map(event_of).collect();
        let events = events.map_err(LogError::unavailable("written"))?;
        match append_events(&self.connection, &stream, expected, events).await {
            Ok(_) => Ok(()),
            Err(AppendError::Log(fault)) => Err(fault),
            Err(AppendError::Unknown(fault)) => Err(LogError::unavailable("written")(fault)),
            Err(AppendError::Conflict) => {
                let fault = format!("{stream} has other events: something else writes to this log");
                Err(LogError::unavailable("written")(fault))
            }
        }
    }

    /// Some events behind a position, with the positions of the server.
    pub(crate) async fn stored_after(&self, position: Position) -> Result<Vec<StoredEvent>, LogError> {
        stored_after(&self.connection, position).await
    }

    pub(crate) async fn claim(&mut self, epoch: Epoch) -> Result<(), LogError> {
        let written = Fault::while_it_is("written");
        about::put_mark(&self.connection, &self.about, Mark::Filling).await.map_err(&written)?;
        if self.about.epoch != Some(epoch) {
            about::change_epoch(&self.connection, epoch).await.map_err(&written)?;
        }
        self.about = about::read(&self.connection).await.map_err(&written)?;
        Ok(())
    }

    pub(crate) async fn finish(&self, marks: &[Mark]) -> Result<(), LogError> {
        let written = Fault::while_it_is("written");
        for mark in marks {
            about::put_mark(&self.connection, &self.about, *mark).await.map_err(&written)?;
        }
        about::remove_mark(&self.connection, Mark::Filling).await.map_err(&written)
    }
}

fn event_of(event: &StoredEvent) -> Result<EventData, serde_json::Error> {
    let parts = Parts {
        event_type: &event.event_type,
        event_version: &event.event_version,
        payload: &event.payload,
        metadata: &event.metadata,
        recorded_at_ms: event.recorded_at_ms,
    };
    parts.to_event(new_id())
}

/// Some events behind a position, as they are stored.
pub(super) async fn stored_after(
    connection: &Connection,
    position: Position,
) -> Result<Vec<StoredEvent>, LogError> {
    let events = reading::after(connection, position, ROWS, BATCH_BYTES).await;
    let events = events.map_err(Fault::while_it_is("read"))?;
    events.iter().map(|event| stored_form::stored(&connection.address, event)).collect()
}
