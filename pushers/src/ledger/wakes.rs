//! `wake`: when a phone is woken next for a topic. This is the unit of sending: one push stands for everything that is pending for it.
//!
//! Whoever enqueues makes it due, inside a coalescing window at its end. A sender claims what is due, sends, and notes the outcome: nothing left,
//! or due again later. What is enqueued in between is seen by `enqueued`, which has grown: a statement would not see rows that were committed
//! after it began, but it does see the newest version of the row that it changes.

use std::collections::BTreeMap;

use honoken_database::statements::{Connection, Row, Value, execute_for_each, sql};
use honoken_domain::ids::{DeviceLibraryIdentifier, PassTypeIdentifier};
use sqlx::SqliteConnection;

use super::deliveries::{self, MANY_PENDING, Noted, Pending};
use super::{Ledger, LedgerError};

/// A phone and a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WakeKey {
    /// The topic.
    pub pass_type_identifier: PassTypeIdentifier,
    /// The phone.
    pub device_library_identifier: DeviceLibraryIdentifier,
}

impl WakeKey {
    pub(super) fn read(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            pass_type_identifier: deliveries::pass_type(row)?,
            device_library_identifier: deliveries::device(row)?,
        })
    }

    pub(super) fn row(&self) -> [Value; 2] {
        [self.pass_type_identifier.as_str().into(), self.device_library_identifier.as_str().into()]
    }
}

/// A phone that this sender is at.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The phone and the topic.
    pub key: WakeKey,
    /// Failures in a row so far.
    pub attempts: u32,
    /// What is pending for it, the oldest first. May be empty.
    pub pending: Vec<Pending>,
    /// Whether there may be more than that.
    pub more: bool,
    /// How much was enqueued by then.
    enqueued: i64,
}

/// What is done about a phone next.
#[derive(Debug, Clone)]
pub struct Next {
    key: WakeKey,
    enqueued: i64,
    attempts: u32,
    /// 0: as it was.
    quiet_until_ms: i64,
    /// 0: when something else is enqueued.
    due_at_ms: i64,
}

impl Claimed {
    /// A push has been accepted that stands for all that was pending. Until `quiet_until_ms` nothing is sent but what is urgent.
    pub fn sent(&self, now_ms: i64, quiet_until_ms: i64) -> Next {
        let due_at_ms = if self.more { now_ms.max(quiet_until_ms) } else { 0 };
        self.next(0, quiet_until_ms, due_at_ms)
    }

    /// Nothing is pending any more, and nothing was sent.
    pub fn ended(&self, now_ms: i64) -> Next {
        self.next(0, 0, if self.more { now_ms } else { 0 })
    }

    /// The phone is left alone until then, whatever comes.
    pub fn rests(&self, until_ms: i64) -> Next {
        self.next(self.attempts.saturating_add(1), until_ms, until_ms)
    }

    /// It is tried again then, or when something new comes.
    pub fn tries_again(&self, at_ms: i64) -> Next {
        self.next(self.attempts.saturating_add(1), 0, at_ms)
    }

    /// It was not tried: something else than the phone has to rest.
    pub fn put_back(&self, until_ms: i64) -> Next {
        self.next(self.attempts, 0, until_ms)
    }

    fn next(&self, attempts: u32, quiet_until_ms: i64, due_at_ms: i64) -> Next {
        Next { key: self.key.clone(), enqueued: self.enqueued, attempts, quiet_until_ms, due_at_ms }
    }
}

impl Next {
    /// The phone and the topic.
    pub fn key(&self) -> &WakeKey {
        &self.key
    }
}

impl Ledger {
    /// Takes phones that are due, those first that have waited longest, with what is pending for them.
    ///
    /// # Errors
    /// When the store is away: then some may have been claimed, and are free when this sender is no longer alive.
    pub async fn claim(&self, sender: &str, limit: u32, now_ms: i64) -> Result<Vec<Claimed>, LedgerError> {
        let doing = "taking what is due";
        let mut writer = self.writer(doing).await?;
        let claimed = async {
            writer.begin().await?;
            let claimed = claim(&mut writer, sender, limit, now_ms).await?;
            writer.commit().await?;
            Ok(claimed)
        };
        let claimed = claimed.await;
        writer.keep(claimed).map_err(LedgerError::of(doing))
    }

