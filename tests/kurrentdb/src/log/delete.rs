//! Deleting a stream: in a way that the next append undoes, or for ever.

use super::record::Visibility;
use super::{Conflict, Expected, Log, Record, TOMBSTONE};

impl Log {
    /// Hides the events of a stream from its readers, and says where that stands; `$all` keeps them, and revisions go on.
    pub(crate) fn delete(&mut self, stream: &str, expected: Expected, now: u64) -> Result<u64, Conflict> {
        self.may_change(stream, expected)?;
        let has_events = self.streams.get(stream).and_then(super::Stream::last).is_some();
        let metadata = format!("$${stream}");
        if !has_events && !self.streams.contains_key(&*metadata) {
            return Err(Conflict::WrongVersion { current: None });
        }
        let event = self.own_event("$metadata", &serde_json::json!({"$tb": TOMBSTONE}));
        Ok(self.push(&metadata, event, now, Visibility::Event))
    }

    /// Ends a stream for ever, and says where that stands.
    pub(crate) fn tombstone(&mut self, stream: &str, expected: Expected, now: u64) -> Result<u64, Conflict> {
        self.may_change(stream, expected)?;
        let event = self.own_event("$streamDeleted", &serde_json::json!({}));
        let name = self.stream_name(stream);
        Ok(self.keep(Record::new(self.end, name, TOMBSTONE, now, event)))
    }
}
