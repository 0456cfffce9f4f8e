//! `feed_checkpoint`: how far the log has been said, and which of several processes says it. `held_back_pass`: what could not be said yet.
//!
//! On Postgres a checkpoint is held by one process, by a lease with a fence, as the projection is (`projections/src/lease.rs`): a process that died
//! is known by its session, which the server has closed, one that is frozen by its lease. On SQLite there is one process.

use std::collections::BTreeMap;
use std::time::Duration;

use honoken_database::statements::{Connection, Row, Value, execute_for_each, sql};
use honoken_domain::ids::PassId;
use honoken_event_store::{Epoch, Position};
use tokio::time::Instant;

use super::deliveries::pass_id;
use super::{Ledger, LedgerError};

/// Of whoever hands messages on within the process.
pub const IN_PROCESS: &str = "in-process";

/// Of whoever hands them to NATS.
pub const RELAY: &str = "relay";

/// Of whoever takes commands over NATS. It has a lease here, and no place in the log.
pub const COMMANDS: &str = "commands";

/// Up to where everything that was said has arrived.
const SWEEP: &str = "sweep";

/// A lease is renewed when it is as old as this. It lasts ten seconds.
const RENEW: Duration = Duration::from_secs(1);

/// Why a checkpoint was not moved.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Another process has taken over, and says what there is to say from here on.
    #[error("another process has taken over")]
    Superseded,
    /// The store is away.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A pass with an event that nobody could see when it was due to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// Which.
    pub pass: PassId,
    /// Log position of the event.
    pub position: Position,
    /// Log position of the state that was said after all; 0 when there is none.
    pub said: Position,
}

/// The right to move a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lease {
    /// There is nobody else.
    Alone,
    /// The fence that was raised.
    Fence(i64),
}

/// How far a feed has come. It is moved by one process at a time.
#[derive(Debug)]
pub struct Checkpoint {
    ledger: Ledger,
    feed: &'static str,
    /// To a server: the lease is this session's.
    session: Option<Connection>,
    lease: Option<Lease>,
    renewed: Instant,
    position: Position,
    swept: Position,
}

impl Ledger {
    /// The checkpoint of a feed. Nobody holds it by this.
    pub fn checkpoint(&self, feed: &'static str) -> Checkpoint {
        let position = Position(0);
        let renewed = Instant::now();
        Checkpoint {
            ledger: self.clone(),
            feed,
            session: None,
            lease: None,
            renewed,
            position,
            swept: position,
        }
    }

    /// Follows a log that was restored from a backup: what is noted of positions behind its `head` is about events that it has lost. For a
    /// moment when nobody appends to it. `false` when the ledger is about this log already.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn follow_log(&self, epoch: Epoch, head: Position) -> Result<bool, LedgerError> {
        let doing = "following a restored log";
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

    /// How far a feed has come, whoever moves it; `None` when it has never begun.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn fed(&self, feed: &str) -> Result<Option<Position>, LedgerError> {
        let row = sql("select position from feed_checkpoint where feed = $1")
            .bind(feed)
            .fetch_optional(&self.readers)
            .await;
        row.and_then(|row| row.as_ref().map(position).transpose())
            .map_err(LedgerError::of("how far a feed is"))
    }

    /// The furthest position that was said of this log; 0 when nothing was.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn furthest(&self, epoch: Epoch) -> Result<Position, LedgerError> {
        let row = sql("select coalesce(max(position), 0) as position from feed_checkpoint where epoch = $1")
            .bind(epoch.to_string())
            .fetch_one(&self.readers)
            .await;
        row.and_then(|row| position(&row)).map_err(LedgerError::of("how far the log was said"))
    }

    /// At most `limit` of the passes that were held back, behind `after`.
    pub(crate) async fn held_back(
        &self,
        after: Option<&PassId>,
        limit: u32,
    ) -> Result<Vec<HeldBack>, LedgerError> {
        let (of_type, serial) =
            after.map_or(("", ""), |pass| (pass.pass_type_identifier.as_str(), pass.serial_number.as_str()));
        let rows = sql("select pass_type_identifier, serial_number, position, said from held_back_pass
             where (pass_type_identifier, serial_number) > ($1, $2)
             order by pass_type_identifier, serial_number
             limit $3")
        .bind(of_type)
        .bind(serial)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(held_back).collect())
            .map_err(LedgerError::of("what is held back"))
    }
}

