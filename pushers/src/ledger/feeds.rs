//! `feed_checkpoint`: how far the event log has been published, and other work that one of several processes does at a time.

use std::collections::BTreeMap;

use honoken_database::statements::{Connection, sql};
use honoken_domain::ids::PassId;
use honoken_event_store::{Epoch, Position};

use super::feed_lease::FeedLease;
use super::held_back::{self, HeldBack};
use super::{Ledger, LedgerError, columns};

pub use super::feed_lease::CheckpointError;

/// Of the feed that hands messages on within the process.
pub const IN_PROCESS: &str = "in-process";

/// Of the relay, which hands them to NATS.
pub const RELAY: &str = "relay";

/// Of the consumer of commands over NATS. It has a lease here, and no place in the event log.
pub const COMMANDS: &str = "commands";

/// Up to where everything that was published has arrived.
const SWEEP: &str = "sweep";

/// How far a feed has come. It is moved by one process at a time.
#[derive(Debug)]
pub struct Checkpoint {
    feed: &'static str,
    lease: FeedLease,
    position: Position,
    swept: Position,
}

impl Ledger {
    /// The checkpoint of a feed, which is not held by this.
    pub fn checkpoint(&self, feed: &'static str) -> Checkpoint {
        Checkpoint { feed, lease: FeedLease::new(self, feed), position: Position(0), swept: Position(0) }
    }

    /// Follows an event log that was restored from a backup: positions behind its `head` are those of events that it has lost. For a
    /// moment when nothing is appended to it. `false` when the ledger is about this event log already.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn follow_log(&self, epoch: Epoch, head: Position) -> Result<bool, LedgerError> {
        let doing = "following a restored event log";
        let mut writer = self.writer(doing).await?;
        let followed = async {
            writer.begin().await?;
            let followed = follow_log(&mut writer, epoch, head).await?;
            writer.commit().await?;
            Ok(followed)
        };
        let followed = followed.await;
        writer.keep(followed).map_err(LedgerError::of(doing))
    }

    /// How far a feed has come, in whichever process; `None` when it has never begun.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn fed(&self, feed: &str) -> Result<Option<Position>, LedgerError> {
        let row = sql("select position from feed_checkpoint where feed = $1")
            .bind(feed)
            .fetch_optional(&self.readers)
            .await;
        row.and_then(|row| row.as_ref().map(columns::position).transpose())
            .map_err(LedgerError::of("the position of a feed"))
    }

    /// The furthest position that was published of this event log; 0 when nothing was.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn furthest(&self, epoch: Epoch) -> Result<Position, LedgerError> {
        let row = sql("select coalesce(max(position), 0) as position from feed_checkpoint where epoch = $1")
            .bind(epoch.to_string())
            .fetch_one(&self.readers)
            .await;
        row.and_then(|row| columns::position(&row))
            .map_err(LedgerError::of("the published position of the event log"))
    }
}

impl Checkpoint {
    /// Takes the right to move it if no other process has it, and learns how far it is. A feed that was not used for a while begins where others
    /// came to meanwhile; the sweep finds the messages that never arrived. `head` is the end of the event log: see [`Ledger::follow_log`].
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn take(&mut self, epoch: Epoch, head: Position) -> Result<bool, LedgerError> {
        let feed = self.feed;
        let prepare = async move |connection: &mut Connection| {
            create(connection, feed, epoch).await?;
            create(connection, SWEEP, epoch).await
        };
        let learn = async move |connection: &mut Connection| {
            if follow_log(connection, epoch, head).await? {
                tracing::warn!(
                    "the event log was restored: messages that were published for positions after {head} no longer count"
                );
            }
            sql("update feed_checkpoint set position = (select max(position) from feed_checkpoint where feed <> $2) where feed = $1")
                .bind(feed)
                .bind(SWEEP)
                .execute(connection)
                .await?;
            Ok((read(connection, feed).await?, read(connection, SWEEP).await?))
        };
        let taken = self.lease.take("taking the checkpoint of a feed", prepare, learn).await?;
        if let Some((position, swept)) = taken {
            (self.position, self.swept) = (position, swept);
        }
        Ok(taken.is_some())
    }

