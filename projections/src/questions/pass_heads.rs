//! What is known of many passes at once: how far their rows are, and in whose name. For whoever tells others that passes have changed.

use std::collections::BTreeMap;

use honoken_database::statements::{Row, read_for_each};
use honoken_domain::ids::{ETag, OrganizationId, PassId, PassTypeIdentifier, SerialNumber, UnixSeconds};
use honoken_event_store::Position;

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::decode;

/// The newest state of a pass that readers see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassHead {
    /// Who issued it.
    pub organization_id: OrganizationId,
    /// Name of the state.
    pub etag: ETag,
    /// Time of the state.
    pub updated_at: UnixSeconds,
    /// Log position of the event that led to it.
    pub update_tag: Position,
    /// That event's number within the pass.
    pub sequence: u64,
}

impl ReadModel {
    /// The newest states of these passes. Those that nobody sees are left out.
    pub async fn pass_heads(
        &self,
        passes: impl IntoIterator<Item = &PassId>,
    ) -> Result<BTreeMap<PassId, PassHead>, QueryError> {
        let passes = passes
            .into_iter()
            .map(|id| [id.pass_type_identifier.as_str().into(), id.serial_number.as_str().into()])
            .collect();
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
    let id = PassId {
        pass_type_identifier: PassTypeIdentifier::parse(row.get::<String>("pass_type_identifier")?)
            .map_err(decode)?,
        serial_number: SerialNumber::parse(row.get::<String>("serial_number")?).map_err(decode)?,
    };
    let head = PassHead {
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?).map_err(decode)?,
        etag: ETag::parse(row.get::<String>("etag")?).map_err(decode)?,
        updated_at: UnixSeconds(row.get("updated_at")?),
        update_tag: Position(row.get::<i64>("update_tag")?.cast_unsigned()),
        sequence: row.get::<i64>("sequence")?.cast_unsigned(),
    };
    Ok((id, head))
}
