//! Which of several processes does a task that one does at a time.
//!
//! A lease is kept in a row of a table on a server, in the columns `fence`, `leased_until`, `holder_pid` and `holder_started`: a process that
//! takes it raises the fence and then renews the lease. A process that died is recognised by its session, which the server has closed; a frozen
//! process by its lease, which expires. When a frozen process comes back it still believes that it has the lease, so it renews under its own
//! fence in the transaction of everything that only the holder may write: no write is made by two processes. In a copy of the database beside the
//! original no process has the lease, since its session is one of the original.
//!
//! Times are those of the server (`docs/decisions/0045-a-clock-that-is-set.md`). To a file there is one process, which the lock of the data folder
//! ensures.

use crate::statements::{Connection, ReaderPool, Readers, Statement, composed};

/// A lease, and the row that it is kept in. The row must exist.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    table: &'static str,
    /// The column of its key.
    column: &'static str,
    key: &'static str,
    /// Seconds from a renewal to its expiry.
    seconds: u32,
    /// Of this release; `None` where rows have no `version`.
    version: Option<i64>,
}

/// The right that a process has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// There is no other process.
    Alone,
    /// The fence as this process has raised it.
    Fence(i64),
}

impl Lease {
    /// The lease in the row of `table` whose `column` is `key`. It expires so many `seconds` after it was renewed.
    pub const fn new(table: &'static str, column: &'static str, key: &'static str, seconds: u32) -> Self {
        Self { table, column, key, seconds, version: None }
    }

    /// For a row that says in `version` which release it fits: a release takes no row of a newer one.
    #[must_use]
    pub const fn of_version(self, version: i64) -> Self {
        Self { version: Some(version), ..self }
    }

    /// Takes the lease, if no other session has it; one that this session had before is free too. A lease that expired long ago, or expires
    /// later than any can, was written before the server's clock was set: its holder gets the time of a lease to renew it.
    pub async fn take(&self, connection: &mut Connection) -> sqlx::Result<Option<Held>> {
        if matches!(connection, Connection::Sqlite(..)) {
            return Ok(Some(Held::Alone));
        }
        self.shorten_impossible(connection).await?;
        let version = self.version.map_or("", |_| "and version <= $2");
        let mut take = self.statement(
            "update {table}
             set fence = fence + 1, leased_until = clock_timestamp() + interval '{seconds} seconds', holder_pid = pg_backend_pid(),
                 holder_started = (select backend_start from pg_stat_activity where pid = pg_backend_pid())
             where {column} = (select {column} from {table}
                               where {row} {condition}
                                 and (leased_until = '-infinity'
                                      or leased_until between statement_timestamp() - interval '1 minute' and statement_timestamp()
                                      or not exists (select from pg_stat_activity
                                                     where pid = holder_pid and backend_start = holder_started
                                                       and datname = current_database() and pid <> pg_backend_pid()))
                               for update skip locked)
             returning fence",
            version,
        );
        if let Some(version) = self.version {
            take = take.bind(version);
        }
        let taken = take.fetch_optional(connection).await?;
        taken.map(|row| row.get("fence").map(Held::Fence)).transpose()
    }

    /// Gives a connected holder the time of a lease to renew one that was written before the server's clock was set. Such a lease is left to this even
    /// if the clock is set between the two statements. (The expiry of a released lease is `-infinity`.)
    async fn shorten_impossible(&self, connection: &mut Connection) -> sqlx::Result<()> {
        let shorten = self.statement(
            "update {table} set leased_until = clock_timestamp() + interval '{seconds} seconds'
             where {column} = (select {column} from {table}
                               where {row} {condition}
                                 and leased_until not between clock_timestamp() - interval '1 minute'
                                                          and clock_timestamp() + interval '{seconds} seconds'
                                 and exists (select from pg_stat_activity where pid = holder_pid and backend_start = holder_started
                                                                          and datname = current_database())
                               for update skip locked)",
            "and leased_until > '-infinity'",
        );
        shorten.execute(connection).await.map(drop)
    }

    /// Renews the lease; `false` when another process has it, or is about to. Inside a transaction no other process can take it before the
    /// transaction ends.
    pub async fn renew(&self, connection: &mut Connection, held: Held) -> sqlx::Result<bool> {
        let Held::Fence(fence) = held else { return Ok(true) };
        let renew = self.statement(
            "update {table} set leased_until = clock_timestamp() + interval '{seconds} seconds'
             where {column} = (select {column} from {table} where {row} {condition} for update skip locked)",
            "and fence = $2",
        );
        Ok(renew.bind(fence).execute(connection).await? == 1)
    }

    /// Releases the lease, so that another process need not wait for its expiry. One that another process has taken meanwhile stays its own.
    pub async fn release(&self, connection: &mut Connection, held: Held) -> sqlx::Result<()> {
        let Held::Fence(fence) = held else { return Ok(()) };
        let release = self.statement(
            "update {table} set leased_until = '-infinity' where {row} {condition}",
            "and fence = $2",
        );
        release.bind(fence).execute(connection).await.map(drop)
    }

    /// Takes the lease from the process that has it, until the transaction that this is part of ends. Then the lease is free.
    pub async fn seize(&self, connection: &mut Connection) -> sqlx::Result<()> {
        if let Connection::Postgres(_) = connection {
            let seize = "update {table} set fence = fence + 1, leased_until = '-infinity' where {row}";
            self.statement(seize, "").execute(connection).await?;
        }
        Ok(())
    }

    /// Waits for a process that is writing as the holder, and keeps all others from it until the transaction that this is part of ends.
    pub async fn pause(&self, connection: &mut Connection) -> sqlx::Result<()> {
        if let Connection::Postgres(_) = connection {
            let pause = "select fence from {table} where {row} for update";
            self.statement(pause, "").fetch_all(connection).await?;
        }
        Ok(())
    }

    /// Whether a process has it.
    pub async fn is_held(&self, readers: &Readers) -> sqlx::Result<bool> {
        if let ReaderPool::Sqlite(..) = &*readers.pool() {
            return Ok(true);
        }
        let asked =
            "select exists (select 1 from {table} where {row} and leased_until > clock_timestamp()) as held";
        self.statement(asked, "").fetch_one(readers).await?.get("held")
    }

    /// A statement about the row, whose key is `$1`. `condition` stands beside the one that finds the row.
    fn statement(&self, template: &str, condition: &str) -> Statement {
        let text = template
            .replace("{row}", "{column} = $1")
            .replace("{table}", self.table)
            .replace("{column}", self.column)
            .replace("{seconds}", &self.seconds.to_string())
            .replace("{condition}", condition);
        composed(text).bind(self.key)
    }
}
