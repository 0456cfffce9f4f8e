//! Which of several processes runs the projection: the one that has the lease in the row of the checkpoint. Every batch begins by renewing it, in the
//! transaction that moves the checkpoint, so no event is applied by two processes.

use honoken_database::lease::Held;
use honoken_database::statements::{Connection, sql};

use crate::projection::{CHANNEL, LEASE, VERSION, WALLET};

/// The part of a process in the projection, where several share a read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It runs the projection while no other process does.
    Run,
    /// It only follows how far the projection is.
    Watch,
}

/// Takes the lease, if no other process has it.
pub(crate) async fn take(connection: &mut Connection) -> sqlx::Result<Option<Held>> {
    if let Connection::Postgres(_) = connection {
        sql("insert into projection_checkpoint (projection, epoch, version, position) values ($1, '', $2, 0) on conflict do nothing")
            .bind(WALLET)
            .bind(VERSION)
            .execute(connection)
            .await?;
    }
    LEASE.take(connection).await
}

/// Releases the lease, and wakes the processes that stand by.
pub(crate) async fn release(connection: &mut Connection, held: Held) -> sqlx::Result<()> {
    LEASE.release(connection, held).await?;
    if let Connection::Postgres(_) = connection {
        sql("select pg_notify($2, position::text) from projection_checkpoint where projection = $1")
            .bind(WALLET)
            .bind(CHANNEL)
            .fetch_all(connection)
            .await?;
    }
    Ok(())
}
