//! `delivery`: one wake-up of one phone for one state of a pass, known by `wallet:{passTypeIdentifier}:{serialNumber}:{etag}` and the device.

use std::collections::BTreeMap;

use honoken_database::statements::{Connection, Row, Value, execute_for_each, fetch_for_each, sql};
use honoken_domain::ids::{DeviceLibraryIdentifier, ETag, PassId, PassTypeIdentifier, SerialNumber};
use honoken_event_store::Position;

use super::wakes::WakeKey;
use super::{Ledger, LedgerError, storable, wakes, woken};

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// The phone is to be woken.
    Pending,
    /// APNs has accepted the push.
    Sent,
    /// It was given up; the last error says why.
    Failed,
    /// Another push stands for it, or there is nobody to wake any more.
    Superseded,
    /// The push token was dead.
    Dead,
}

impl DeliveryState {
    /// Its name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Dead => "dead",
        }
    }

    fn parse(name: &str) -> sqlx::Result<Self> {
        let states = [Self::Pending, Self::Sent, Self::Failed, Self::Superseded, Self::Dead];
        let known = states.into_iter().find(|state| state.as_str() == name);
        known.ok_or_else(|| sqlx::Error::Decode(format!("unknown state {name:?}").into()))
    }
}

/// A delivery, as an integrator is shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who is to be woken. Shorten it before it is shown.
    pub device_library_identifier: DeviceLibraryIdentifier,
    /// The state that the phone is to fetch.
    pub etag: ETag,
    /// Log position of that state.
    pub position: Position,
    /// The push that an operator asked for; `None` for the state itself.
    pub cause: Option<String>,
    /// Whether it waited for no window.
    pub urgent: bool,
    /// What became of it.
    pub state: DeliveryState,
    /// Requests made to APNs.
    pub attempts: u64,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// The `apns-id` of APNs' answer.
    pub apns_id: Option<String>,
    /// When it was asked for, Unix milliseconds.
    pub created_at_ms: i64,
    /// When it last changed, Unix milliseconds.
    pub changed_at_ms: i64,
}

/// What waits, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Deliveries that are pending.
    pub pending: u64,
    /// When the phone that waits longest was to be woken, Unix milliseconds. It may be in the future.
    pub oldest_due_ms: Option<i64>,
    /// Messages that are parked.
    pub parked_messages: u64,
    /// Topics with a credential that is parked.
    pub parked_credentials: u64,
}

/// What the phones of one page of registrations are woken for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The pass.
    pub pass: PassId,
    /// Its state.
    pub etag: ETag,
    /// Log position of the state.
    pub position: Position,
    /// Empty for the state itself, else the id of an operator's push.
    pub cause: String,
    /// Whether the window is skipped.
    pub urgent: bool,
    /// Who is woken.
    pub devices: Vec<DeviceLibraryIdentifier>,
}

/// A delivery that is to be sent.
#[derive(Debug, Clone)]
pub struct Pending {
    /// For `Ended`.
    pub id: i64,
    /// The phone and the topic.
    pub wake: WakeKey,
    /// The pass.
    pub serial_number: SerialNumber,
    /// See [`Wanted::cause`].
    pub cause: String,
    /// Log position of the state.
    pub position: Position,
    /// Requests that were made for it.
    pub attempts: u64,
    /// When the last of them was answered, or when it was asked for, Unix milliseconds.
    pub changed_at_ms: i64,
}

/// What became of a pending delivery, to be noted. It may be pending still.
#[derive(Debug, Clone)]
pub struct Noted {
    /// Which.
    pub id: i64,
    /// What became of it.
    pub state: DeliveryState,
    /// Requests made for it since it was claimed.
    pub attempts: u64,
    /// Why it was not sent.
    pub error: Option<String>,
    /// The `apns-id` of APNs' answer.
    pub apns_id: Option<String>,
    /// When that was, Unix milliseconds.
    pub at_ms: i64,
}

