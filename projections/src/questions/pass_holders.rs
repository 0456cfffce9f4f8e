//! What a push subscriber asks: which state a pass is in, who holds it, and where they are reached.

use std::collections::{HashMap, VecDeque};

use honoken_database::statements::{Row, Value, read_for_each, sql};
use honoken_domain::ids::{
    DeviceLibraryIdentifier, ETag, OrganizationId, PassId, PassTypeIdentifier, PushToken, SerialNumber,
};
use honoken_event_store::Position;

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::decode;

/// Registrations in one page.
const PAGE: usize = 1000;

/// Passes whose holders are looked for with one statement.
const TOGETHER: usize = 256;

/// The state that a pass is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassState {
    /// Its tag.
    pub etag: ETag,
    /// Log position of the event that led to it.
    pub update_tag: Position,
    /// Who issued the pass.
    pub organization_id: OrganizationId,
}

/// One device that holds a pass.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holder {
    /// The pass.
    pub pass: PassId,
    /// The device.
    pub device: DeviceLibraryIdentifier,
}

/// Goes through the holders of passes, page by page.
#[derive(Debug, Clone)]
pub struct Holders {
    /// Those that are not done.
    passes: VecDeque<PassId>,
    /// How many of them are looked at together. One alone is gone through in pages.
    together: usize,
    /// The last device of the first of them that was given.
    after: String,
}

impl Holders {
    /// Of these passes.
    pub fn of(mut passes: Vec<PassId>) -> Self {
        passes.sort();
        passes.dedup();
        Self { passes: passes.into(), together: TOGETHER, after: String::new() }
    }

    /// Whether all have been given.
    pub fn are_done(&self) -> bool {
        self.passes.is_empty()
    }

    /// Whether all of a pass have been given.
    pub fn are_done_with(&self, pass: &PassId) -> bool {
        self.passes.binary_search(pass).is_err()
    }
}

impl ReadModel {
    /// The states of passes. Those that are unknown are left out.
    pub async fn pass_states(&self, passes: &[PassId]) -> Result<HashMap<PassId, PassState>, QueryError> {
        let rows = read_for_each(
            &self.readers,
            "with new (pass_type_identifier, serial_number) as (values {rows})
             select new.pass_type_identifier, new.serial_number, pass.etag, pass.update_tag, pass.organization_id
             from new
             join wallet_pass pass
               on pass.pass_type_identifier = new.pass_type_identifier and pass.serial_number = new.serial_number",
            passes.iter().map(pass_row).collect(),
        )
        .await;
        let read = |row: &Row| {
            let state = PassState {
                etag: ETag::parse(row.get::<String>("etag")?).map_err(decode)?,
                update_tag: Position(row.get::<i64>("update_tag")?.cast_unsigned()),
                organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
                    .map_err(decode)?,
            };
            Ok((pass_id(row)?, state))
        };
        rows.and_then(|rows| rows.iter().map(read).collect()).map_err(QueryError::of("states of passes"))
    }

    /// The next page of those who hold passes: a thousand at the most, perhaps none. Of several devices that are reached with one push token
    /// only that with the smallest identifier is given, so that nobody is woken twice.
    pub async fn next_holders(&self, holders: &mut Holders) -> Result<Vec<Holder>, QueryError> {
        let page = async {
            while holders.passes.len() > 1 && holders.together > 1 {
                let together = holders.together.min(holders.passes.len());
                let page = self.holders_of(holders.passes.iter().take(together)).await?;
                if page.len() <= PAGE {
                    holders.passes.drain(..together);
                    holders.together = (together * 2).min(TOGETHER);
                    return Ok(page);
                }
                holders.together = together / 2;
            }
            let Some(pass) = holders.passes.front() else { return Ok(Vec::new()) };
            let page = self.page_of_holders(pass, &holders.after).await?;
            match page.last() {
                Some(last) if page.len() == PAGE => last.device.as_str().clone_into(&mut holders.after),
                _ => {
                    holders.passes.pop_front();
                    holders.after.clear();
                    holders.together = 2;
                }
            }
            Ok(page)
        };
        page.await.map_err(QueryError::of("who holds passes"))
    }

