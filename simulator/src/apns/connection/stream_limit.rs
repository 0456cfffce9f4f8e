//! `SETTINGS_MAX_CONCURRENT_STREAMS` as it was announced and acknowledged.

use std::collections::VecDeque;

/// The limits that were announced to a client.
pub(super) struct StreamLimit {
    /// The limit that the client has acknowledged; none before its first acknowledgement.
    acknowledged: u32,
    /// Those that it has not acknowledged yet.
    announced: VecDeque<u32>,
}

impl StreamLimit {
    pub(super) fn new() -> Self {
        Self { acknowledged: u32::MAX, announced: VecDeque::new() }
    }

    pub(super) fn announce(&mut self, limit: u32) {
        self.announced.push_back(limit);
    }

    /// Whether there was anything to acknowledge.
    pub(super) fn acknowledge(&mut self) -> bool {
        let limit = self.announced.pop_front();
        self.acknowledged = limit.unwrap_or(self.acknowledged);
        limit.is_some()
    }

    /// Whether the client knows that it may open one more stream beside so many. When not, opening one breaks a rule.
    pub(super) fn is_acknowledged_for(&self, open: usize) -> bool {
        open < self.acknowledged as usize
    }

    /// Whether one more stream is within every limit, those included that the client may not have seen.
    pub(super) fn allows(&self, open: usize) -> bool {
        self.is_acknowledged_for(open) && self.announced.iter().all(|limit| open < *limit as usize)
    }
}
