//! Keeps what was opened and parsed of a read table up to date: whatever another process changes counts here within a tenth of a second of
//! its row.

use std::time::Duration;

use honoken_event_store::Position;
use honoken_projections::{Progress, QueryError, ReadModel};
use honoken_telemetry::error_chain;
use tokio::sync::watch;

/// Between two announcements.
const DAY: Duration = Duration::from_hours(24);

/// Between two looks at the read model, however fast it changes.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// A read table, and what is known of it.
pub(crate) trait Table: Send + 'static {
    /// One of its rows.
    type Row: Send;

    /// The aggregate whose events fill it.
    const AGGREGATE: &'static str;

    /// What it holds, for the log.
    const NAME: &'static str;

    /// The rows that were changed behind a position, in the order of their changes.
    fn changed_after(
        read_model: &ReadModel,
        position: Position,
    ) -> impl Future<Output = Result<Vec<Self::Row>, QueryError>> + Send;

    /// Where in the log a row was changed last.
    fn position(row: &Self::Row) -> Position;

    /// Whether a row is not known as it is.
    fn is_news(&self, row: &Self::Row) -> bool;

    /// Learns rows.
    fn take_in(&mut self, news: Vec<Self::Row>) -> impl Future<Output = ()> + Send;

    /// Says again, once a day, what is wrong.
    fn announce(&self);
}

/// Keeps up with a table.
pub(crate) struct Follower<T> {
    table: T,
    read_model: ReadModel,
    progress: watch::Receiver<Progress>,
    /// Every change up to here is known.
    seen: Position,
    /// A change behind `seen` may still come.
    from_the_beginning: bool,
}

impl<T: Table> Follower<T> {
    /// Looks at the table as it is now; the future keeps up with it from then on, and ends when the projector does.
    ///
    /// # Errors
    /// When the read model cannot be asked.
    pub(crate) async fn start(
        table: T,
        read_model: ReadModel,
        progress: watch::Receiver<Progress>,
    ) -> Result<impl Future<Output = ()> + Send + 'static, QueryError> {
        let mut follower = Self { table, read_model, progress, seen: Position(0), from_the_beginning: true };
        follower.look().await?;
        Ok(follower.run())
    }

    async fn run(mut self) {
        let mut daily = tokio::time::interval(DAY);
        daily.tick().await;
        loop {
            tokio::select! {
                changed = self.progress.changed() => if changed.is_err() { return },
                _ = daily.tick() => self.table.announce(),
            }
            while let Err(fault) = self.look().await {
                tracing::warn!(error = error_chain(&fault), "the {} could not be looked at", T::NAME);
                if self.progress.has_changed().is_err() {
                    return;
                }
                tokio::time::sleep(BETWEEN_LOOKS * 10).await;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Takes in what has changed.
    async fn look(&mut self) -> Result<(), QueryError> {
        let progress = self.progress.borrow_and_update().clone();
        if progress.position < self.seen {
            // The tables are being filled again, from another log perhaps.
            self.seen = Position(0);
            self.from_the_beginning = true;
        }
        // A row whose event is parked changes behind those that are known, when the event is applied after all.
        let is_parked = progress.parked.iter().any(|(aggregate_type, _)| aggregate_type == T::AGGREGATE);
        let after = if is_parked || self.from_the_beginning { Position(0) } else { self.seen };
        let mut rows = T::changed_after(&self.read_model, after).await?;
        self.from_the_beginning = is_parked;
        rows.retain(|row| self.table.is_news(row));
        let Some(last) = rows.iter().map(T::position).max() else { return Ok(()) };
        self.table.take_in(rows).await;
        self.seen = self.seen.max(last);
        Ok(())
    }
}
