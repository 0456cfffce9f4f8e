//! Phones that a sender has claimed: from the claim to the result. The table is `wake`, as in [`push_schedule`](super::push_schedule); the claims of a
//! file are in memory (`file_claims.rs`).

use std::collections::BTreeMap;

use honoken_database::statements::{Connection, Row, execute_for_each, sql};

use super::deliveries::{self, DeliveryResult, MANY_PENDING, PendingDelivery};
use super::file_claims::FileClaims;
use super::phone_topic::PhoneTopic;
use super::{Ledger, LedgerError, columns};

/// A phone that a sender has claimed.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The phone and the topic.
    pub key: PhoneTopic,
    /// Failures in a row so far.
    pub attempts: u32,
    /// The deliveries that are pending for it, the oldest first. May be empty.
    pub pending: Vec<PendingDelivery>,
    /// Whether there may be more than that.
    pub more: bool,
    /// How much was enqueued by then.
    enqueued: i64,
}

/// When a claimed phone is pushed to next: the end of the claim.
#[derive(Debug, Clone)]
pub struct NextPush {
    key: PhoneTopic,
    enqueued: i64,
    attempts: u32,
    /// Nothing is sent until then; 0: as it was.
    quiet_until_ms: i64,
    /// 0: when something else is enqueued.
    due_at_ms: i64,
}

impl Claim {
    /// A push has been accepted that stands for all that was pending. Until `quiet_until_ms` only urgent changes are sent.
    pub fn sent(&self, now_ms: i64, quiet_until_ms: i64) -> NextPush {
        let due_at_ms = if self.more { now_ms.max(quiet_until_ms) } else { 0 };
        self.next(0, quiet_until_ms, due_at_ms)
    }

    /// Nothing is pending any longer, and nothing was sent.
    pub fn ended(&self, now_ms: i64) -> NextPush {
        self.next(0, 0, if self.more { now_ms } else { 0 })
    }

    /// It has failed, and is left alone until then, whatever comes.
    pub fn back_off(&self, until_ms: i64) -> NextPush {
        self.next(self.attempts.saturating_add(1), until_ms, until_ms)
    }

    /// It has failed, and is tried again then, or when something new comes.
    pub fn retry(&self, at_ms: i64) -> NextPush {
        self.next(self.attempts.saturating_add(1), 0, at_ms)
    }

    /// It was not tried, for a reason that is not the phone's.
    pub fn put_back(&self, until_ms: i64) -> NextPush {
        self.next(self.attempts, 0, until_ms)
    }

    fn next(&self, attempts: u32, quiet_until_ms: i64, due_at_ms: i64) -> NextPush {
        NextPush { key: self.key.clone(), enqueued: self.enqueued, attempts, quiet_until_ms, due_at_ms }
    }
}

impl NextPush {
    /// Whether two are the same but for the phone, and for the moment at which the window ends, if both begin one.
    fn ends_like(&self, other: &Self) -> bool {
        self.key.pass_type_identifier == other.key.pass_type_identifier
            && self.enqueued == other.enqueued
            && self.attempts == other.attempts
            && self.due_at_ms == other.due_at_ms
            && self.attempts == 0
            && (self.quiet_until_ms == 0) == (other.quiet_until_ms == 0)
    }

    /// The phone and the topic.
    pub fn key(&self) -> &PhoneTopic {
        &self.key
    }
}

impl Ledger {
    /// Whether a claim that finds nothing costs no more than asking whether there is something.
    pub(crate) fn claims_are_free(&self) -> bool {
        self.file_claims.is_some()
    }

    /// Claims phones that are due, those first that have waited longest, with their pending deliveries.
    ///
    /// # Errors
    /// When the data store is unavailable: then some may have been claimed, and are free when this sender is no longer alive.
    pub async fn claim(&self, sender: &str, limit: u32, now_ms: i64) -> Result<Vec<Claim>, LedgerError> {
        let doing = "claiming due phones";
        let mut writer = self.writer(doing).await?;
        let claimed = match &self.file_claims {
            Some(claims) => claim_in_file(&mut writer, claims, limit, now_ms).await,
            None => claim_on_server(&mut writer, sender, limit, now_ms).await,
        };
        writer.keep(claimed).map_err(LedgerError::of(doing))
    }

