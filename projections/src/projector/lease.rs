//! Which of several processes runs the projection.
//!
//! On Postgres the checkpoint's row says so: whoever holds it raised its `fence`, and renews a lease. A process that died is known by its session,
//! which the server has closed; one that is frozen by its lease, which runs out. When it comes back it still believes to hold the row, but every
//! batch begins by asking for its own fence, in the transaction that moves the checkpoint: nothing is applied by two. In a copy of the database
//! beside it the lease is nobody's, since its session is one of the original.
//!
//! On SQLite there is one process, which the lock of the data folder sees to.

use honoken_database::statements::{Connection, sql};

use crate::projection::{CHANNEL, VERSION, WALLET};

/// What a process does for the projection, where several share a read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Runs it while no other process does.
    Run,
    /// Sees how far it is.
    Watch,
}

/// The right to write, as long as nobody else has taken it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lease {
    /// There is nobody else.
    Alone,
    /// The fence that was raised.
    Fence(i64),
}

/// Takes the right to write, if no other session has it: what was this one's own before others worked on the tables is free too. A release
/// whose tables mean something older stands back: it would empty those of a newer one. A lease that ended long ago is left to [`doubt`], also when the
/// clock is set between the two statements.
pub(crate) async fn take(connection: &mut Connection) -> sqlx::Result<Option<Lease>> {
    if matches!(connection, Connection::Sqlite(..)) {
        return Ok(Some(Lease::Alone));
    }
    sql("insert into projection_checkpoint (projection, epoch, version, position) values ($1, '', $2, 0) on conflict do nothing")
        .bind(WALLET)
        .bind(VERSION)
        .execute(connection)
        .await?;
    doubt(connection).await?;
    let taken = sql("update projection_checkpoint
         set fence = fence + 1, leased_until = clock_timestamp() + interval '5 seconds', holder_pid = pg_backend_pid(),
             holder_started = (select backend_start from pg_stat_activity where pid = pg_backend_pid())
         where projection = (select projection from projection_checkpoint
                             where projection = $1 and version <= $2
                               and (leased_until = '-infinity'
                                    or leased_until between statement_timestamp() - interval '1 minute' and statement_timestamp()
                                    or not exists (select from pg_stat_activity
                                                   where pid = holder_pid and backend_start = holder_started
                                                     and datname = current_database() and pid <> pg_backend_pid()))
                             for update skip locked)
         returning fence")
    .bind(WALLET)
    .bind(VERSION)
    .fetch_optional(connection)
    .await?;
    taken.map(|row| row.get("fence").map(Lease::Fence)).transpose()
}

/// A lease that ends later than one can, or ended long ago, although its holder is there, was noted before the server's clock was set: the
/// holder has five seconds to renew it. (Freed leases end before all time.)
async fn doubt(connection: &mut Connection) -> sqlx::Result<()> {
    sql("update projection_checkpoint set leased_until = clock_timestamp() + interval '5 seconds'
         where projection = (select projection from projection_checkpoint
                             where projection = $1 and leased_until > '-infinity'
                               and leased_until not between clock_timestamp() - interval '1 minute' and clock_timestamp() + interval '5 seconds'
                               and exists (select from pg_stat_activity where pid = holder_pid and backend_start = holder_started
                                                                        and datname = current_database())
                             for update skip locked)")
        .bind(WALLET)
        .execute(connection)
        .await?;
    Ok(())
}

/// Renews it; `false` when somebody else has it, or is about to. Inside a transaction nobody can take it before that ends.
pub(crate) async fn hold(connection: &mut Connection, lease: Lease) -> sqlx::Result<bool> {
    let Lease::Fence(fence) = lease else { return Ok(true) };
    let renewed =
        sql("update projection_checkpoint set leased_until = clock_timestamp() + interval '5 seconds'
         where projection = (select projection from projection_checkpoint
                             where projection = $1 and fence = $2
                             for update skip locked)")
        .bind(WALLET)
        .bind(fence)
        .execute(connection)
        .await?;
    Ok(renewed == 1)
}

/// Takes it from whoever has it, until the transaction that this is part of ends. Then it is free.
pub(crate) async fn seize(connection: &mut Connection) -> sqlx::Result<()> {
    if let Connection::Postgres(_) = connection {
        sql("update projection_checkpoint set fence = fence + 1, leased_until = '-infinity' where projection = $1")
            .bind(WALLET)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Waits for whoever writes at this moment, and keeps everybody from it until the transaction ends.
pub(crate) async fn pause_others(connection: &mut Connection) -> sqlx::Result<()> {
    if let Connection::Postgres(_) = connection {
        sql("select fence from projection_checkpoint where projection = $1 for update")
            .bind(WALLET)
            .fetch_all(connection)
            .await?;
    }
    Ok(())
}

/// Gives it back, so that another process need not wait for it to run out, and wakes those that stand by.
pub(crate) async fn release(connection: &mut Connection, lease: Lease) -> sqlx::Result<()> {
    let Lease::Fence(fence) = lease else { return Ok(()) };
    sql("update projection_checkpoint set leased_until = '-infinity' where projection = $1 and fence = $2")
        .bind(WALLET)
        .bind(fence)
        .execute(&mut *connection)
        .await?;
    sql("select pg_notify($2, position::text) from projection_checkpoint where projection = $1")
        .bind(WALLET)
        .bind(CHANNEL)
        .fetch_all(connection)
        .await?;
    Ok(())
}
