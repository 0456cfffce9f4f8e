//! Which of several processes runs the projection.
//!
//! On Postgres the lease is in the row of the checkpoint: a process that takes it raises the `fence` and then renews the lease. A process that
//! died is recognised by its session, which the server has closed; a frozen process by its lease, which expires. When a frozen process comes
//! back it still believes that it has the lease, but every batch begins by renewing under its own fence, in the transaction that moves the
//! checkpoint: no event is applied by two processes. In a copy of the database beside the original no process has the lease, since its
//! session is one of the original.
//!
//! On SQLite there is one process, which the lock of the data folder ensures.

use honoken_database::statements::{Connection, sql};

use crate::projection::{CHANNEL, VERSION, WALLET};

/// The part of a process in the projection, where several share a read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It runs the projection while no other process does.
    Run,
    /// It only follows how far the projection is.
    Watch,
}

/// The right to write the tables, until another process takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lease {
    /// There is no other process.
    Alone,
    /// The fence as this process has raised it.
    Fence(i64),
}

/// Takes the lease, if no other session has it; one that this session had before other processes worked on the tables is free too. A release
/// with an older version of the tables does not take it, since it would empty those of a newer release. A lease that expired long ago is left
/// to [`shorten_impossible_lease`], even if the clock is set between the two statements.
pub(crate) async fn acquire(connection: &mut Connection) -> sqlx::Result<Option<Lease>> {
    if matches!(connection, Connection::Sqlite(..)) {
        return Ok(Some(Lease::Alone));
    }
    sql("insert into projection_checkpoint (projection, epoch, version, position) values ($1, '', $2, 0) on conflict do nothing")
        .bind(WALLET)
        .bind(VERSION)
        .execute(connection)
        .await?;
    shorten_impossible_lease(connection).await?;
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

/// Gives the holder five seconds to renew a lease that expires later than any lease can, or that expired long ago while its holder is
/// connected: it was written before the server's clock was set. (The expiry of a released lease is `-infinity`.)
async fn shorten_impossible_lease(connection: &mut Connection) -> sqlx::Result<()> {
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

/// Renews the lease; `false` when another process has it, or is about to. Inside a transaction no other process can take it before the
/// transaction ends.
pub(crate) async fn renew(connection: &mut Connection, lease: Lease) -> sqlx::Result<bool> {
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

/// Takes the lease from the process that has it, until the transaction that this is part of ends. Then the lease is free.
pub(crate) async fn seize(connection: &mut Connection) -> sqlx::Result<()> {
    if let Connection::Postgres(_) = connection {
        sql("update projection_checkpoint set fence = fence + 1, leased_until = '-infinity' where projection = $1")
            .bind(WALLET)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Waits for a process that is writing, and keeps all others from writing until the transaction ends.
pub(crate) async fn pause_others(connection: &mut Connection) -> sqlx::Result<()> {
    if let Connection::Postgres(_) = connection {
        sql("select fence from projection_checkpoint where projection = $1 for update")
            .bind(WALLET)
            .fetch_all(connection)
            .await?;
    }
    Ok(())
}

/// Releases the lease, so that another process need not wait for its expiry, and wakes the processes that stand by.
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
