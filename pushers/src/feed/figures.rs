//! How far messages have come, for metrics.

use honoken_event_store::Position;

/// What a feed, or the relay, has done in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedFigures {
    /// Whether this process is the one that does it.
    pub leads: bool,
    /// Everything up to here has been said. The lag is the head of the log less this, and of interest where `leads`.
    pub position: Position,
    /// Messages that were said, since the process started.
    pub said: u64,
    /// Those among them that were said again by the sweep.
    pub swept: u64,
}