impl Ledger {
    /// Asks for wake-ups, and notes up to where passes are done, in one transaction. What was asked for before is not asked for again. Gives
    /// the number of new deliveries.
    ///
    /// # Errors
    /// When the store is away: then nothing was noted, or all of it.
    pub async fn enqueue(
        &self,
        wanted: &[Wanted],
        done: &[(PassId, Position)],
        now_ms: i64,
    ) -> Result<usize, LedgerError> {
        let doing = "noting who is to be woken";
        let mut writer = self.writer(doing).await?;
        let enqueued = async {
            writer.begin().await?;
            let enqueued = enqueue(&mut writer, wanted, now_ms).await?;
            woken::note(&mut writer, done).await?;
            writer.commit().await?;
            Ok(enqueued)
        };
        let enqueued = enqueued.await;
        let enqueued = writer.keep(enqueued).map_err(LedgerError::of(doing))?;
        if enqueued > 0 {
            self.has_changed();
        }
        Ok(enqueued)
    }

    /// The last deliveries of a pass, the newest first.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn last_deliveries(&self, pass: &PassId, limit: u32) -> Result<Vec<Delivery>, LedgerError> {
        let rows = sql("select device_library_identifier, etag, position, cause, urgent, state, attempts, last_error, apns_id, created_at, changed_at
             from delivery
             where pass_type_identifier = $1 and serial_number = $2
             order by id desc
             limit $3")
        .bind(pass.pass_type_identifier.as_str())
        .bind(pass.serial_number.as_str())
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(delivery).collect())
            .map_err(LedgerError::of("the last deliveries of a pass"))
    }

    /// What waits.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn figures(&self) -> Result<Figures, LedgerError> {
        let row = sql("select (select count(*) from delivery where state = 'pending') as pending,
                    (select min(due_at) from wake where due_at is not null) as oldest_due,
                    (select count(*) from parked_message) as parked_messages,
                    (select count(*) from parked_credential) as parked_credentials")
        .fetch_one(&self.readers)
        .await;
        let read = |row: Row| {
            Ok(Figures {
                pending: row.get::<i64>("pending")?.cast_unsigned(),
                oldest_due_ms: row.get("oldest_due")?,
                parked_messages: row.get::<i64>("parked_messages")?.cast_unsigned(),
                parked_credentials: row.get::<i64>("parked_credentials")?.cast_unsigned(),
            })
        };
        row.and_then(read).map_err(LedgerError::of("what waits"))
    }
}

/// Writes the deliveries, and makes their phones due.
async fn enqueue(connection: &mut Connection, wanted: &[Wanted], now_ms: i64) -> sqlx::Result<usize> {
    let rows =
        wanted.iter().flat_map(|wanted| wanted.devices.iter().map(|device| row(wanted, device, now_ms)));
    // Sorted, so that two processes that are given the same message do not wait for each other.
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|(key, _)| *key);
    let new = fetch_for_each(
        connection,
        "insert into delivery (pass_type_identifier, serial_number, etag, cause, device_library_identifier, position, urgent, created_at, changed_at)
         values {rows}
         on conflict (pass_type_identifier, serial_number, etag, cause, device_library_identifier) do nothing
         returning pass_type_identifier, device_library_identifier, urgent",
        rows.into_iter().map(|(_, row)| row).collect(),
    )
    .await?;
    let mut phones = BTreeMap::new();
    for row in &new {
        *phones.entry(WakeKey::read(row)?).or_default() |= row.get::<bool>("urgent")?;
    }
    wakes::enqueue(connection, &phones, now_ms).await?;
    Ok(new.len())
}

/// A row, and what rows are sorted by.
type Sorted<'a> = ((&'a PassId, &'a ETag, &'a str, &'a DeviceLibraryIdentifier), [Value; 9]);

fn row<'a>(wanted: &'a Wanted, device: &'a DeviceLibraryIdentifier, now_ms: i64) -> Sorted<'a> {
    let Wanted { pass, etag, position, cause, urgent, .. } = wanted;
    let row = [
        pass.pass_type_identifier.as_str().into(),
        pass.serial_number.as_str().into(),
        etag.as_str().into(),
        cause.as_str().into(),
        device.as_str().into(),
        position.0.cast_signed().into(),
        (*urgent).into(),
        now_ms.into(),
        now_ms.into(),
    ];
    ((pass, etag, cause, device), row)
}