    /// When the next phone is due that nobody is at, Unix milliseconds.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn next_due(&self) -> Result<Option<i64>, LedgerError> {
        let row = sql(
            "select due_at from wake where due_at is not null and claimed_by is null order by due_at limit 1",
        )
        .fetch_optional(&self.readers)
        .await;
        row.and_then(|row| row.map(|row| row.get("due_at")).transpose())
            .map_err(LedgerError::of("when the next phone is due"))
    }

    /// Notes what became of deliveries, and what is done about their phones next, in one transaction.
    ///
    /// # Errors
    /// When the store is away. It may be noted again, which changes nothing where it was noted already.
    pub async fn note(&self, sender: &str, deliveries: &[Noted], wakes: &[Next]) -> Result<(), LedgerError> {
        let doing = "noting what became of pushes";
        let mut writer = self.writer(doing).await?;
        let noted = async {
            writer.begin().await?;
            deliveries::note(&mut writer, deliveries).await?;
            next(&mut writer, sender, wakes).await?;
            writer.commit().await
        };
        let noted = noted.await;
        writer.keep(noted).map_err(LedgerError::of(doing))
    }

    /// Frees what a sender has claimed and does not know of: the answer to its claim was lost.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn free_unknown(
        &self,
        sender: &str,
        known: impl Fn(&WakeKey) -> bool,
        now_ms: i64,
    ) -> Result<(), LedgerError> {
        let doing = "looking for what was claimed";
        let rows = sql("select pass_type_identifier, device_library_identifier, attempts, enqueued from wake
             where due_at is not null and claimed_by = $1")
        .bind(sender)
        .fetch_all(&self.readers)
        .await;
        let claimed = rows.and_then(|rows| rows.iter().map(read_claimed).collect::<sqlx::Result<Vec<_>>>());
        let claimed = claimed.map_err(LedgerError::of(doing))?.into_iter();
        let unknown: Vec<_> =
            claimed.filter(|(key, _)| !known(key)).map(|(_, claimed)| claimed.put_back(now_ms)).collect();
        self.note(sender, &[], &unknown).await
    }

    /// Makes phones of a topic due that were put back, because what had to rest need not any more. Gives how many, at most `limit`.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn hasten(
        &self,
        topic: &PassTypeIdentifier,
        limit: u32,
        now_ms: i64,
    ) -> Result<u64, LedgerError> {
        let doing = "making phones due";
        let mut writer = self.writer(doing).await?;
        let hastened = hasten(&mut writer, topic, limit, now_ms).await;
        let hastened = writer.keep(hastened).map_err(LedgerError::of(doing))?;
        self.has_changed();
        Ok(hastened)
    }
}

/// Makes phones due, `true`: urgently. At once; in a window at its end, unless it is urgent; after a failure when its rest is over, even so.
/// What is due before stays so.
///
/// One statement for both, in the order of the phones: two that lock rows in another order would wait for each other.
pub(super) async fn enqueue(
    connection: &mut Connection,
    wakes: &BTreeMap<WakeKey, bool>,
    now_ms: i64,
) -> sqlx::Result<()> {
    let rows = wakes.iter().map(|(key, urgent)| {
        let [topic, device] = key.row();
        [topic, device, now_ms.into(), (*urgent).into(), 1_i64.into(), 0_i64.into(), 0_i64.into()]
    });
    execute_for_each(
        connection,
        "insert into wake (pass_type_identifier, device_library_identifier, due_at, urgent, enqueued, attempts, quiet_until)
         values {rows}
         on conflict (pass_type_identifier, device_library_identifier) do update
         set enqueued = wake.enqueued + 1, urgent = wake.urgent or excluded.urgent,
             due_at = case when wake.quiet_until > excluded.due_at and (wake.attempts > 0 or not excluded.urgent)
                           then case when wake.due_at < wake.quiet_until then wake.due_at else wake.quiet_until end
                           else case when wake.due_at < excluded.due_at then wake.due_at else excluded.due_at end end",
        rows.collect(),
    )
    .await
}

const CLAIM_IN_FILE: &str = "update wake set claimed_by = $1, urgent = false
     where (pass_type_identifier, device_library_identifier) in
           (select pass_type_identifier, device_library_identifier from wake
            where due_at <= $2 and claimed_by is null
            order by due_at
            limit $3)
     returning pass_type_identifier, device_library_identifier, attempts, enqueued";