    /// Everybody who holds one of these passes, in no order; if there are more than a page, one more than that.
    async fn holders_of(&self, passes: impl Iterator<Item = &PassId>) -> sqlx::Result<Vec<Holder>> {
        let rows = read_for_each(
            &self.readers,
            "with new (pass_type_identifier, serial_number) as (values {rows})
             select new.pass_type_identifier, new.serial_number, registration.device_library_identifier
             from new
             join wallet_registration registration
               on registration.pass_type_identifier = new.pass_type_identifier and registration.serial_number = new.serial_number
             join wallet_device device
               on device.pass_type_identifier = registration.pass_type_identifier
              and device.device_library_identifier = registration.device_library_identifier
             where not exists (select 1 from wallet_device same
                               where same.pass_type_identifier = device.pass_type_identifier
                                 and same.push_token = device.push_token
                                 and same.device_library_identifier < device.device_library_identifier
                                 and exists (select 1 from wallet_registration other
                                             where other.pass_type_identifier = same.pass_type_identifier
                                               and other.device_library_identifier = same.device_library_identifier
                                               and other.serial_number = registration.serial_number))
             limit 1001",
            passes.map(pass_row).collect(),
        );
        rows.await?.iter().map(holder).collect()
    }

    async fn page_of_holders(&self, pass: &PassId, after: &str) -> sqlx::Result<Vec<Holder>> {
        let rows = sql(
            "select registration.pass_type_identifier, registration.serial_number, registration.device_library_identifier
             from wallet_registration registration
             join wallet_device device
               on device.pass_type_identifier = registration.pass_type_identifier
              and device.device_library_identifier = registration.device_library_identifier
             where registration.pass_type_identifier = $1 and registration.serial_number = $2
               and registration.device_library_identifier > $3
               and device.device_library_identifier > $3
               and not exists (select 1 from wallet_device same
                               where same.pass_type_identifier = device.pass_type_identifier
                                 and same.push_token = device.push_token
                                 and same.device_library_identifier < device.device_library_identifier
                                 and exists (select 1 from wallet_registration other
                                             where other.pass_type_identifier = same.pass_type_identifier
                                               and other.device_library_identifier = same.device_library_identifier
                                               and other.serial_number = registration.serial_number))
             order by registration.device_library_identifier
             limit 1000",
        )
        .bind(pass.pass_type_identifier.as_str())
        .bind(pass.serial_number.as_str())
        .bind(after)
        .fetch_all(&self.readers);
        rows.await?.iter().map(holder).collect()
    }

    /// Where devices are reached. Those that do not hold the pass any more are left out.
    pub async fn push_tokens(&self, holders: &[Holder]) -> Result<HashMap<Holder, PushToken>, QueryError> {
        let asked = holders.iter().map(|Holder { pass, device }| {
            let [of_type, serial] = pass_row(pass);
            [of_type, serial, device.as_str().into()]
        });
        let rows = read_for_each(
            &self.readers,
            "with new (pass_type_identifier, serial_number, device_library_identifier) as (values {rows})
             select new.device_library_identifier, new.pass_type_identifier, new.serial_number, device.push_token
             from new
             join wallet_registration registration
               on registration.pass_type_identifier = new.pass_type_identifier and registration.serial_number = new.serial_number
              and registration.device_library_identifier = new.device_library_identifier
             join wallet_device device
               on device.pass_type_identifier = new.pass_type_identifier
              and device.device_library_identifier = new.device_library_identifier",
            asked.collect(),
        )
        .await;
        let read = |row: &Row| {
            Ok((holder(row)?, PushToken::parse(row.get::<String>("push_token")?).map_err(decode)?))
        };
        rows.and_then(|rows| rows.iter().map(read).collect()).map_err(QueryError::of("push tokens"))
    }
}

fn pass_row(pass: &PassId) -> [Value; 2] {
    [pass.pass_type_identifier.as_str().into(), pass.serial_number.as_str().into()]
}

fn pass_id(row: &Row) -> sqlx::Result<PassId> {
    let of_type: String = row.get("pass_type_identifier")?;
    Ok(PassId {
        pass_type_identifier: PassTypeIdentifier::parse(of_type).map_err(decode)?,
        serial_number: SerialNumber::parse(row.get::<String>("serial_number")?).map_err(decode)?,
    })
}

fn holder(row: &Row) -> sqlx::Result<Holder> {
    let device: String = row.get("device_library_identifier")?;
    let device = DeviceLibraryIdentifier::parse(device).map_err(decode)?;
    Ok(Holder { pass: pass_id(row)?, device })
}
