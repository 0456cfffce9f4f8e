//! Where the push subscriber gets its messages from. There are two feeds: NATS JetStream, and the event log itself where there is no NATS.

pub mod figures;
pub mod in_process;

use std::time::Duration;

use crate::message::PassContentChanged;

/// Why a feed could not be used for now. It is tried again.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct FeedError {
    /// What could not be done.
    pub doing: &'static str,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// A message, with the receipt that its feed knows it by.
#[derive(Debug)]
pub struct Received<R> {
    /// The message; else the beginning of a payload that is no such message. The latter is given to [`Feed::term`].
    pub message: Result<PassContentChanged, String>,
    /// The request that led to the change, for log output.
    pub request_id: Option<String>,
    /// How often it was handed out, this time included, where the feed counts.
    pub attempt: u64,
    /// For the calls below.
    pub receipt: R,
}

/// A source of messages that hands one out again until it is acknowledged. The subscriber may see a message twice, and out of order after a
/// failure. The calls have JetStream's names.
pub trait Feed: Send + 'static {
    /// Identifies a message to the feed.
    type Receipt: Send;

    /// Waits for messages: at least one, at most `limit`. Safe to drop while it waits.
    fn next(
        &mut self,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Received<Self::Receipt>>, FeedError>> + Send;

    /// Everything that a message asks for is in the ledger.
    fn ack(&mut self, receipt: Self::Receipt) -> impl Future<Output = Result<(), FeedError>> + Send;

    /// The message takes long and is still being worked on.
    fn in_progress(&mut self, receipt: &Self::Receipt) -> impl Future<Output = Result<(), FeedError>> + Send;

    /// Hands the message out again after a while.
    fn nak(
        &mut self,
        receipt: Self::Receipt,
        after: Duration,
    ) -> impl Future<Output = Result<(), FeedError>> + Send;

    /// The message can never succeed. The ledger has it already, where an operator sees it; it is not handed out again.
    fn term(&mut self, receipt: Self::Receipt) -> impl Future<Output = Result<(), FeedError>> + Send;
}