/// Notes what became of deliveries. One that has come to its end already keeps it.
pub(super) async fn note(connection: &mut Connection, noted: &[Noted]) -> sqlx::Result<()> {
    let rows = noted.iter().map(|Noted { id, state, attempts, error, apns_id, at_ms }| {
        [
            (*id).into(),
            state.as_str().into(),
            attempts.cast_signed().into(),
            error.as_ref().map(|error| storable(error, 200)).into(),
            apns_id.as_ref().map(|id| storable(id, 64)).into(),
            (*at_ms).into(),
        ]
    });
    execute_for_each(
        connection,
        "update delivery set state = column2, attempts = attempts + column3, last_error = column4, apns_id = column5, changed_at = column6
         from (values {rows}) as answer
         where id = column1 and state = 'pending'",
        rows.collect(),
    )
    .await
}

/// What is pending for phones, the oldest first, at most `limit` of it for each 256 of them.
pub(super) async fn pending(
    connection: &mut Connection,
    wakes: impl Iterator<Item = &WakeKey>,
) -> sqlx::Result<Vec<Pending>> {
    let rows = fetch_for_each(
        connection,
        "select id, pass_type_identifier, serial_number, cause, device_library_identifier, position, attempts, changed_at
         from (values {rows}) as claimed
         join delivery on pass_type_identifier = column1 and device_library_identifier = column2
         where state = 'pending'
         order by id
         limit 4096",
        wakes.map(WakeKey::row).collect(),
    )
    .await?;
    rows.iter().map(read_pending).collect()
}

/// As many rows as [`pending`] may leave some out.
pub(super) const MANY_PENDING: usize = 4096;

fn read_pending(row: &Row) -> sqlx::Result<Pending> {
    Ok(Pending {
        id: row.get("id")?,
        wake: WakeKey::read(row)?,
        serial_number: SerialNumber::parse(row.get::<String>("serial_number")?).map_err(decode)?,
        cause: row.get("cause")?,
        position: position(row)?,
        attempts: row.get::<i64>("attempts")?.cast_unsigned(),
        changed_at_ms: row.get("changed_at")?,
    })
}

fn delivery(row: &Row) -> sqlx::Result<Delivery> {
    let cause: String = row.get("cause")?;
    Ok(Delivery {
        device_library_identifier: device(row)?,
        etag: ETag::parse(row.get::<String>("etag")?).map_err(decode)?,
        position: position(row)?,
        cause: (!cause.is_empty()).then_some(cause),
        urgent: row.get("urgent")?,
        state: DeliveryState::parse(row.get("state")?)?,
        attempts: row.get::<i64>("attempts")?.cast_unsigned(),
        last_error: row.get("last_error")?,
        apns_id: row.get("apns_id")?,
        created_at_ms: row.get("created_at")?,
        changed_at_ms: row.get("changed_at")?,
    })
}

fn position(row: &Row) -> sqlx::Result<Position> {
    Ok(Position(row.get::<i64>("position")?.cast_unsigned()))
}

pub(super) fn pass_type(row: &Row) -> sqlx::Result<PassTypeIdentifier> {
    PassTypeIdentifier::parse(row.get::<String>("pass_type_identifier")?).map_err(decode)
}

pub(super) fn device(row: &Row) -> sqlx::Result<DeviceLibraryIdentifier> {
    DeviceLibraryIdentifier::parse(row.get::<String>("device_library_identifier")?).map_err(decode)
}

pub(super) fn pass_id(row: &Row) -> sqlx::Result<PassId> {
    let serial_number = SerialNumber::parse(row.get::<String>("serial_number")?).map_err(decode)?;
    Ok(PassId { pass_type_identifier: pass_type(row)?, serial_number })
}

/// A stored value that is not what this service writes.
fn decode(fault: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(fault))
}
