//! `delivery`: one push to one phone for one state of a pass, known by `wallet:{passTypeIdentifier}:{serialNumber}:{etag}` and the device.

use honoken_database::statements::{Connection, Row, execute_for_each, fetch_for_each, sql};
use honoken_domain::ids::{DeviceLibraryIdentifier, ETag, PassId, SerialNumber};
use honoken_event_store::Position;

use super::delivery_state::{DeliveryState, pending};
use super::phone_topic::PhoneTopic;
use super::{Ledger, LedgerError, columns, storable};

/// A delivery, as an integrator is shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The phone. Shorten it before it is shown.
    pub device_library_identifier: DeviceLibraryIdentifier,
    /// The state that the phone is to fetch.
    pub etag: ETag,
    /// Event log position of that state.
    pub position: Position,
    /// The push that an operator asked for; `None` for the state itself.
    pub cause: Option<String>,
    /// Whether it waited for no window.
    pub urgent: bool,
    /// Its state.
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

/// A delivery that is to be sent.
#[derive(Debug, Clone)]
pub struct PendingDelivery {
    /// For [`DeliveryResult`].
    pub id: i64,
    /// The phone and the topic.
    pub phone_topic: PhoneTopic,
    /// The pass.
    pub serial_number: SerialNumber,
    /// Empty for the state itself, else the id of an operator's push.
    pub cause: String,
    /// Event log position of the state.
    pub position: Position,
    /// Requests that were made for it.
    pub attempts: u64,
    /// When the last of them was answered, or when it was asked for, Unix milliseconds.
    pub changed_at_ms: i64,
}

/// The result of an attempt at a pending delivery, to be written. The delivery may be pending still.
#[derive(Debug, Clone)]
pub struct DeliveryResult {
    /// [`PendingDelivery::id`].
    pub id: i64,
    /// The new state.
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
    /// The last deliveries of a pass, the newest first.
    ///
    /// # Errors
    /// When the data store is unavailable.
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
        rows.and_then(|rows| rows.iter().map(read_delivery).collect())
            .map_err(LedgerError::of("the last deliveries of a pass"))
    }
}

/// Writes results of deliveries. A delivery whose state is final already keeps it.
pub(super) async fn write_results(
    connection: &mut Connection,
    results: &[DeliveryResult],
) -> sqlx::Result<()> {
    let rows = results.iter().map(|DeliveryResult { id, state, attempts, error, apns_id, at_ms }| {
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
        concat!(
            "with result (id, state, attempts, error, apns_id, answered_at) as (values {rows})
         update delivery
         set state = result.state, attempts = delivery.attempts + result.attempts, last_error = result.error, apns_id = result.apns_id, changed_at = result.answered_at
         from result
         where delivery.id = result.id and delivery.state = '",
            pending!(),
            "'"
        ),
        rows.collect(),
    )
    .await
}

/// The deliveries that are pending for phones, the oldest first, at most [`MANY_PENDING`] of it for each 256 of them.
pub(super) async fn pending(
    connection: &mut Connection,
    phones: impl Iterator<Item = &PhoneTopic>,
) -> sqlx::Result<Vec<PendingDelivery>> {
    let rows = fetch_for_each(
        connection,
        concat!(
            "with claimed (pass_type, device) as (values {rows})
         select id, pass_type_identifier, serial_number, cause, device_library_identifier, position, attempts, changed_at
         from claimed
         join delivery on pass_type_identifier = claimed.pass_type and device_library_identifier = claimed.device
         where state = '",
            pending!(),
            "'
         order by id
         limit 4096"
        ),
        phones.map(PhoneTopic::row).collect(),
    )
    .await?;
    rows.iter().map(read_pending).collect()
}

/// When [`pending`] gives as many rows, it may have left some out.
pub(super) const MANY_PENDING: usize = 4096;

fn read_pending(row: &Row) -> sqlx::Result<PendingDelivery> {
    Ok(PendingDelivery {
        id: row.get("id")?,
        phone_topic: PhoneTopic::read(row)?,
        serial_number: columns::serial_number(row)?,
        cause: row.get("cause")?,
        position: columns::position(row)?,
        attempts: row.get::<i64>("attempts")?.cast_unsigned(),
        changed_at_ms: row.get("changed_at")?,
    })
}

fn read_delivery(row: &Row) -> sqlx::Result<Delivery> {
    let cause: String = row.get("cause")?;
    Ok(Delivery {
        device_library_identifier: columns::device(row)?,
        etag: ETag::parse(row.get::<String>("etag")?).map_err(columns::decode)?,
        position: columns::position(row)?,
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
