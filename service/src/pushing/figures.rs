//! Reads the sizes of the queues every two seconds for the metrics, so that answering `/metrics` asks no store.

use std::sync::Arc;
use std::time::Duration;

use honoken_event_store::{EventLog, Log};
use honoken_pushers::feed::figures::FeedFigures;
use honoken_pushers::ledger::{Ledger, LedgerError, Part};
use honoken_telemetry::metrics::{Metric, Metrics};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// The time between two reads.
const REFRESH_INTERVAL: Duration = Duration::from_secs(2);

/// Reads the figures and records them.
pub(super) struct Figures {
    pub(super) log: Arc<Log>,
    pub(super) ledger: Ledger,
    pub(super) metrics: Metrics,
    pub(super) clock: Arc<dyn Clock>,
    /// The feed in use.
    pub(super) feed: &'static str,
    /// The counts of published messages, if this process publishes.
    pub(super) published: Option<watch::Receiver<FeedFigures>>,
}

impl Figures {
    /// Reads until `stop`. While the ledger is unavailable the last figures stay.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut counted = FeedFigures::default();
        loop {
            self.count(&mut counted);
            if let Some(Err(fault)) = stop.run_until_cancelled(self.refresh()).await {
                tracing::debug!(error = %fault, "the ledger could not be read");
            }
            if stop.run_until_cancelled(tokio::time::sleep(REFRESH_INTERVAL)).await.is_none() {
                return;
            }
        }
    }

    fn count(&self, counted: &mut FeedFigures) {
        let Some(published) = &self.published else { return };
        let now = *published.borrow();
        let grown = |metric, before: u64, now: u64| {
            self.metrics.counter(metric, &[]).inc_by(now.saturating_sub(before));
        };
        grown(Metric::MessagesPublished, counted.published, now.published);
        grown(Metric::MessagesSwept, counted.swept, now.swept);
        *counted = now;
    }

    async fn refresh(&self) -> Result<(), LedgerError> {
        let set = |metric, value: u64| self.metrics.gauge(metric, &[]).set(value.cast_signed());
        let figures = self.ledger.figures().await?;
        set(Metric::DeliveriesPending, figures.pending);
        set(Metric::CredentialsParked, figures.parked_credentials);
        set(Metric::MessagesParked, figures.parked_messages);
        let late = figures.oldest_due_ms.map_or(0, |due| (self.clock.unix_ms() - due).max(0));
        self.metrics.gauge(Metric::WakesOldest, &[]).set(late / 1000);
        let position = self.ledger.fed(self.feed).await?.unwrap_or_default().0;
        set(Metric::RelayPosition, position);
        set(Metric::RelayLag, self.log.head().borrow().0.saturating_sub(position));
        for part in Part::ALL {
            let paused = self.ledger.paused(part).await?.is_some();
            self.metrics.gauge(Metric::PushingPaused, &[part.into()]).set(paused.into());
        }
        Ok(())
    }
}
