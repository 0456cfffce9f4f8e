//! Forgets what is old: deliveries that have come to their end, and phones that nothing waits for. `woken` is kept.

use honoken_event_store::database::statements::{Connection, sql};

use super::{Ledger, LedgerError};

/// Rows that are deleted at once, so that nobody waits long for the connection.
const AT_ONCE: i64 = 1000;

impl Ledger {
    /// Deletes a thousand deliveries at the most that ended before a moment, and parked messages as old. `true` when there may be more.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn forget_deliveries(&self, before_ms: i64) -> Result<bool, LedgerError> {
        let doing = "forgetting old deliveries";
        let mut writer = self.writer(doing).await?;
        let forgotten = forget_deliveries(&mut writer, before_ms).await;
        Ok(writer.keep(forgotten).map_err(LedgerError::of(doing))? >= AT_ONCE.cast_unsigned())
    }
}

async fn forget_deliveries(connection: &mut Connection, before_ms: i64) -> sqlx::Result<u64> {
    sql("delete from parked_message where parked_at < $1").bind(before_ms).execute(connection).await?;
    sql("delete from delivery
         where id in (select id from delivery where state <> 'pending' and changed_at < $1 order by changed_at limit $2)")
    .bind(before_ms)
    .bind(AT_ONCE)
    .execute(connection)
    .await
}
