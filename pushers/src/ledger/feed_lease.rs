//! The lease of a feed: of several processes, one moves its checkpoint.
//!
//! On a server it is kept in the row of the checkpoint, and belongs to a session that is used for nothing else.

use std::time::Duration;

use honoken_database::lease::{Held, Lease};
use honoken_database::statements::Connection;
use tokio::time::Instant;

use super::{Ledger, LedgerError};

/// A lease is renewed when it is as old as this.
const RENEW: Duration = Duration::from_secs(1);

/// How long it lasts, in seconds.
const SECONDS: u32 = 10;

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
    lease: Lease,
    /// To a server: the lease is this session's.
    session: Option<Connection>,
    held: Option<Held>,
    renewed: Instant,
}

impl FeedLease {
    /// Not held.
    pub(super) fn new(ledger: &Ledger, feed: &'static str) -> Self {
        let lease = Lease::new("feed_checkpoint", "feed", feed, SECONDS);
        Self { ledger: ledger.clone(), lease, session: None, held: None, renewed: Instant::now() }
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
        let lease = self.lease;
        let taken = self.transaction(doing, async move |connection: &mut Connection| {
            prepare(connection).await?;
            let Some(held) = lease.take(connection).await? else { return Ok(None) };
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
        let Some(held) = self.held.take().filter(|held| *held != Held::Alone) else { return };
        let lease = self.lease;
        let released = self.transaction(doing, async move |connection: &mut Connection| {
            lease.release(connection, held).await
        });
        if let Err(fault) = released.await {
            tracing::warn!(error = %fault, "the lease of a feed was not released and will expire");
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
        let lease = self.lease;
        let written = self.transaction(doing, async move |connection: &mut Connection| {
            let is_held = lease.renew(connection, held).await?;
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
