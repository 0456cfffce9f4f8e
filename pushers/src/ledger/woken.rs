//! `woken`: up to where in the log the phones of a pass were woken, also when there was none. It is kept for ever: the sweep finds by it what was
//! never said.

use std::collections::{BTreeMap, HashMap};

use honoken_database::statements::{Connection, Row, Value, execute_for_each, read_for_each};
use honoken_domain::ids::PassId;
use honoken_event_store::Position;

use super::{Ledger, LedgerError, deliveries};

impl Ledger {
    /// Up to where the phones of these passes were woken. Passes of which nobody has heard are left out.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn woken(&self, passes: &[PassId]) -> Result<HashMap<PassId, Position>, LedgerError> {
        let asked = passes.iter().map(key).collect();
        let rows = read_for_each(
            &self.readers,
            "select pass_type_identifier, serial_number, position
             from (values {rows}) as asked
             join woken on pass_type_identifier = column1 and serial_number = column2",
            asked,
        )
        .await;
        let read = |row: &Row| {
            let position = Position(row.get::<i64>("position")?.cast_unsigned());
            Ok((deliveries::pass_id(row)?, position))
        };
        rows.and_then(|rows| rows.iter().map(read).collect())
            .map_err(LedgerError::of("up to where passes were woken"))
    }
}

fn key(pass: &PassId) -> [Value; 2] {
    [pass.pass_type_identifier.as_str().into(), pass.serial_number.as_str().into()]
}

/// Notes that the phones of these passes are about to be woken up to a position. It never goes back.
pub(super) async fn note(connection: &mut Connection, passes: &[(PassId, Position)]) -> sqlx::Result<()> {
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
