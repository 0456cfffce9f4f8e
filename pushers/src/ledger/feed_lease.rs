//! The lease of a feed: of several processes, one moves its checkpoint.
//!
//! On Postgres it is a lease with a fence, as the projection has one (`projections/src/projector/lease.rs`): a process that died is known by its session,
//! which the server has closed, one that is frozen by its lease. On SQLite there is one process.

use std::time::Duration;

use honoken_database::statements::{Connection, sql};
use tokio::time::Instant;

use super::{Ledger, LedgerError};

/// A lease is renewed when it is as old as this. It lasts ten seconds.
const RENEW: Duration = Duration::from_secs(1);

/// Why a checkpoint was not moved.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Another process has taken over, and publishes from here on.
    #[error("another process has taken over")]
    Superseded,
    /// The data store is unavailable.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The lease of one feed, whether or not this process holds it.
#[derive(Debug)]
pub(super) struct FeedLease {
    ledger: Ledger,
    feed: &'static str,
    /// To a server: the lease is this session's.
    session: Option<Connection>,
    held: Option<Held>,
    renewed: Instant,
}

/// The right to move a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// There is no other process.
    Alone,
    /// The fence that was raised.
    Fence(i64),
}

impl FeedLease {
    /// Not held.
    pub(super) fn new(ledger: &Ledger, feed: &'static str) -> Self {
        Self { ledger: ledger.clone(), feed, session: None, held: None, renewed: Instant::now() }
    }

    /// Whether this process holds it, as far as it knows.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Takes the lease of a row that `prepare` sees to, if no other process has it, and goes on with `work` in the same transaction. Gives the
    /// result; `None` when another process has the lease.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub(super) async fn take<T>(
        &mut self,
        doing: &'static str,
        prepare: impl AsyncFnOnce(&mut Connection) -> sqlx::Result<()>,
        work: impl AsyncFnOnce(&mut Connection) -> sqlx::Result<T>,
    ) -> Result<Option<T>, LedgerError> {
        let feed = self.feed;
        let taken = self.transaction(doing, async move |connection: &mut Connection| {
            prepare(connection).await?;
            let Some(held) = take(connection, feed).await? else { return Ok(None) };
            Ok(Some((held, work(connection).await?)))
        });
        let Some((held, done)) = taken.await? else {
            self.held = None;
            return Ok(None);
        };
        self.held = Some(held);
        self.renewed = Instant::now();
        Ok(Some(done))
    }

    /// Renews the lease when it is time to, and sees whether this process still holds it.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(super) async fn hold(&mut self, doing: &'static str) -> Result<(), CheckpointError> {
        if self.held == Some(Held::Alone) || (self.is_held() && self.renewed.elapsed() < RENEW) {
            return Ok(());
        }
        self.write(doing, async |_: &mut Connection| Ok(())).await
    }

    /// Gives the lease back, so that another process need not wait.
    pub(super) async fn release(&mut self, doing: &'static str) {
        let Some(Held::Fence(fence)) = self.held.take() else { return };
        let feed = self.feed;
        let released = self.transaction(doing, async move |connection: &mut Connection| {
            sql("update feed_checkpoint set leased_until = '-infinity' where feed = $1 and fence = $2")
                .bind(feed)
                .bind(fence)
                .execute(connection)
                .await
        });
        if let Err(fault) = released.await {
            tracing::warn!(error = %fault, "the lease of a feed was not given back and will run out");
        }
    }

    /// Writes something as the holder, and renews the lease in the same transaction.
    ///
    /// # Errors
    /// When another process has taken over, or the data store is unavailable.
    pub(super) async fn write(
        &mut self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut Connection) -> sqlx::Result<()>,
    ) -> Result<(), CheckpointError> {
        let Some(held) = self.held else { return Err(CheckpointError::Superseded) };
        let feed = self.feed;
        let written = self.transaction(doing, async move |connection: &mut Connection| {
            let is_held = renew(connection, feed, held).await?;
            if is_held {
                work(connection).await?;
            }
            Ok(is_held)
        });
        if written.await? {
            self.renewed = Instant::now();
            Ok(())
        } else {
            self.held = None;
            Err(CheckpointError::Superseded)
        }
    }

    /// A connection whose work failed, or was given up, is closed, which undoes what it did not commit.
    async fn transaction<T>(
        &mut self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut Connection) -> sqlx::Result<T>,
    ) -> Result<T, LedgerError> {
        let fault = LedgerError::of(doing);
        if !self.ledger.is_on_a_server() {
            let mut writer = self.ledger.writer(doing).await?;
            let outcome = in_transaction(&mut writer, work).await;
            return writer.keep(outcome).map_err(fault);
        }
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.ledger.open_session().await.map_err(&fault)?,
        };
        let outcome = in_transaction(&mut session, work).await;
        if outcome.is_ok() {
            self.session = Some(session);
        }
        outcome.map_err(fault)
    }
}

