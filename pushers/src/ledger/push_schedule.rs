//! `wake`: when a phone is pushed to next for a topic. This is the unit of sending: one push stands for everything that is pending for it.
//!
//! A new delivery makes it due, inside a coalescing window at its end. A sender [claims](super::claims) what is due, sends, and writes the result:
//! nothing left, or due again later. A delivery that is enqueued in between is seen by the column `enqueued`, which has grown: a statement would not see rows
//! that were committed after it began, but it does see the newest version of the row that it changes.

use std::collections::BTreeMap;

use honoken_database::statements::{Connection, execute_for_each, sql};
use honoken_domain::ids::PassTypeIdentifier;
use sqlx::SqliteConnection;

use super::phone_topic::PhoneTopic;
use super::{Ledger, LedgerError};

impl Ledger {
    /// When the next phone is due that no sender has claimed, Unix milliseconds.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn next_due(&self) -> Result<Option<i64>, LedgerError> {
        let doing = "the time at which the next phone is due";
        if let Some(claims) = &self.file_claims {
            return claims.next_due(&self.readers).await.map_err(LedgerError::of(doing));
        }
        let row = sql(
            "select due_at from wake where due_at is not null and claimed_by is null order by due_at limit 1",
        )
        .fetch_optional(&self.readers)
        .await;
        row.and_then(|row| row.map(|row| row.get("due_at")).transpose()).map_err(LedgerError::of(doing))
    }

    /// Makes phones of a topic due that were put back and need not wait any longer. Gives how many, at most `limit`.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn make_due(
        &self,
        topic: &PassTypeIdentifier,
        limit: u32,
        now_ms: i64,
    ) -> Result<u64, LedgerError> {
        let doing = "making phones due";
        let mut writer = self.writer(doing).await?;
        let made_due = make_due(&mut writer, topic, limit, now_ms).await;
        let made_due = writer.keep(made_due).map_err(LedgerError::of(doing))?;
        self.notify_changed();
        Ok(made_due)
    }
}

/// Makes the phones due that a query gives.
macro_rules! make_due_as {
    ($phones:literal) => {
        concat!(
            "insert into wake (pass_type_identifier, device_library_identifier, due_at, urgent, enqueued, attempts, quiet_until)
         ",
            $phones,
            "
         on conflict (pass_type_identifier, device_library_identifier) do update
         set enqueued = wake.enqueued + 1, urgent = wake.urgent or excluded.urgent,
             due_at = case when wake.quiet_until > excluded.due_at and (wake.attempts > 0 or not excluded.urgent)
                           then case when wake.due_at < wake.quiet_until then wake.due_at else wake.quiet_until end
                           else case when wake.due_at < excluded.due_at then wake.due_at else excluded.due_at end end"
        )
    };
}

/// Makes phones due, `true`: urgently. At once; in a window at its end, unless it is urgent; after a failure when the phone has been left alone for
/// long enough, even so. A phone that is due before stays so.
///
/// One statement for both, in the order of the phones: two that lock rows in another order would wait for each other.
pub(super) async fn enqueue(
    connection: &mut Connection,
    phones: &BTreeMap<PhoneTopic, bool>,
    now_ms: i64,
) -> sqlx::Result<()> {
    let rows = phones.iter().map(|(phone, urgent)| {
        let [topic, device] = phone.row();
        [topic, device, now_ms.into(), (*urgent).into(), 1_i64.into(), 0_i64.into(), 0_i64.into()]
    });
    execute_for_each(connection, make_due_as!("values {rows}"), rows.collect()).await
}

/// The same for a page of phones and one topic; `names` is a list of them in JSON, in order.
pub(super) async fn enqueue_page(
    connection: &mut Connection,
    topic: &PassTypeIdentifier,
    names: &str,
    urgent: bool,
    now_ms: i64,
) -> sqlx::Result<()> {
    let statement = match connection {
        Connection::Sqlite(..) => {
            make_due_as!("select $1, value, $2, $3, 1, 0, 0 from json_each($4) where true")
        }
        Connection::Postgres(_) => make_due_as!(
            "select $1, value, $2, $3, 1, 0, 0 from json_array_elements_text($4::json) as page (value)"
        ),
    };
    sql(statement).bind(topic.as_str()).bind(now_ms).bind(urgent).bind(names).execute(connection).await?;
    Ok(())
}

const MAKE_DUE_IN_FILE: &str =
    "update wake set due_at = case when quiet_until > $2 then quiet_until else $2 end
     where (pass_type_identifier, device_library_identifier) in
           (select pass_type_identifier, device_library_identifier from wake
            where pass_type_identifier = $1 and due_at > $2 and due_at > quiet_until and claimed_by is null
            limit $3)";

/// As [`CLAIM_ON_SERVER`](super::claims).
const MAKE_DUE_ON_SERVER: &str = "update wake set due_at = case when quiet_until > $2 then quiet_until else $2 end
     where ctid = any (array(select ctid from wake
                             where pass_type_identifier = $1 and due_at > $2 and due_at > quiet_until and claimed_by is null
                             limit $3
                             for update skip locked))";

async fn make_due(
    connection: &mut Connection,
    topic: &PassTypeIdentifier,
    limit: u32,
    now_ms: i64,
) -> sqlx::Result<u64> {
    let statement = match connection {
        Connection::Sqlite(..) => MAKE_DUE_IN_FILE,
        Connection::Postgres(_) => MAKE_DUE_ON_SERVER,
    };
    sql(statement).bind(topic.as_str()).bind(now_ms).bind(i64::from(limit)).execute(connection).await
}

/// Forgets the claims of an earlier release, which kept those of a file in it: none is left when it is opened.
pub(super) async fn free_all(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query("update wake set claimed_by = null where due_at is not null and claimed_by is not null")
        .execute(connection)
        .await?;
    Ok(())
}
