//! Where the records of one stream are, and which of them its readers see.

use serde_json::Value;

use super::TOMBSTONE;

/// One stream. A stream of which there is only metadata has no records.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The places of its events in the log: that of revision n is the n-th.
    indexes: Vec<usize>,
    tombstone: Option<usize>,
    /// The first revision that readers see, by `$tb` of its metadata.
    truncated_before: u64,
    /// The most events that readers see, by `$maxCount` of its metadata.
    max_count: Option<u64>,
}

impl Stream {
    pub(super) fn keep(&mut self, index: usize, revision: u64) {
        if revision == TOMBSTONE {
            self.tombstone = Some(index);
        } else {
            self.indexes.push(index);
        }
    }

    /// Takes over new metadata; whatever it does not say is unlimited.
    pub(super) fn describe(&mut self, metadata: &[u8]) {
        let metadata: Value = serde_json::from_slice(metadata).unwrap_or_default();
        self.truncated_before = metadata["$tb"].as_u64().unwrap_or(0);
        self.max_count = metadata["$maxCount"].as_u64();
    }

    /// The revision of the next event.
    pub(super) fn next(&self) -> u64 {
        self.indexes.len() as u64
    }

    /// The revision of the newest event.
    pub(super) fn last(&self) -> Option<u64> {
        self.next().checked_sub(1)
    }

    pub(super) fn index_of(&self, revision: u64) -> Option<usize> {
        self.indexes.get(usize::try_from(revision).ok()?).copied()
    }

    pub(super) fn tombstone(&self) -> Option<usize> {
        self.tombstone
    }

    /// Whether it was deleted in a way that the next append undoes.
    pub(super) fn is_soft_deleted(&self) -> bool {
        self.truncated_before == TOMBSTONE
    }

    /// The first revision that readers see.
    pub(super) fn first(&self) -> u64 {
        let by_count = self.max_count.map_or(0, |count| self.next().saturating_sub(count));
        by_count.max(self.truncated_before)
    }

    /// The places in the log of the revisions of a range.
    pub(super) fn range(&self, from: u64, count: u64) -> &[usize] {
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(self.indexes.len());
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        &self.indexes[from..from.saturating_add(count).min(self.indexes.len())]
    }
}