    /// Takes the right if no other process has it, for work that one process does at a time and that has no place in the event log.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn take_turn(&mut self, epoch: Epoch) -> Result<bool, LedgerError> {
        let feed = self.feed;
        let prepare = async move |connection: &mut Connection| create(connection, feed, epoch).await;
        let taken =
            self.lease.take("taking the lease of a feed", prepare, async |_: &mut Connection| Ok(())).await?;
        Ok(taken.is_some())
    }

    /// Whether this process moves it, as far as it knows.
    pub fn is_held(&self) -> bool {
        self.lease.is_held()
    }

    /// It was found at a place that the event log does not reach, and is put to its end.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub async fn set_back(&mut self, head: Position) -> Result<(), CheckpointError> {
        let set_back = self.lease.write("setting a feed back", async move |connection: &mut Connection| {
            set_back(connection, head).await
        });
        set_back.await?;
        self.position = self.position.min(head);
        self.swept = self.swept.min(head);
        Ok(())
    }

    /// Everything up to here has been published.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Everything up to here that was published has arrived.
    pub fn swept(&self) -> Position {
        self.swept
    }

    /// Everything up to `position` has been published, but for passes that stand still.
    ///
    /// # Errors
    /// When another process has taken over, or the data store is unavailable.
    pub async fn advance(
        &mut self,
        position: Position,
        standing_still: &BTreeMap<PassId, Position>,
    ) -> Result<(), CheckpointError> {
        let feed = self.feed;
        let doing = "moving the checkpoint of a feed";
        let advanced = self.lease.write(doing, async move |connection: &mut Connection| {
            held_back::hold_back(connection, standing_still).await?;
            move_to(connection, feed, position).await
        });
        advanced.await?;
        self.position = self.position.max(position);
        Ok(())
    }

    /// Everything up to `position` has arrived, but for passes that stand still.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub async fn sweep(
        &mut self,
        position: Position,
        standing_still: &BTreeMap<PassId, Position>,
    ) -> Result<(), CheckpointError> {
        let doing = "recording the arrived messages";
        let swept = self.lease.write(doing, async move |connection: &mut Connection| {
            held_back::hold_back(connection, standing_still).await?;
            move_to(connection, SWEEP, position).await
        });
        swept.await?;
        self.swept = self.swept.max(position);
        Ok(())
    }

    /// Notes which states of passes that were held back have been published, and which passes are held back no longer.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub async fn let_go(
        &mut self,
        published: &[(PassId, Position)],
        free: &[HeldBack],
    ) -> Result<(), CheckpointError> {
        let doing = "recording the messages that are held back";
        let noted = self.lease.write(doing, async move |connection: &mut Connection| {
            held_back::published(connection, published).await?;
            held_back::release(connection, free).await
        });
        noted.await
    }

    /// Renews the lease when it is time to, and sees whether this process still holds it.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub async fn hold(&mut self) -> Result<(), CheckpointError> {
        self.lease.hold("holding the checkpoint of a feed").await
    }

    /// Gives it back, so that another process need not wait.
    pub async fn release(&mut self) {
        self.lease.release("releasing the lease of a feed").await;
    }
}

async fn create(connection: &mut Connection, feed: &str, epoch: Epoch) -> sqlx::Result<()> {
    sql("insert into feed_checkpoint (feed, epoch, position) values ($1, $2, 0) on conflict do nothing")
        .bind(feed)
        .bind(epoch.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

async fn read(connection: &mut Connection, feed: &str) -> sqlx::Result<Position> {
    let row = sql("select position from feed_checkpoint where feed = $1").bind(feed).fetch_one(connection);
    columns::position(&row.await?)
}

/// It never goes back but with the event log.
async fn move_to(connection: &mut Connection, feed: &str, position: Position) -> sqlx::Result<()> {
    sql("update feed_checkpoint set position = $2 where feed = $1 and position < $2")
        .bind(feed)
        .bind(position.0.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

/// Checkpoints of another event log than this one become this one's, no further than its end.
async fn follow_log(connection: &mut Connection, epoch: Epoch, head: Position) -> sqlx::Result<bool> {
    let foreign = sql("update feed_checkpoint set epoch = $1 where epoch <> $1")
        .bind(epoch.to_string())
        .execute(connection)
        .await?;
    if foreign > 0 {
        set_back(connection, head).await?;
    }
    Ok(foreign > 0)
}

/// No position is stored that is behind the end of the event log.
async fn set_back(connection: &mut Connection, head: Position) -> sqlx::Result<()> {
    for lower in [
        "update feed_checkpoint set position = $1 where position > $1",
        "update woken set position = $1 where position > $1",
        "update held_back_pass set position = $1, said = 0 where position > $1",
    ] {
        sql(lower).bind(head.0.cast_signed()).execute_however_long(connection).await?;
    }
    Ok(())
}
