//! Deletes old rows: deliveries that have come to their end, and phones that nothing is pending for. The watermarks in `woken` are kept.

use honoken_database::statements::{Connection, sql};

use super::delivery_state::pending;
use super::phone_topic::PhoneTopic;
use super::{Ledger, LedgerError};

/// Rows that are deleted at once, so that other work does not wait long for the connection.
const AT_ONCE: i64 = 1000;

impl Ledger {
    /// Deletes a thousand deliveries at the most that ended before a moment, and parked messages as old. `true` when there may be more.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn forget_deliveries(&self, before_ms: i64) -> Result<bool, LedgerError> {
        let doing = "deleting old deliveries";
        let mut writer = self.writer(doing).await?;
        let forgotten = forget_deliveries(&mut writer, before_ms).await;
        Ok(writer.keep(forgotten).map_err(LedgerError::of(doing))? >= AT_ONCE.cast_unsigned())
    }

    /// Deletes a thousand phones at the most that nothing is pending for and whose window ended before a moment, going through all of them. Gives
    /// where to go on; `None` at the end.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn forget_phones(
        &self,
        after: Option<&PhoneTopic>,
        before_ms: i64,
    ) -> Result<Option<PhoneTopic>, LedgerError> {
        let doing = "deleting phones without pending deliveries";
        let (topic, device) = after.map_or(("", ""), |key| {
            (key.pass_type_identifier.as_str(), key.device_library_identifier.as_str())
        });
        let last = sql("select pass_type_identifier, device_library_identifier from wake
             where (pass_type_identifier, device_library_identifier) > ($1, $2)
             order by pass_type_identifier, device_library_identifier
             limit 1 offset $3")
        .bind(topic)
        .bind(device)
        .bind(AT_ONCE - 1)
        .fetch_optional(&self.readers)
        .await;
        let last = last.and_then(|row| row.as_ref().map(PhoneTopic::read).transpose());
        let last = last.map_err(LedgerError::of(doing))?;
        let mut writer = self.writer(doing).await?;
        let forgotten = match &last {
            Some(last) => sql("delete from wake
                 where (pass_type_identifier, device_library_identifier) > ($1, $2)
                   and (pass_type_identifier, device_library_identifier) <= ($4, $5)
                   and due_at is null and quiet_until < $3")
            .bind(topic)
            .bind(device)
            .bind(before_ms)
            .bind(last.pass_type_identifier.as_str())
            .bind(last.device_library_identifier.as_str()),
            None => sql("delete from wake
                 where (pass_type_identifier, device_library_identifier) > ($1, $2)
                   and due_at is null and quiet_until < $3")
            .bind(topic)
            .bind(device)
            .bind(before_ms),
        };
        let forgotten = forgotten.execute(&mut writer).await;
        writer.keep(forgotten).map_err(LedgerError::of(doing))?;
        Ok(last)
    }
}

async fn forget_deliveries(connection: &mut Connection, before_ms: i64) -> sqlx::Result<u64> {
    sql("delete from parked_message where parked_at < $1").bind(before_ms).execute(connection).await?;
    let statement = match connection {
        Connection::Sqlite(..) => {
            concat!(
                "delete from delivery
             where id in (select id from delivery where state <> '",
                pending!(),
                "' and changed_at < $1 order by changed_at limit $2)"
            )
        }
        // An array, since the planner expects a limit that it does not know to be a tenth of the table.
        Connection::Postgres(_) => {
            concat!(
                "delete from delivery
             where id = any (array(select id from delivery where state <> '",
                pending!(),
                "' and changed_at < $1 order by changed_at limit $2))"
            )
        }
    };
    sql(statement).bind(before_ms).bind(AT_ONCE).execute(connection).await
}
