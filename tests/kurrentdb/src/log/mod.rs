//! Everything that is stored: one log, and for each stream the records that are its own.
//!
//! Records stand in the log one behind the other, so a position is valid only where one begins. Ids are kept for ever, where the real server
//! keeps them in a cache of bounded size; links and `$maxAge` are not known.

mod append;
mod delete;
mod read;
mod record;
mod stream;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

pub(crate) use append::{Appended, Conflict, Expected};
pub(crate) use read::StreamState;
pub(crate) use record::{Place, Proposal, Record, TOMBSTONE};

use record::Visibility;
use stream::Stream;

/// The log and its indexes.
#[derive(Debug)]
pub(crate) struct Log {
    records: Vec<Arc<Record>>,
    streams: HashMap<Arc<str>, Stream>,
    /// Where the event with an id stands; the newest, if there are several.
    ids: HashMap<Uuid, usize>,
    /// The first byte that is free.
    end: u64,
    /// How many ids the log gave to records of its own.
    own_ids: u128,
}

impl Log {
    /// A log as a server has it that was just started: it holds records of the server's own.
    pub(crate) fn new(now: u64) -> Self {
        let mut log =
            Log { records: Vec::new(), streams: HashMap::new(), ids: HashMap::new(), end: 0, own_ids: 0 };
        let epoch = log.own_event("$epoch-information", &serde_json::json!({"EpochNumber": 0}));
        log.push("$epoch-information", epoch, now, Visibility::Hidden);
        for user in ["admin", "ops"] {
            let created = log.own_event("$UserCreated", &serde_json::json!({"loginName": user}));
            log.push(&format!("$user-{user}"), created, now, Visibility::Event);
        }
        log
    }

    /// The first byte that is free.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The place of the newest record.
    pub(crate) fn last(&self) -> Place {
        self.records.last().map_or(Place::FIRST, |record| record.place())
    }

    /// How many records there are, hidden ones counted.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// An event with an id that the log makes up.
    fn own_event(&mut self, event_type: &str, data: &serde_json::Value) -> Proposal {
        self.own_ids += 1;
        Proposal {
            id: Uuid::from_u128(0x5e1f_0000_0000_4000_8000_0000_0000_0000 + self.own_ids),
            event_type: event_type.to_owned(),
            is_json: true,
            data: Bytes::from(data.to_string()),
            metadata: Bytes::new(),
        }
    }

    /// Puts an event at the end of the log and of its stream, and says where.
    fn push(&mut self, stream: &str, event: Proposal, now: u64, visibility: Visibility) -> u64 {
        let stream = self.stream_name(stream);
        let revision = match self.streams.get(&stream) {
            Some(known) => known.next(),
            None => 0,
        };
        let mut record = Record::new(self.end, stream, revision, now, event);
        record.visibility = visibility;
        self.keep(record)
    }

    /// Puts a record where the log ends, and into the indexes.
    fn keep(&mut self, record: Record) -> u64 {
        let (index, position) = (self.records.len(), record.position);
        self.end = record.end();
        if record.visibility == Visibility::Event {
            self.ids.insert(record.event.id, index);
            let stream = self.streams.entry(Arc::clone(&record.stream)).or_default();
            stream.keep(index, record.revision);
            if let Some(original) = record.stream.strip_prefix("$$") {
                let original = self.stream_name(original);
                self.streams.entry(original).or_default().describe(&record.event.data);
            }
        }
        self.records.push(Arc::new(record));
        position
    }

    /// One name for one stream, so that its records share the memory.
    fn stream_name(&self, name: &str) -> Arc<str> {
        self.streams.get_key_value(name).map_or_else(|| Arc::from(name), |(known, _)| Arc::clone(known))
    }

    /// Loses everything behind a position, as a restored backup has.
    pub(crate) fn set_back(&mut self, position: u64) {
        let kept = self.records.partition_point(|record| record.position <= position);
        let records = std::mem::take(&mut self.records);
        self.streams.clear();
        self.ids.clear();
        self.end = 0;
        for record in records.into_iter().take(kept) {
            self.keep(Arc::unwrap_or_clone(record));
        }
    }

    /// Other bytes in the place of an event's, and whether there is such an event.
    pub(crate) fn replace_data(&mut self, stream: &str, revision: u64, data: Bytes) -> bool {
        let index = self.streams.get(stream).and_then(|stream| stream.index_of(revision));
        if let Some(index) = index {
            Arc::make_mut(&mut self.records[index]).event.data = data;
        }
        index.is_some()
    }
}
