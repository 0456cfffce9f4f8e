//! `woken`: the push watermark of a pass, which is the event log position up to which its phones were pushed to, also when it has no phone. It is
//! kept for ever: the sweep finds changes by it that were never published.

use std::collections::{BTreeMap, HashMap};

use honoken_database::statements::{Connection, Row, Value, execute_for_each, read_for_each};
use honoken_domain::ids::PassId;
use honoken_event_store::Position;

use super::{Ledger, LedgerError, columns};

impl Ledger {
    /// The watermarks of these passes. Passes that no message was about are left out.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn push_watermarks(&self, passes: &[PassId]) -> Result<HashMap<PassId, Position>, LedgerError> {
        let asked = passes.iter().map(key).collect();
        let rows = read_for_each(
            &self.readers,
            "with asked (pass_type, serial) as (values {rows})
             select pass_type_identifier, serial_number, position
             from asked
             join woken on pass_type_identifier = asked.pass_type and serial_number = asked.serial",
            asked,
        )
        .await;
        let read = |row: &Row| Ok((columns::pass_id(row)?, columns::position(row)?));
        rows.and_then(|rows| rows.iter().map(read).collect()).map_err(LedgerError::of("push watermarks"))
    }
}

fn key(pass: &PassId) -> [Value; 2] {
    [pass.pass_type_identifier.as_str().into(), pass.serial_number.as_str().into()]
}

/// The phones of these passes are about to be pushed to up to a position. A watermark never goes back.
pub(super) async fn raise(connection: &mut Connection, passes: &[(PassId, Position)]) -> sqlx::Result<()> {
    // A statement may write a row once.
    let mut furthest = BTreeMap::new();
    for (pass, position) in passes {
        let known = furthest.entry(pass).or_insert(*position);
        *known = (*known).max(*position);
    }
    let rows = furthest.into_iter().map(|(pass, position)| {
        let [of_type, serial] = key(pass);
        [of_type, serial, position.0.cast_signed().into()]
    });
    execute_for_each(
        connection,
        "insert into woken (pass_type_identifier, serial_number, position)
         values {rows}
         on conflict (pass_type_identifier, serial_number) do update set position = excluded.position
         where woken.position < excluded.position",
        rows.collect(),
    )
    .await
}
