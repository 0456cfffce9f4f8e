//! Reading a page of a stream or of `$all`. Nothing is looked at that stands before the page.

use std::sync::Arc;

use super::record::Visibility;
use super::{Log, Place, Record};
use crate::filter::Filter;

/// A position in `$all` at which no record begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidPosition;

/// A page of `$all`.
#[derive(Debug)]
pub(crate) struct AllPage {
    pub(crate) records: Vec<Arc<Record>>,
    /// Where the next page begins.
    pub(crate) next: Place,
    /// How many events were looked at.
    pub(crate) considered: u32,
    /// Whether nothing is left in this direction.
    pub(crate) is_end: bool,
}

/// A stream, to its readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamState {
    /// It has no events, or was deleted softly.
    NotFound,
    /// It has a tombstone.
    Tombstoned,
    /// Its first and its last revision; the first is behind the last if all events are truncated.
    Known { first: u64, last: u64 },
}

impl Log {
    /// What readers of a stream find.
    pub(crate) fn state_of(&self, stream: &str) -> StreamState {
        let original = stream.strip_prefix("$$").and_then(|original| self.streams.get(original));
        if original.is_some_and(|stream| stream.tombstone().is_some()) {
            return StreamState::Tombstoned;
        }
        match self.streams.get(stream) {
            Some(stream) if stream.tombstone().is_some() => StreamState::Tombstoned,
            Some(stream) if !stream.is_soft_deleted() => match stream.last() {
                Some(last) => StreamState::Known { first: stream.first(), last },
                None => StreamState::NotFound,
            },
            _ => StreamState::NotFound,
        }
    }

    /// The revision of the newest event of a stream, seen by readers or not.
    pub(crate) fn last_of(&self, stream: &str) -> Option<u64> {
        self.streams.get(stream).and_then(super::Stream::last)
    }

    /// Events of a stream from a revision on, those included that readers who come later do not see.
    pub(crate) fn range_of(&self, stream: &str, from: u64, count: u64) -> Vec<Arc<Record>> {
        let indexes = self.streams.get(stream).map_or(&[][..], |stream| stream.range(from, count));
        indexes.iter().map(|index| Arc::clone(&self.records[*index])).collect()
    }

    /// The event that ended a stream.
    pub(crate) fn tombstone_of(&self, stream: &str) -> Option<Arc<Record>> {
        let index = self.streams.get(stream)?.tombstone()?;
        Some(Arc::clone(&self.records[index]))
    }

    /// At the most so many events from a place on, that at the place included, and at the most so many looked at.
    pub(crate) fn page(
        &self,
        from: Place,
        count: usize,
        window: u32,
        filter: Option<&Filter>,
    ) -> Result<AllPage, InvalidPosition> {
        let mut page = AllPage { records: Vec::new(), next: from, considered: 0, is_end: false };
        let mut index = self.records.partition_point(|record| record.position < from.commit);
        let begins_here = self.records.get(index).is_none_or(|record| record.position == from.commit);
        if from.commit <= self.last().commit && !begins_here {
            return Err(InvalidPosition);
        }
        while page.records.len() < count && page.considered < window {
            let Some(record) = self.records.get(index) else {
                page.is_end = true;
                break;
            };
            index += 1;
            if record.place() >= from && record.visibility == Visibility::Event {
                page.considered += 1;
                page.next = Place { commit: record.end(), prepare: 0 };
                if filter.is_none_or(|filter| filter.allows(record)) {
                    page.records.push(Arc::clone(record));
                }
            }
        }
        Ok(page)
    }

    /// At the most so many events before a place, the newest first, and at the most so many looked at.
    pub(crate) fn page_backwards(
        &self,
        from: Place,
        count: usize,
        window: u32,
        filter: Option<&Filter>,
    ) -> Result<AllPage, InvalidPosition> {
        let mut page = AllPage { records: Vec::new(), next: from, considered: 0, is_end: false };
        let mut index = self.records.partition_point(|record| record.end() <= from.commit);
        let end = index.checked_sub(1).map_or(0, |before| self.records[before].end());
        if from.commit != end {
            return Err(InvalidPosition);
        }
        while page.records.len() < count && page.considered < window {
            let Some(before) = index.checked_sub(1) else {
                page.is_end = true;
                break;
            };
            index = before;
            let record = &self.records[index];
            if Place::of(record.end()) <= from && record.visibility == Visibility::Event {
                page.considered += 1;
                page.next = record.place();
                if filter.is_none_or(|filter| filter.allows(record)) {
                    page.records.push(Arc::clone(record));
                }
            }
        }
        Ok(page)
    }

    /// The events behind the first so many records, and how many records there are now.
    pub(crate) fn behind(&self, len: usize) -> (Vec<Arc<Record>>, usize) {
        let records = self.records.get(len..).unwrap_or_default();
        let events = records.iter().filter(|record| record.visibility == Visibility::Event);
        (events.map(Arc::clone).collect(), self.records.len())
    }
}
