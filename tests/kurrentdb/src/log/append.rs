//! Appending: the revision that the writer expects, and the answer to events that were stored before.

use uuid::Uuid;

use super::record::Visibility;
use super::{Log, Proposal};

/// The state of the stream that a writer expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Whatever it is.
    Any,
    /// It has no events, or was deleted softly.
    NoStream,
    /// It has events, or metadata, and is not deleted.
    Exists,
    /// The revision of its newest event.
    Exactly(u64),
}

impl Expected {
    /// As the server writes it into the trailers of an error.
    pub(crate) fn number(self) -> i128 {
        match self {
            Expected::Any => -2,
            Expected::NoStream => -1,
            Expected::Exists => -4,
            Expected::Exactly(revision) => i128::from(revision),
        }
    }
}

/// Where events stand now, or stood already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The revision of the last of them; of nothing if the stream has none.
    pub(crate) revision: Option<u64>,
    /// The first byte of the last of them.
    pub(crate) position: u64,
}

/// Why nothing was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// The newest event of the stream is another.
    WrongVersion { current: Option<u64> },
    /// The stream has a tombstone, or was expected to be there and is deleted softly.
    Deleted,
}

/// What is to be done with events.
enum Decision {
    Store,
    /// They were stored before; this is the last of them.
    Known(usize),
}

impl Log {
    /// Stores all of the events or none, unless they are stored already.
    pub(crate) fn append(
        &mut self,
        stream: &str,
        expected: Expected,
        events: Vec<Proposal>,
        now: u64,
    ) -> Result<Appended, Conflict> {
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        if let Decision::Known(index) = self.decide(stream, expected, &ids)? {
            let record = &self.records[index];
            return Ok(Appended { revision: Some(record.revision), position: record.position });
        }
        let deleted = self.streams.get(stream).filter(|stream| stream.is_soft_deleted());
        let undeleted = deleted.map(super::Stream::next);
        let mut position = self.end;
        if events.is_empty() {
            let empty = self.own_event("", &serde_json::Value::Null);
            self.push(stream, empty, now, Visibility::Hidden);
        }
        for event in events {
            position = self.push(stream, event, now, Visibility::Event);
        }
        if let Some(first) = undeleted {
            let metadata = self.own_event("$metadata", &serde_json::json!({"$tb": first}));
            self.push(&format!("$${stream}"), metadata, now, Visibility::Event);
        }
        let revision = self.streams.get(stream).and_then(super::Stream::last);
        Ok(Appended { revision, position })
    }

    /// Whether events with these ids may be stored.
    fn decide(&self, stream: &str, expected: Expected, ids: &[Uuid]) -> Result<Decision, Conflict> {
        let known = self.streams.get(stream);
        let original = stream.strip_prefix("$$").and_then(|original| self.streams.get(original));
        if [known, original].into_iter().flatten().any(|stream| stream.tombstone().is_some()) {
            return Err(Conflict::Deleted);
        }
        let current = known.and_then(super::Stream::last);
        let is_soft_deleted = known.is_some_and(super::Stream::is_soft_deleted);
        let next = current.map_or(0, |current| current + 1);
        match expected {
            Expected::Exists if is_soft_deleted => Err(Conflict::Deleted),
            Expected::Exists if current.is_none() && !self.has_metadata(stream) => {
                Err(Conflict::WrongVersion { current })
            }
            Expected::Any | Expected::Exists => self.anywhere(stream, current, ids),
            Expected::NoStream => self.from(stream, 0, next, is_soft_deleted, ids),
            Expected::Exactly(revision) => self.from(stream, revision.saturating_add(1), next, false, ids),
        }
    }

    fn has_metadata(&self, stream: &str) -> bool {
        let metadata = self.streams.get(&*format!("$${stream}"));
        metadata.and_then(super::Stream::last).is_some()
    }

    /// The writer does not say where the events should be: they are known if all of them are anywhere in the stream.
    fn anywhere(&self, stream: &str, current: Option<u64>, ids: &[Uuid]) -> Result<Decision, Conflict> {
        let mut found = None;
        for id in ids {
            let here = self.ids.get(id).filter(|index| &*self.records[**index].stream == stream);
            match (here, found) {
                (Some(index), _) => found = Some(*index),
                (None, None) => return Ok(Decision::Store),
                (None, Some(_)) => return Err(Conflict::WrongVersion { current }),
            }
        }
        Ok(found.map_or(Decision::Store, Decision::Known))
    }

    /// The writer says where the first event should be: they are known if they are there.
    fn from(
        &self,
        stream: &str,
        first: u64,
        next: u64,
        or_store: bool,
        ids: &[Uuid],
    ) -> Result<Decision, Conflict> {
        let wrong = Conflict::WrongVersion { current: next.checked_sub(1) };
        if first == next {
            return Ok(Decision::Store);
        }
        if first > next {
            return Err(wrong);
        }
        let mut found = None;
        for (id, revision) in ids.iter().zip(first..) {
            let index = self.streams.get(stream).and_then(|stream| stream.index_of(revision));
            match index.filter(|index| self.records[*index].event.id == *id) {
                Some(index) => found = Some(index),
                None if found.is_none() && or_store => return Ok(Decision::Store),
                None => return Err(wrong),
            }
        }
        match found {
            Some(index) => Ok(Decision::Known(index)),
            None if or_store => Ok(Decision::Store),
            None => Err(wrong),
        }
    }

    /// Whether a stream may be deleted by a writer that expects this state of it.
    pub(super) fn may_change(&self, stream: &str, expected: Expected) -> Result<(), Conflict> {
        self.decide(stream, expected, &[Uuid::nil()]).map(|_| ())
    }
}