async fn in_transaction<T>(
    connection: &mut Connection,
    work: impl AsyncFnOnce(&mut Connection) -> sqlx::Result<T>,
) -> sqlx::Result<T> {
    connection.begin().await?;
    let outcome = work(connection).await?;
    connection.commit().await?;
    Ok(outcome)
}

/// Takes the lease, if no other session has it.
async fn take(connection: &mut Connection, feed: &str) -> sqlx::Result<Option<Held>> {
    if matches!(connection, Connection::Sqlite(..)) {
        return Ok(Some(Held::Alone));
    }
    limit_doubtful(connection, feed).await?;
    let taken = sql("update feed_checkpoint
         set fence = fence + 1, leased_until = clock_timestamp() + interval '10 seconds', holder_pid = pg_backend_pid(),
             holder_started = (select backend_start from pg_stat_activity where pid = pg_backend_pid())
         where feed = (select feed from feed_checkpoint
                       where feed = $1
                         and (leased_until = '-infinity'
                              or leased_until between statement_timestamp() - interval '1 minute' and statement_timestamp()
                              or not exists (select from pg_stat_activity
                                             where pid = holder_pid and backend_start = holder_started
                                               and datname = current_database() and pid <> pg_backend_pid()))
                       for update skip locked)
         returning fence")
    .bind(feed)
    .fetch_optional(connection)
    .await?;
    taken.map(|row| row.get("fence").map(Held::Fence)).transpose()
}

/// A lease that ends later than one can, or ended long ago, although its holder is there, was stored before the server's clock was set: the
/// holder has ten seconds to renew it.
async fn limit_doubtful(connection: &mut Connection, feed: &str) -> sqlx::Result<()> {
    sql("update feed_checkpoint set leased_until = clock_timestamp() + interval '10 seconds'
         where feed = (select feed from feed_checkpoint
                       where feed = $1 and leased_until > '-infinity'
                         and leased_until not between clock_timestamp() - interval '1 minute' and clock_timestamp() + interval '10 seconds'
                         and exists (select from pg_stat_activity where pid = holder_pid and backend_start = holder_started
                                                                  and datname = current_database())
                       for update skip locked)")
    .bind(feed)
    .execute(connection)
    .await?;
    Ok(())
}

/// Renews it; `false` when another process has it. No process can take it before the transaction ends.
async fn renew(connection: &mut Connection, feed: &str, held: Held) -> sqlx::Result<bool> {
    let Held::Fence(fence) = held else { return Ok(true) };
    let renewed = sql("update feed_checkpoint set leased_until = clock_timestamp() + interval '10 seconds'
         where feed = (select feed from feed_checkpoint where feed = $1 and fence = $2 for update skip locked)")
    .bind(feed)
    .bind(fence)
    .execute(connection)
    .await?;
    Ok(renewed == 1)
}