    /// Writes the results of deliveries, and when their phones are pushed to next, in one transaction.
    ///
    /// # Errors
    /// When the data store is unavailable. It may be written again, which changes nothing where it was written already.
    pub async fn write_results(
        &self,
        sender: &str,
        deliveries: &[DeliveryResult],
        phones: &[NextPush],
    ) -> Result<(), LedgerError> {
        let doing = "writing the results of pushes";
        let mut writer = self.writer(doing).await?;
        let written = async {
            writer.begin().await?;
            deliveries::write_results(&mut writer, deliveries).await?;
            end_claims(&mut writer, sender, phones).await?;
            writer.commit().await
        };
        let written = written.await;
        if let (Some(claims), Ok(())) = (&self.file_claims, &written) {
            claims.remove(phones.iter().map(NextPush::key));
        }
        writer.keep(written).map_err(LedgerError::of(doing))
    }

    /// Frees the phones that a sender has claimed and does not know of: the answer to its claim was lost.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn free_unknown(
        &self,
        sender: &str,
        known: impl Fn(&PhoneTopic) -> bool,
        now_ms: i64,
    ) -> Result<(), LedgerError> {
        if let Some(claims) = &self.file_claims {
            claims.retain(known);
            return Ok(());
        }
        let doing = "looking for claimed phones";
        let rows = sql("select pass_type_identifier, device_library_identifier, attempts, enqueued from wake
             where due_at is not null and claimed_by = $1")
        .bind(sender)
        .fetch_all(&self.readers)
        .await;
        let claimed = rows.and_then(|rows| rows.iter().map(read_claimed).collect::<sqlx::Result<Vec<_>>>());
        let claimed = claimed.map_err(LedgerError::of(doing))?.into_iter();
        let unknown: Vec<_> =
            claimed.filter(|(key, _)| !known(key)).map(|(_, claimed)| claimed.put_back(now_ms)).collect();
        self.write_results(sender, &[], &unknown).await
    }
}

/// Phones that other senders are about to claim are left to them. By `ctid`, since the planner takes a limit that it does not know for a tenth of the table.
const CLAIM_ON_SERVER: &str = "update wake set claimed_by = $1, urgent = false
     where ctid = any (array(select ctid from wake
                             where due_at <= $2 and claimed_by is null
                             order by due_at
                             limit $3
                             for update skip locked))
     returning pass_type_identifier, device_library_identifier, attempts, enqueued";

async fn claim_on_server(
    connection: &mut Connection,
    sender: &str,
    limit: u32,
    now_ms: i64,
) -> sqlx::Result<Vec<Claim>> {
    connection.begin().await?;
    let rows = sql(CLAIM_ON_SERVER).bind(sender).bind(now_ms).bind(i64::from(limit));
    let rows = rows.fetch_all(&mut *connection).await?;
    let claimed = rows.iter().map(read_claimed).collect::<sqlx::Result<BTreeMap<_, _>>>()?;
    let claimed = with_pending(connection, claimed).await?;
    connection.commit().await?;
    Ok(claimed)
}

/// Without a transaction: nobody else writes while this connection is in use.
async fn claim_in_file(
    connection: &mut Connection,
    claims: &FileClaims,
    limit: u32,
    now_ms: i64,
) -> sqlx::Result<Vec<Claim>> {
    let rows = claims.find(&mut *connection, limit, now_ms).await?;
    let claimed = rows.iter().map(read_claimed).collect::<sqlx::Result<BTreeMap<_, _>>>()?;
    let claimed = with_pending(connection, claimed).await?;
    claims.add(claimed.iter().map(|claim| claim.key.clone()));
    Ok(claimed)
}

