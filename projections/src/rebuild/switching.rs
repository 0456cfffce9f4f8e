//! Lets a copy of the tables take the place of the live one. It is never behind the live one then.

use std::collections::BTreeSet;

use honoken_database::lease::Held;
use honoken_database::statements::{Connection, composed, sql};
use honoken_domain::ids::UnixSeconds;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Position};

use crate::copies::place::{Home, Place, quoted};
use crate::projection::{LEASE, VERSION, WALLET};
use crate::projector::checkpoint::load_progress;
use crate::projector::event_reader::read_after;
use crate::projector::lease;
use crate::projector::operation::OperationError;
use crate::projector::parked;
use crate::projector::refill::apply_or_park_each;
use crate::projector::resume::resume;
use crate::read_model::ReadModel;
use crate::rebuild::filling::{StepError, step};
use crate::rows::parked_event::position_of;

/// Events that are read at a time while the live copy waits. There are few.
const BATCH: u32 = 250;

/// What is needed to switch.
pub(crate) struct Switch<'a, L> {
    pub(crate) log: &'a L,
    pub(crate) upcasters: &'a Upcasters,
    pub(crate) read_model: &'a ReadModel,
    pub(crate) copy: i64,
    pub(crate) lease: Held,
    pub(crate) now: UnixSeconds,
}

impl<L: EventLog> Switch<'_, L> {
    /// Lets the copy take over. The connection, which is the copy's own, is closed then.
    pub(crate) async fn run(self, mut connection: Connection) -> Result<(), StepError> {
        match &self.read_model.home {
            Home::Files(..) => {
                // The projector waits between two batches, so the live copy stands still.
                let turn = self.read_model.turn.clone().lock_owned().await;
                self.in_files(connection).await?;
                self.read_model.reads(self.copy, VERSION);
                drop(turn);
            }
            Home::Server(_, base) => {
                self.on_server(&mut connection, base).await?;
                lease::release(&mut connection, self.lease).await?;
                connection.close().await?;
                // This process comes first, so that the projection goes on; others follow within a second.
                self.read_model.report().await?;
                self.read_model.home.of(self.copy).shows_reports().await?;
            }
        }
        Ok(())
    }

    async fn in_files(&self, mut connection: Connection) -> Result<(), StepError> {
        let mut position = load_progress(&mut connection).await?.applied;
        let live = self.read_model.checkpoint(WALLET).await.map_err(|fault| fault.source)?;
        while position < live {
            let taken = step(&mut connection, self.lease, self.log, self.upcasters, (position, live)).await?;
            position = taken
                .ok_or_else(|| StepError::Failed(OperationError::Store(sqlx::Error::RowNotFound)))?
                .position;
        }
        // Both copies are whole, whichever of them the row names after a crash.
        connection.close().await?;
        let mut directory = self.read_model.directory.open_file().await?;
        directory.begin().await?;
        self.change_rows(&mut directory, "", live).await?;
        directory.commit().await?;
        Ok(directory.close().await?)
    }

    async fn on_server(&self, connection: &mut Connection, base: &str) -> Result<(), StepError> {
        let prefix = format!("{}.", quoted(base));
        connection.begin().await?;
        if !LEASE.renew(connection, self.lease).await? {
            connection.rollback().await?;
            return Err(StepError::Superseded);
        }
        let live = self.stands_still(connection, &prefix).await?;
        let mut position = load_progress(connection).await?.applied;
        while position < live {
            let mut events = read_after(self.log, position, BATCH).await.map_err(OperationError::Log)?;
            events.retain(|event| event.position <= live);
            position = events.last().ok_or(OperationError::Store(sqlx::Error::RowNotFound))?.position;
            apply_or_park_each(connection, self.upcasters, events).await?;
        }
        self.change_rows(connection, &prefix, live).await?;
        // From its first moment on a process reads it, so that none believes that it is of no use.
        let read = format!(
            "insert into {prefix}read_model_reader (process, copy, version, seen_at) values ($1, $2, $3, clock_timestamp())
             on conflict (process, copy) do update set seen_at = excluded.seen_at"
        );
        let process = self.read_model.process.as_ref();
        composed(read).bind(process).bind(self.copy).bind(VERSION).execute(connection).await?;
        connection.commit().await?;
        Ok(())
    }

    /// Locks the checkpoints of the copies that are read, and then their rows in the directory, so that they stand still until the transaction ends;
    /// returns the furthest. In this order, since whoever writes a copy locks them so.
    async fn stands_still(&self, connection: &mut Connection, prefix: &str) -> sqlx::Result<Position> {
        let read = format!(
            "select one.copy from {prefix}read_model_copy one
             where one.copy <> $1
               and (one.state = 'live'
                    or one.state in ('kept', 'leaving') and exists (select 1 from {prefix}read_model_reader reader where reader.copy = one.copy))
             order by one.copy"
        );
        let copies = composed(read.clone()).bind(self.copy).fetch_all(&mut *connection).await?;
        let copies = copies.iter().map(|row| row.get("copy")).collect::<sqlx::Result<Vec<i64>>>()?;
        let mut furthest = Position(0);
        for copy in &copies {
            let Place::Schema { schema, .. } = self.read_model.home.of(*copy) else { continue };
            let lock = format!(
                "select position from {}.projection_checkpoint where projection = $1 for update",
                quoted(&schema)
            );
            let row = composed(lock).bind(WALLET).fetch_optional(&mut *connection).await?;
            if let Some(row) = row {
                furthest = furthest.max(position_of(&row)?);
            }
        }
        let locked = composed(format!("{read} for update")).bind(self.copy).fetch_all(connection).await?;
        let locked = locked.iter().map(|row| row.get("copy")).collect::<sqlx::Result<Vec<i64>>>()?;
        if locked.iter().all(|copy| copies.contains(copy)) {
            Ok(furthest)
        } else {
            // Another one is read since; the next attempt sees it.
            Err(sqlx::Error::Protocol(
                "a copy of the tables was put in the place of another meanwhile".into(),
            ))
        }
    }

    /// The row that says which copy is live is another one from here on. `live` is how far the present one is.
    async fn change_rows(
        &self,
        connection: &mut Connection,
        prefix: &str,
        live: Position,
    ) -> sqlx::Result<()> {
        let changes = [
            // A rebuild keeps the copy that it replaces, and no older one.
            ("update {prefix}read_model_copy set state = 'leaving' where version = $1 and state = 'kept'", VERSION),
            ("update {prefix}read_model_copy set state = 'kept', paused = {no}, held = {no}, position = {live} where version = $1 and state = 'live'", VERSION),
            (
                "update {prefix}read_model_copy set state = 'live', held = {no}, compares = {no}, note = null, finished_at = coalesce(finished_at, {now})
                 where copy = $1",
                self.copy,
            ),
        ];
        let no = if matches!(connection, Connection::Sqlite(..)) { "0" } else { "false" };
        if matches!(connection, Connection::Sqlite(..)) {
            // Files have one process: nobody reads a copy of another version any more.
            let leave = "update read_model_copy set state = 'kept' where version <> $1 and state = 'live'";
            composed(leave.to_owned()).bind(VERSION).execute(connection).await?;
        }
        for (change, value) in changes {
            let change = change
                .replace("{prefix}", prefix)
                .replace("{no}", no)
                .replace("{now}", &self.now.0.to_string())
                .replace("{live}", &live.to_string());
            composed(change).bind(value).execute(connection).await?;
        }
        Ok(())
    }
}