/// What others are at is left to them. By `ctid`, since the planner takes a limit that it does not know for a tenth of the table.
const CLAIM_ON_SERVER: &str = "update wake set claimed_by = $1, urgent = false
     where ctid = any (array(select ctid from wake
                             where due_at <= $2 and claimed_by is null
                             order by due_at
                             limit $3
                             for update skip locked))
     returning pass_type_identifier, device_library_identifier, attempts, enqueued";

async fn claim(
    connection: &mut Connection,
    sender: &str,
    limit: u32,
    now_ms: i64,
) -> sqlx::Result<Vec<Claimed>> {
    let statement = match connection {
        Connection::Sqlite(..) => CLAIM_IN_FILE,
        Connection::Postgres(_) => CLAIM_ON_SERVER,
    };
    let rows = sql(statement).bind(sender).bind(now_ms).bind(i64::from(limit));
    let rows = rows.fetch_all(&mut *connection).await?;
    let mut claimed = rows.iter().map(read_claimed).collect::<sqlx::Result<BTreeMap<_, _>>>()?;
    let pending = deliveries::pending(connection, claimed.keys()).await?;
    let more = pending.len() >= MANY_PENDING;
    for delivery in pending {
        if let Some(claimed) = claimed.get_mut(&delivery.wake) {
            claimed.pending.push(delivery);
        }
    }
    Ok(claimed.into_values().map(|claimed| Claimed { more, ..claimed }).collect())
}

fn read_claimed(row: &Row) -> sqlx::Result<(WakeKey, Claimed)> {
    let key = WakeKey::read(row)?;
    let claimed = Claimed {
        key: key.clone(),
        attempts: u32::try_from(row.get::<i64>("attempts")?).unwrap_or(u32::MAX),
        pending: Vec::new(),
        more: false,
        enqueued: row.get("enqueued")?,
    };
    Ok((key, claimed))
}

async fn next(connection: &mut Connection, sender: &str, wakes: &[Next]) -> sqlx::Result<()> {
    let mut wakes: Vec<_> = wakes.iter().collect();
    wakes.sort_by(|one, other| one.key.cmp(&other.key));
    let rows = wakes.into_iter().map(|next| {
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
    // An insert, although every row is there: it locks them in this order, as whoever enqueues does.
    execute_for_each(
        connection,
        "insert into wake (pass_type_identifier, device_library_identifier, due_at, urgent, enqueued, attempts, quiet_until, claimed_by)
         values {rows}
         on conflict (pass_type_identifier, device_library_identifier) do update
         set claimed_by = null, urgent = false, attempts = excluded.attempts,
             quiet_until = case when excluded.quiet_until > 0 then excluded.quiet_until else wake.quiet_until end,
             due_at = case when excluded.due_at > 0 then excluded.due_at
                           when wake.enqueued = excluded.enqueued then null
                           when wake.urgent or excluded.quiet_until = 0 then wake.due_at
                           else excluded.quiet_until end
         where wake.claimed_by = excluded.claimed_by",
        rows.collect(),
    )
    .await
}

const HASTEN_IN_FILE: &str =
    "update wake set due_at = case when quiet_until > $2 then quiet_until else $2 end
     where (pass_type_identifier, device_library_identifier) in
           (select pass_type_identifier, device_library_identifier from wake
            where pass_type_identifier = $1 and due_at > $2 and due_at > quiet_until and claimed_by is null
            limit $3)";

/// As [`CLAIM_ON_SERVER`].
const HASTEN_ON_SERVER: &str = "update wake set due_at = case when quiet_until > $2 then quiet_until else $2 end
     where ctid = any (array(select ctid from wake
                             where pass_type_identifier = $1 and due_at > $2 and due_at > quiet_until and claimed_by is null
                             limit $3
                             for update skip locked))";

async fn hasten(
    connection: &mut Connection,
    topic: &PassTypeIdentifier,
    limit: u32,
    now_ms: i64,
) -> sqlx::Result<u64> {
    let statement = match connection {
        Connection::Sqlite(..) => HASTEN_IN_FILE,
        Connection::Postgres(_) => HASTEN_ON_SERVER,
    };
    sql(statement).bind(topic.as_str()).bind(now_ms).bind(i64::from(limit)).execute(connection).await
}

/// Forgets who is at what: in a file, nobody is when it is opened.
pub(super) async fn free_all(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query("update wake set claimed_by = null where due_at is not null and claimed_by is not null")
        .execute(connection)
        .await?;
    Ok(())
}