async fn with_pending(
    connection: &mut Connection,
    mut claimed: BTreeMap<PhoneTopic, Claim>,
) -> sqlx::Result<Vec<Claim>> {
    let pending = deliveries::pending(connection, claimed.keys()).await?;
    let more = pending.len() >= MANY_PENDING;
    for delivery in pending {
        if let Some(claimed) = claimed.get_mut(&delivery.phone_topic) {
            claimed.pending.push(delivery);
        }
    }
    Ok(claimed.into_values().map(|claim| Claim { more, ..claim }).collect())
}

fn read_claimed(row: &Row) -> sqlx::Result<(PhoneTopic, Claim)> {
    let key = PhoneTopic::read(row)?;
    let claim = Claim {
        key: key.clone(),
        attempts: u32::try_from(row.get::<i64>("attempts")?).unwrap_or(u32::MAX),
        pending: Vec::new(),
        more: false,
        enqueued: row.get("enqueued")?,
    };
    Ok((key, claim))
}

/// Ends the claims that an insert names; on a server those that are still the sender's.
macro_rules! end_claims_of {
    ($phones:literal, $which:literal) => {
        concat!(
            "insert into wake (pass_type_identifier, device_library_identifier, due_at, urgent, enqueued, attempts, quiet_until, claimed_by)
         ",
            $phones,
            "
         on conflict (pass_type_identifier, device_library_identifier) do update
         set claimed_by = null, urgent = false, attempts = excluded.attempts,
             quiet_until = case when excluded.quiet_until > 0 then excluded.quiet_until else wake.quiet_until end,
             due_at = case when excluded.due_at > 0 then excluded.due_at
                           when wake.enqueued = excluded.enqueued then null
                           when wake.urgent or excluded.quiet_until = 0 then wake.due_at
                           else excluded.quiet_until end",
            $which
        )
    };
}

/// An insert, although every row is there: it locks them in the order of the phones, as a statement that enqueues does.
async fn end_claims(connection: &mut Connection, sender: &str, phones: &[NextPush]) -> sqlx::Result<()> {
    let mut phones: Vec<_> = phones.iter().collect();
    phones.sort_by(|one, other| one.key.cmp(&other.key));
    if let [first, .., _] = phones.as_slice()
        && phones.iter().all(|next| next.ends_like(first))
    {
        return end_alike(connection, sender, first, &phones).await;
    }
    let rows = phones.into_iter().map(|next| {
        let [topic, device] = next.key.row();
        [
            topic,
            device,
            next.due_at_ms.into(),
            false.into(),
            next.enqueued.into(),
            i64::from(next.attempts).into(),
            next.quiet_until_ms.into(),
            sender.into(),
        ]
    });
    let statement = match connection {
        Connection::Sqlite(..) => end_claims_of!("values {rows}", ""),
        Connection::Postgres(_) => {
            end_claims_of!("values {rows}", " where wake.claimed_by = excluded.claimed_by")
        }
    };
    execute_for_each(connection, statement, rows.collect()).await
}

/// Claims that end alike, as after a change that has woken very many: with one list of names. Their windows end with the last of them.
async fn end_alike(
    connection: &mut Connection,
    sender: &str,
    one: &NextPush,
    phones: &[&NextPush],
) -> sqlx::Result<()> {
    let names: Vec<_> = phones.iter().map(|next| next.key.device_library_identifier.as_str()).collect();
    let names = serde_json::to_string(&names).map_err(columns::decode)?;
    let quiet_until_ms = phones.iter().map(|next| next.quiet_until_ms).max().unwrap_or_default();
    let statement = match connection {
        Connection::Sqlite(..) => {
            end_claims_of!("select $1, value, $2, $3, $4, $5, $6, $7 from json_each($8) where true", "")
        }
        Connection::Postgres(_) => end_claims_of!(
            "select $1, value, $2, $3, $4, $5, $6, $7 from json_array_elements_text($8::json) as page (value)",
            " where wake.claimed_by = excluded.claimed_by"
        ),
    };
    sql(statement)
        .bind(one.key.pass_type_identifier.as_str())
        .bind(one.due_at_ms)
        .bind(false)
        .bind(one.enqueued)
        .bind(i64::from(one.attempts))
        .bind(quiet_until_ms)
        .bind(sender)
        .bind(names)
        .execute(connection)
        .await?;
    Ok(())
}