impl Checkpoint {
    /// Takes the right to move it if nobody else has it, and learns how far it is. A feed that was not used for a while begins where others
    /// came to meanwhile; what of it never arrived is the sweep's. `head` is the end of the log: see [`Ledger::follow_log`].
    ///
    /// # Errors
    /// When the store is away.
    pub async fn take(&mut self, epoch: Epoch, head: Position) -> Result<bool, LedgerError> {
        let feed = self.feed;
        let taken = self.transaction("taking the checkpoint of a feed", async move |connection: &mut Connection| {
            for feed in [feed, SWEEP] {
                sql("insert into feed_checkpoint (feed, epoch, position) values ($1, $2, 0) on conflict do nothing")
                    .bind(feed)
                    .bind(epoch.to_string())
                    .execute(connection)
                    .await?;
            }
            let Some(lease) = lease(connection, feed).await? else { return Ok(None) };
            if follow_log(connection, epoch, head).await? {
                tracing::warn!("the log was restored: what was said of positions behind {head} does not count any more");
            }
            sql("update feed_checkpoint set position = (select max(position) from feed_checkpoint where feed <> $2) where feed = $1")
                .bind(feed)
                .bind(SWEEP)
                .execute(connection)
                .await?;
            let row = sql("select position from feed_checkpoint where feed = $1").bind(feed).fetch_one(&mut *connection).await?;
            let swept = sql("select position from feed_checkpoint where feed = $1").bind(SWEEP).fetch_one(connection).await?;
            Ok(Some((lease, position(&row)?, position(&swept)?)))
        });
        let Some((lease, position, swept)) = taken.await? else {
            self.lease = None;
            return Ok(false);
        };
        (self.lease, self.position, self.swept) = (Some(lease), position, swept);
        self.renewed = Instant::now();
        Ok(true)
    }

