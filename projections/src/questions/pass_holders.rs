//! Questions of a push subscriber: the state of a pass, the devices that hold it, and their push tokens.

use std::collections::{HashMap, VecDeque};

use honoken_database::statements::{Row, read_for_each, sql};
use honoken_domain::ids::{DeviceLibraryIdentifier, ETag, OrganizationId, PassId, PushToken};
use honoken_event_store::Position;

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::{invalid_value, pass_id, pass_key};

/// Holders in one page, at most.
const PAGE: usize = 1000;

/// Passes whose holders are fetched with one statement, at most.
const MAX_TOGETHER: usize = 256;

/// The current state of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassState {
    /// Its tag.
    pub etag: ETag,
    /// The position of its event in the event log.
    pub update_tag: Position,
    /// The organisation that issued the pass.
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
    /// The passes whose holders are not all given yet.
    passes: VecDeque<PassId>,
    /// How many of them are fetched together. The holders of a single pass are fetched in pages.
    together: usize,
    /// The last device of the first pass that was given.
    after: String,
}

impl Holders {
    /// The holders of these passes.
    pub fn of(mut passes: Vec<PassId>) -> Self {
        passes.sort();
        passes.dedup();
        Self { passes: passes.into(), together: MAX_TOGETHER, after: String::new() }
    }

    /// Whether all holders have been given.
    pub fn are_done(&self) -> bool {
        self.passes.is_empty()
    }

    /// Whether all holders of a pass have been given.
    pub fn are_done_with(&self, pass: &PassId) -> bool {
        self.passes.binary_search(pass).is_err()
    }
}

impl ReadModel {
    /// The states of passes. Unknown passes are left out.
    pub async fn pass_states(&self, passes: &[PassId]) -> Result<HashMap<PassId, PassState>, QueryError> {
        let rows = read_for_each(
            &self.readers,
            "with new (pass_type_identifier, serial_number) as (values {rows})
             select new.pass_type_identifier, new.serial_number, pass.etag, pass.update_tag, pass.organization_id
             from new
             join wallet_pass pass
               on pass.pass_type_identifier = new.pass_type_identifier and pass.serial_number = new.serial_number",
            passes.iter().map(pass_key).collect(),
        )
        .await;
        let read = |row: &Row| {
            let state = PassState {
                etag: ETag::parse(row.get::<String>("etag")?).map_err(invalid_value)?,
                update_tag: Position(row.get::<i64>("update_tag")?.cast_unsigned()),
                organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
                    .map_err(invalid_value)?,
            };
            Ok((pass_id(row)?, state))
        };
        rows.and_then(|rows| rows.iter().map(read).collect()).map_err(QueryError::of("states of passes"))
    }

    /// The next page of holders: a thousand at the most, perhaps none. Of several devices with one push token only that with the smallest
    /// identifier is given, so that no phone is pushed to twice.
    pub async fn next_holders(&self, holders: &mut Holders) -> Result<Vec<Holder>, QueryError> {
        let page = async {
            while holders.passes.len() > 1 && holders.together > 1 {
                let together = holders.together.min(holders.passes.len());
                let page = self.holders_of(holders.passes.iter().take(together)).await?;
                if page.len() <= PAGE {
                    holders.passes.drain(..together);
                    holders.together = (together * 2).min(MAX_TOGETHER);
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
        page.await.map_err(QueryError::of("the holders of passes"))
    }

    /// The holders of any of these passes, in no order; if there are more than a page, one more than a page.
    async fn holders_of(&self, passes: impl Iterator<Item = &PassId>) -> sqlx::Result<Vec<Holder>> {
        let rows = read_for_each(
            &self.readers,
            "with new (pass_type_identifier, serial_number) as (values {rows})
             select new.pass_type_identifier, new.serial_number, registration.device_library_identifier
             from new
             join wallet_registration registration
               on registration.pass_type_identifier = new.pass_type_identifier and registration.serial_number = new.serial_number
              and registration.deleted_at is null
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
                                               and other.serial_number = registration.serial_number
                                               and other.deleted_at is null))
             limit 1001",
            passes.map(pass_key).collect(),
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
             where registration.pass_type_identifier = $1 and registration.serial_number = $2 and registration.deleted_at is null
               and registration.device_library_identifier > $3
               and device.device_library_identifier > $3
               and not exists (select 1 from wallet_device same
                               where same.pass_type_identifier = device.pass_type_identifier
                                 and same.push_token = device.push_token
                                 and same.device_library_identifier < device.device_library_identifier
                                 and exists (select 1 from wallet_registration other
                                             where other.pass_type_identifier = same.pass_type_identifier
                                               and other.device_library_identifier = same.device_library_identifier
                                               and other.serial_number = registration.serial_number
                                               and other.deleted_at is null))
             order by registration.device_library_identifier
             limit 1000",
        )
        .bind(pass.pass_type_identifier.as_str())
        .bind(pass.serial_number.as_str())
        .bind(after)
        .fetch_all(&self.readers);
        rows.await?.iter().map(holder).collect()
    }

    /// The push tokens of devices. Devices that no longer hold the pass are left out.
    pub async fn push_tokens(&self, holders: &[Holder]) -> Result<HashMap<Holder, PushToken>, QueryError> {
        let asked = holders.iter().map(|Holder { pass, device }| {
            let [pass_type, serial_number] = pass_key(pass);
            [pass_type, serial_number, device.as_str().into()]
        });
        let rows = read_for_each(
            &self.readers,
            "with new (pass_type_identifier, serial_number, device_library_identifier) as (values {rows})
             select new.device_library_identifier, new.pass_type_identifier, new.serial_number, device.push_token
             from new
             join wallet_registration registration
               on registration.pass_type_identifier = new.pass_type_identifier and registration.serial_number = new.serial_number
              and registration.device_library_identifier = new.device_library_identifier and registration.deleted_at is null
             join wallet_device device
               on device.pass_type_identifier = new.pass_type_identifier
              and device.device_library_identifier = new.device_library_identifier",
            asked.collect(),
        )
        .await;
        let read = |row: &Row| {
            Ok((holder(row)?, PushToken::parse(row.get::<String>("push_token")?).map_err(invalid_value)?))
        };
        rows.and_then(|rows| rows.iter().map(read).collect()).map_err(QueryError::of("push tokens"))
    }
}

fn holder(row: &Row) -> sqlx::Result<Holder> {
    let device: String = row.get("device_library_identifier")?;
    let device = DeviceLibraryIdentifier::parse(device).map_err(invalid_value)?;
    Ok(Holder { pass: pass_id(row)?, device })
}