/// Brings an operator's decisions to skip events from the live copy to another, and says which events are parked in the other alone.
pub(crate) async fn agree_on_skipped<L: EventLog>(
    connection: &mut Connection,
    log: &L,
    upcasters: &Upcasters,
    read_model: &ReadModel,
) -> Result<BTreeSet<Position>, OperationError> {
    let store = OperationError::Store;
    let live = read_model.skip_decisions(WALLET).await.map_err(store)?;
    let known = parked::skipped_after(connection, WALLET, Position(0)).await.map_err(store)?;
    for (position, error, reason) in live {
        if known.contains(&position) {
            continue;
        }
        if parked::find_blocking(connection, WALLET, position).await.map_err(store)?.is_some() {
            resume(connection, log, upcasters, position, Some(&reason)).await?.1?;
        } else {
            sql("insert into skipped_event (projection, position, error, reason) values ($1, $2, $3, $4)")
                .bind(WALLET)
                .bind(position.0.cast_signed())
                .bind(error)
                .bind(reason)
                .execute(connection)
                .await
                .map_err(store)?;
        }
    }
    let parked = parked::positions(connection, WALLET).await.map_err(store)?;
    let live = read_model.parked_positions(WALLET).await.map_err(store)?;
    Ok(parked.difference(&live).copied().collect())
}
