//! How far messages have come, for metrics.

use honoken_event_store::Position;

/// What a feed, or the relay, has done in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedFigures {
    /// Whether this process is the one that does it.
    pub leads: bool,
    /// Whether it was found paused at its last look. Until then a page may still be published.
    pub paused: bool,
    /// Everything up to here has been published. The lag is the head of the event log less this, and of interest where `leads`.
    pub position: Position,
    /// Messages that were published, since the process started.
    pub published: u64,
    /// Those among them that the sweep has published again.
    pub swept: u64,
}
