//! From a change of a pass to the ledger: a pending delivery for each phone that holds the pass, the phones made due, and the watermark of the
//! pass moved, in one transaction.

use std::collections::BTreeMap;

use honoken_database::statements::{Connection, Value, fetch_for_each, sql};
use honoken_domain::ids::{DeviceLibraryIdentifier, ETag, PassId};
use honoken_event_store::Position;

use super::phone_topic::PhoneTopic;
use super::{Ledger, LedgerError, columns, push_schedule, push_watermarks};

/// The pushes that the phones of one page of registrations need.
#[derive(Debug, Clone)]
pub struct DeliveryRequest {
    /// The pass.
    pub pass: PassId,
    /// Its state.
    pub etag: ETag,
    /// Event log position of the state.
    pub position: Position,
    /// Empty for the state itself, else the id of an operator's push.
    pub cause: String,
    /// Whether the window is skipped.
    pub urgent: bool,
    /// The phones.
    pub devices: Vec<DeviceLibraryIdentifier>,
}

impl Ledger {
    /// Asks for pushes, and moves the watermarks of the passes that are `done`, in one transaction. A push that was asked for before is not asked for
    /// again. Gives the number of new deliveries.
    ///
    /// # Errors
    /// When the data store is unavailable: then nothing was written, or all of it.
    pub async fn enqueue(
        &self,
        requests: &[DeliveryRequest],
        done: &[(PassId, Position)],
        now_ms: i64,
    ) -> Result<usize, LedgerError> {
        let doing = "enqueuing pushes";
        let mut writer = self.writer(doing).await?;
        let enqueued = async {
            writer.begin().await?;
            let enqueued = enqueue(&mut writer, requests, now_ms).await?;
            push_watermarks::raise(&mut writer, done).await?;
            writer.commit().await?;
            Ok(enqueued)
        };
        let enqueued = enqueued.await;
        let enqueued = writer.keep(enqueued).map_err(LedgerError::of(doing))?;
        if enqueued > 0 {
            self.notify_changed();
        }
        Ok(enqueued)
    }
}

/// Writes the deliveries, and makes their phones due.
async fn enqueue(
    connection: &mut Connection,
    requests: &[DeliveryRequest],
    now_ms: i64,
) -> sqlx::Result<usize> {
    if let [page] = requests
        && page.devices.len() >= MANY
        && let Some(enqueued) = enqueue_page(connection, page, now_ms).await?
    {
        return Ok(enqueued);
    }
    let rows =
        requests.iter().flat_map(|request| request.devices.iter().map(|device| row(request, device, now_ms)));
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
        *phones.entry(PhoneTopic::read(row)?).or_default() |= row.get::<bool>("urgent")?;
    }
    push_schedule::enqueue(connection, &phones, now_ms).await?;
    Ok(new.len())
}

/// Phones that hold one pass, from which on it is worth while to send their names alone.
const MANY: usize = 16;

const PAGE_IN_FILE: &str = "\
    insert into delivery (pass_type_identifier, serial_number, etag, cause, device_library_identifier, position, urgent, created_at, changed_at)
    select $1, $2, $3, $4, value, $5, $6, $7, $7 from json_each($8) where true
    on conflict (pass_type_identifier, serial_number, etag, cause, device_library_identifier) do nothing";

const PAGE_ON_SERVER: &str = "\
    insert into delivery (pass_type_identifier, serial_number, etag, cause, device_library_identifier, position, urgent, created_at, changed_at)
    select $1, $2, $3, $4, value, $5, $6, $7, $7 from json_array_elements_text($8::json) as page (value)
    on conflict (pass_type_identifier, serial_number, etag, cause, device_library_identifier) do nothing";

/// A page of phones that all hold one pass, in two statements with one list of names. `None`, and nothing is written, if one of them was asked for
/// before: a message has come again.
async fn enqueue_page(
    connection: &mut Connection,
    page: &DeliveryRequest,
    now_ms: i64,
) -> sqlx::Result<Option<usize>> {
    let DeliveryRequest { pass, etag, position, cause, urgent, .. } = page;
    let mut devices: Vec<_> = page.devices.iter().map(DeviceLibraryIdentifier::as_str).collect();
    devices.sort_unstable();
    devices.dedup();
    let (Some(first), Some(last)) = (devices.first(), devices.last()) else { return Ok(Some(0)) };
    let known = sql("select 1 as known from delivery
         where pass_type_identifier = $1 and serial_number = $2 and etag = $3 and cause = $4
           and device_library_identifier >= $5 and device_library_identifier <= $6
         limit 1")
    .bind(pass.pass_type_identifier.as_str())
    .bind(pass.serial_number.as_str())
    .bind(etag.as_str())
    .bind(cause.as_str())
    .bind(*first)
    .bind(*last);
    if known.fetch_optional(&mut *connection).await?.is_some() {
        return Ok(None);
    }
    let names = serde_json::to_string(&devices).map_err(columns::decode)?;
    let statement = match connection {
        Connection::Sqlite(..) => PAGE_IN_FILE,
        Connection::Postgres(_) => PAGE_ON_SERVER,
    };
    // If another process writes the same deliveries at this moment, their phones are made due twice, and pushed to once.
    let enqueued = sql(statement)
        .bind(pass.pass_type_identifier.as_str())
        .bind(pass.serial_number.as_str())
        .bind(etag.as_str())
        .bind(cause.as_str())
        .bind(position.0.cast_signed())
        .bind(*urgent)
        .bind(now_ms)
        .bind(names.as_str())
        .execute(&mut *connection)
        .await?;
    push_schedule::enqueue_page(connection, &pass.pass_type_identifier, &names, *urgent, now_ms).await?;
    Ok(Some(usize::try_from(enqueued).unwrap_or(usize::MAX)))
}

/// A row, behind the key that rows are sorted by.
type Sorted<'a> = ((&'a PassId, &'a ETag, &'a str, &'a DeviceLibraryIdentifier), [Value; 9]);

fn row<'a>(request: &'a DeliveryRequest, device: &'a DeviceLibraryIdentifier, now_ms: i64) -> Sorted<'a> {
    let DeliveryRequest { pass, etag, position, cause, urgent, .. } = request;
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
