//! `sender`: which of several processes is alive. Phones that a dead one had claimed are free for the others.
//!
//! A sender that is frozen for longer than its lease loses its claims, and may push to these phones once more when it comes back; what it writes then
//! changes nothing that another has written. A server that was restarted, or whose clock was set, gives all senders the time to come back. A file
//! has one sender.

use honoken_database::statements::{Connection, sql};

use super::{Ledger, LedgerError};

impl Ledger {
    /// Says that a sender is alive for five more seconds, and frees the phones of senders that are not. To be said every second.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn keep_alive(&self, sender: &str) -> Result<(), LedgerError> {
        let doing = "renewing the lease of a sender";
        let mut writer = self.writer(doing).await?;
        let freed = match *writer {
            Connection::Sqlite(..) => Ok(false),
            Connection::Postgres(_) => keep_alive(&mut writer, sender).await,
        };
        if writer.keep(freed).map_err(LedgerError::of(doing))? {
            self.notify_changed();
        }
        Ok(())
    }

    /// Frees the phones that a sender has claimed: it ends.
    ///
    /// # Errors
    /// When the data store is unavailable. Then it is free when its time is over.
    pub async fn end_sender(&self, sender: &str) -> Result<(), LedgerError> {
        let doing = "releasing claims";
        let mut writer = self.writer(doing).await?;
        let ended = match &self.file_claims {
            Some(claims) => {
                claims.retain(|_| false);
                Ok(())
            }
            None => end_sender(&mut writer, sender).await,
        };
        writer.keep(ended).map_err(LedgerError::of(doing))
    }
}

/// Whether something was freed.
///
/// A sender that is late by the server's clock is dead only as long as that clock goes on as it should: this sender itself has said a moment ago
/// that it is alive. Else the clock was set, or the server or this process stood still, and every sender has five seconds to come back.
async fn keep_alive(connection: &mut Connection, sender: &str) -> sqlx::Result<bool> {
    let own = sql("insert into sender (sender, alive_until) values ($1, clock_timestamp() + interval '5 seconds')
         on conflict (sender) do update set alive_until = excluded.alive_until
         returning (select said.alive_until between clock_timestamp() + interval '2 seconds' and clock_timestamp() + interval '5 seconds'
                    from sender as said where said.sender = $1) as in_time")
    .bind(sender)
    .fetch_one(&mut *connection)
    .await?;
    let in_time = own.get::<Option<bool>>("in_time")?.unwrap_or(false);
    connection.begin().await?;
    sql("update sender set alive_until = clock_timestamp() + interval '5 seconds'
         where sender in (select sender from sender
                          where alive_until > clock_timestamp() + interval '5 seconds' or (alive_until < clock_timestamp() and not $1)
                          for update skip locked)")
    .bind(in_time)
    .execute(connection)
    .await?;
    // One reading of the clock for both sides: when it is set between the statements, this sender is late as well, and frees no phones.
    let dead = sql("delete from sender
         where sender in (select sender from sender where alive_until < statement_timestamp() for update skip locked)
           and exists (select from sender as own
                       where own.sender = $1 and own.alive_until > statement_timestamp() + interval '2 seconds')
         returning sender")
    .bind(sender)
    .fetch_all(&mut *connection)
    .await?;
    for row in &dead {
        free(connection, row.get("sender")?).await?;
    }
    connection.commit().await?;
    Ok(!dead.is_empty())
}

async fn end_sender(connection: &mut Connection, sender: &str) -> sqlx::Result<()> {
    connection.begin().await?;
    free(connection, sender).await?;
    if let Connection::Postgres(_) = connection {
        sql("delete from sender where sender = $1").bind(sender).execute(connection).await?;
    }
    connection.commit().await
}

async fn free(connection: &mut Connection, sender: &str) -> sqlx::Result<()> {
    sql("update wake set claimed_by = null where due_at is not null and claimed_by = $1")
        .bind(sender)
        .execute(connection)
        .await?;
    Ok(())
}