    /// Takes the right if nobody else has it, for what one process does at a time and has no place in the log.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn take_turn(&mut self, epoch: Epoch) -> Result<bool, LedgerError> {
        let feed = self.feed;
        let taken = self.transaction("taking a turn", async move |connection: &mut Connection| {
            sql("insert into feed_checkpoint (feed, epoch, position) values ($1, $2, 0) on conflict do nothing")
                .bind(feed)
                .bind(epoch.to_string())
                .execute(connection)
                .await?;
            lease(connection, feed).await
        });
        self.lease = taken.await?;
        self.renewed = Instant::now();
        Ok(self.is_held())
    }

    /// Whether it is this process that moves it, as far as it knows.
    pub fn is_held(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether it was found at a place that the log does not reach; then it is put to the end of the log.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub async fn set_back(&mut self, head: Position) -> Result<(), CheckpointError> {
        let set_back = self.write("setting a feed back", async move |connection: &mut Connection| {
            clamp(connection, head).await
        });
        set_back.await?;
        self.position = self.position.min(head);
        self.swept = self.swept.min(head);
        Ok(())
    }

    /// Everything up to here has been said.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Everything up to here that was said has arrived.
    pub fn swept(&self) -> Position {
        self.swept
    }

    /// Notes that everything up to `position` has been said, but for passes that stand still.
    ///
    /// # Errors
    /// When another process has taken over, or the store is away.
    pub async fn advance(
        &mut self,
        position: Position,
        standing_still: &BTreeMap<PassId, Position>,
    ) -> Result<(), CheckpointError> {
        let feed = self.feed;
        let advanced =
            self.write("moving the checkpoint of a feed", async move |connection: &mut Connection| {
                hold_back(connection, standing_still).await?;
                move_to(connection, feed, position).await
            });
        advanced.await?;
        self.position = self.position.max(position);
        Ok(())
    }

    /// Notes that everything up to `position` has arrived, but for passes that stand still.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub async fn sweep(
        &mut self,
        position: Position,
        standing_still: &BTreeMap<PassId, Position>,
    ) -> Result<(), CheckpointError> {
        let swept = self.write("noting what has arrived", async move |connection: &mut Connection| {
            hold_back(connection, standing_still).await?;
            move_to(connection, SWEEP, position).await
        });
        swept.await?;
        self.swept = self.swept.max(position);
        Ok(())
    }

    /// Notes which states of passes that were held back have been said, and which passes are held back no longer.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub async fn let_go(
        &mut self,
        said: &[(PassId, Position)],
        free: &[HeldBack],
    ) -> Result<(), CheckpointError> {
        let said: Vec<_> = said.iter().map(|(pass, position)| row(pass, *position)).collect();
        // What was held back again meanwhile stays.
        let free: Vec<_> = free.iter().map(|held| row(&held.pass, held.position)).collect();
        let noted = self.write("noting what is held back", async move |connection: &mut Connection| {
            execute_for_each(
                connection,
                "update held_back_pass set said = column3
                 from (values {rows}) as said
                 where pass_type_identifier = column1 and serial_number = column2",
                said,
            )
            .await?;
            execute_for_each(
                connection,
                "delete from held_back_pass
                 where (pass_type_identifier, serial_number, position) in (select column1, column2, column3 from (values {rows}) as free)",
                free,
            )
            .await
        });
        noted.await
    }

    /// Renews the lease when it is time to, and sees whether it is still this process's.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub async fn hold(&mut self) -> Result<(), CheckpointError> {
        if self.lease == Some(Lease::Alone) || (self.lease.is_some() && self.renewed.elapsed() < RENEW) {
            return Ok(());
        }
        self.write("holding the checkpoint of a feed", async |_: &mut Connection| Ok(())).await
    }

    /// Gives it back, so that another process need not wait.
    pub async fn release(&mut self) {
        let Some(Lease::Fence(fence)) = self.lease.take() else { return };
        let feed = self.feed;
        let released = self.transaction("giving a feed back", async move |connection: &mut Connection| {
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

    /// Writes something as the one who may, and renews the lease.
    async fn write(
        &mut self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut Connection) -> sqlx::Result<()>,
    ) -> Result<(), CheckpointError> {
        let Some(lease) = self.lease else { return Err(CheckpointError::Superseded) };
        let feed = self.feed;
        let held = self.transaction(doing, async move |connection: &mut Connection| {
            let held = renew(connection, feed, lease).await?;
            if held {
                work(connection).await?;
            }
            Ok(held)
        });
        match held.await {
            Ok(true) => {
                self.renewed = Instant::now();
                Ok(())
            }
            Ok(false) => {
                self.lease = None;
                Err(CheckpointError::Superseded)
            }
            Err(fault) => Err(fault.into()),
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
async fn lease(connection: &mut Connection, feed: &str) -> sqlx::Result<Option<Lease>> {
    if matches!(connection, Connection::Sqlite(..)) {
        return Ok(Some(Lease::Alone));
    }
    doubt(connection, feed).await?;
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
    taken.map(|row| row.get("fence").map(Lease::Fence)).transpose()
}

/// A lease that ends later than one can, or ended long ago, although its holder is there, was noted before the server's clock was set: the
/// holder has ten seconds to renew it.
async fn doubt(connection: &mut Connection, feed: &str) -> sqlx::Result<()> {
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

/// Renews it; `false` when somebody else has it. Inside a transaction nobody can take it before that ends.
async fn renew(connection: &mut Connection, feed: &str, lease: Lease) -> sqlx::Result<bool> {
    let Lease::Fence(fence) = lease else { return Ok(true) };
    let renewed = sql("update feed_checkpoint set leased_until = clock_timestamp() + interval '10 seconds'
         where feed = (select feed from feed_checkpoint where feed = $1 and fence = $2 for update skip locked)")
    .bind(feed)
    .bind(fence)
    .execute(connection)
    .await?;
    Ok(renewed == 1)
}

/// It never goes back but with the log.
async fn move_to(connection: &mut Connection, feed: &str, position: Position) -> sqlx::Result<()> {
    sql("update feed_checkpoint set position = $2 where feed = $1 and position < $2")
        .bind(feed)
        .bind(position.0.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

async fn hold_back(
    connection: &mut Connection,
    standing_still: &BTreeMap<PassId, Position>,
) -> sqlx::Result<()> {
    execute_for_each(
        connection,
        "insert into held_back_pass (pass_type_identifier, serial_number, position)
         values {rows}
         on conflict (pass_type_identifier, serial_number) do update set position = excluded.position
         where held_back_pass.position < excluded.position",
        standing_still.iter().map(|(pass, position)| row(pass, *position)).collect(),
    )
    .await
}

/// What is noted of another log than this one becomes this one's, no further than its end.
async fn follow_log(connection: &mut Connection, epoch: Epoch, head: Position) -> sqlx::Result<bool> {
    let foreign = sql("update feed_checkpoint set epoch = $1 where epoch <> $1")
        .bind(epoch.to_string())
        .execute(connection)
        .await?;
    if foreign > 0 {
        clamp(connection, head).await?;
    }
    Ok(foreign > 0)
}

async fn clamp(connection: &mut Connection, head: Position) -> sqlx::Result<()> {
    for lower in [
        "update feed_checkpoint set position = $1 where position > $1",
        "update woken set position = $1 where position > $1",
        "update held_back_pass set position = $1, said = 0 where position > $1",
    ] {
        sql(lower).bind(head.0.cast_signed()).execute_however_long(connection).await?;
    }
    Ok(())
}

fn row(pass: &PassId, position: Position) -> [Value; 3] {
    [
        pass.pass_type_identifier.as_str().into(),
        pass.serial_number.as_str().into(),
        position.0.cast_signed().into(),
    ]
}

fn position(row: &Row) -> sqlx::Result<Position> {
    Ok(Position(row.get::<i64>("position")?.cast_unsigned()))
}

fn held_back(row: &Row) -> sqlx::Result<HeldBack> {
    Ok(HeldBack {
        pass: pass_id(row)?,
        position: position(row)?,
        said: Position(row.get::<i64>("said")?.cast_unsigned()),
    })
}
