//! The newest states of many passes at once, with their issuers, for the code that publishes changes of passes.

use std::collections::BTreeMap;

use honoken_database::statements::{Row, read_for_each};
use honoken_domain::ids::{ETag, OrganizationId, PassId, UnixSeconds};
use honoken_event_store::Position;

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::{invalid_value, pass_id, pass_key};

/// The newest visible state of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassHead {
    /// The organisation that issued it.
    pub organization_id: OrganizationId,
    /// The tag of the state.
    pub etag: ETag,
    /// The time of the state.
    pub updated_at: UnixSeconds,
    /// The position of its event in the event log.
    pub update_tag: Position,
    /// The number of that event within the pass.
    pub sequence: u64,
}

impl ReadModel {
    /// The newest states of these passes. Passes without a row are left out.
    pub async fn pass_heads(
        &self,
        passes: impl IntoIterator<Item = &PassId>,
    ) -> Result<BTreeMap<PassId, PassHead>, QueryError> {
        let passes = passes.into_iter().map(pass_key).collect();
        let rows = read_for_each(
            &self.readers,
            "with new (pass_type_identifier, serial_number) as (values {rows})
             select new.pass_type_identifier, new.serial_number, pass.organization_id, pass.etag, pass.updated_at, pass.update_tag,
                    pass.sequence
             from new
             join wallet_pass pass
               on pass.pass_type_identifier = new.pass_type_identifier and pass.serial_number = new.serial_number",
            passes,
        )
        .await;
        rows.and_then(|rows| rows.iter().map(pass_head).collect())
            .map_err(QueryError::of("the heads of passes"))
    }
}

fn pass_head(row: &Row) -> sqlx::Result<(PassId, PassHead)> {
    let head = PassHead {
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
            .map_err(invalid_value)?,
        etag: ETag::parse(row.get::<String>("etag")?).map_err(invalid_value)?,
        updated_at: UnixSeconds(row.get("updated_at")?),
        update_tag: Position(row.get::<i64>("update_tag")?.cast_unsigned()),
        sequence: row.get::<i64>("sequence")?.cast_unsigned(),
    };
    Ok((pass_id(row)?, head))
}
