//! Keeps the opened and parsed rows of a read table up to date: a change by another process takes effect here within a tenth of a second of
//! its row.

use std::time::Duration;

use honoken_event_store::Position;
use honoken_projections::{Progress, QueryError, ReadModel};
use honoken_telemetry::error_chain;
use tokio::sync::watch;

/// The time between two reports of problems.
const REPORT_INTERVAL: Duration = Duration::from_hours(24);

/// The time between two looks at the clock.
const NEWS_INTERVAL: Duration = Duration::from_hours(1);

/// The time between two reads of the read model, however fast it changes.
const REFRESH_INTERVAL: Duration = Duration::from_millis(100);

/// A read table, and the rows of it that are held in memory.
pub(crate) trait Table: Send + 'static {
    /// One of its rows.
    type Row: Send;

    /// The aggregate whose events fill it.
    const AGGREGATE: &'static str;

    /// The name of its content, for the log output.
    const NAME: &'static str;

    /// The rows that were changed after a position, in the order of their changes.
    fn changed_after(
        read_model: &ReadModel,
        position: Position,
    ) -> impl Future<Output = Result<Vec<Self::Row>, QueryError>> + Send;

    /// The position in the event log at which a row was changed last.
    fn position(row: &Self::Row) -> Position;

    /// Whether a row differs from the one in memory.
    fn differs_from_known(&self, row: &Self::Row) -> bool;

    /// Replaces the rows in memory by these.
    fn update(&mut self, rows: Vec<Self::Row>) -> impl Future<Output = ()> + Send;

    /// Logs again, once a day, what is wrong.
    fn log_problems(&self);

    /// Logs, within the hour, what time alone has changed. Nothing, unless a table says otherwise.
    fn log_news(&mut self) {}
}

/// Follows the changes of a table.
pub(crate) struct Follower<T> {
    table: T,
    read_model: ReadModel,
    progress: watch::Receiver<Progress>,
    /// Every change up to this position is in memory.
    seen: Position,
    /// Whether the next refresh reads all rows, because a change before `seen` may still come.
    reads_all: bool,
    /// How far the read model was when it was read last.
    followed: watch::Sender<Position>,
}

impl<T: Table> Follower<T> {
    /// Reads the table as it is now. The future follows it from then on, and ends when the projector does; the receiver tells how far it has
    /// come in the event log.
    ///
    /// # Errors
    /// When the read model cannot be asked.
    pub(crate) async fn start(
        table: T,
        read_model: ReadModel,
        progress: watch::Receiver<Progress>,
    ) -> Result<(watch::Receiver<Position>, impl Future<Output = ()> + Send + 'static), QueryError> {
        let (followed, receiver) = watch::channel(Position(0));
        let mut this = Self { table, read_model, progress, seen: Position(0), reads_all: true, followed };
        this.refresh().await?;
        Ok((receiver, this.run()))
    }

    async fn run(mut self) {
        let mut daily = tokio::time::interval(REPORT_INTERVAL);
        daily.tick().await;
        let mut hourly = tokio::time::interval(NEWS_INTERVAL);
        hourly.tick().await;
        loop {
            tokio::select! {
                changed = self.progress.changed() => if changed.is_err() { return },
                _ = daily.tick() => self.table.log_problems(),
                _ = hourly.tick() => self.table.log_news(),
            }
            while let Err(fault) = self.refresh().await {
                tracing::warn!(error = error_chain(&fault), "the {} could not be read", T::NAME);
                if self.progress.has_changed().is_err() {
                    return;
                }
                tokio::time::sleep(REFRESH_INTERVAL * 10).await;
            }
            tokio::time::sleep(REFRESH_INTERVAL).await;
        }
    }

    /// Reads the rows that have changed.
    async fn refresh(&mut self) -> Result<(), QueryError> {
        let progress = self.progress.borrow_and_update().clone();
        if progress.position < self.seen {
            // The tables are being filled again, perhaps from another event log.
            self.seen = Position(0);
            self.reads_all = true;
        }
        // A row whose event is parked changes at an earlier position than the known ones when that event is applied after all.
        let is_parked = progress.parked.iter().any(|(aggregate_type, _)| aggregate_type == T::AGGREGATE);
        let after = if is_parked || self.reads_all { Position(0) } else { self.seen };
        let mut rows = T::changed_after(&self.read_model, after).await?;
        self.reads_all = is_parked;
        rows.retain(|row| self.table.differs_from_known(row));
        if let Some(last) = rows.iter().map(T::position).max() {
            self.table.update(rows).await;
            self.seen = self.seen.max(last);
        }
        self.followed.send_replace(progress.position);
        Ok(())
    }
}
