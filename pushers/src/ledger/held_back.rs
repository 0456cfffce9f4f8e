//! `held_back_pass`: passes with an event that readers could not see when it was due to be published.

use std::collections::BTreeMap;

use honoken_database::statements::{Connection, Row, Value, execute_for_each, sql};
use honoken_domain::ids::PassId;
use honoken_event_store::Position;

use super::{Ledger, LedgerError, columns};

/// A pass with an event that readers could not see when it was due to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// The pass.
    pub pass: PassId,
    /// Event log position of the event.
    pub position: Position,
    /// Event log position of the state that was published after all; 0 when there is none.
    pub published: Position,
}

impl Ledger {
    /// At most `limit` of the passes that were held back, behind `after`.
    pub(crate) async fn held_back(
        &self,
        after: Option<&PassId>,
        limit: u32,
    ) -> Result<Vec<HeldBack>, LedgerError> {
        let (of_type, serial) =
            after.map_or(("", ""), |pass| (pass.pass_type_identifier.as_str(), pass.serial_number.as_str()));
        let rows = sql("select pass_type_identifier, serial_number, position, said from held_back_pass
             where (pass_type_identifier, serial_number) > ($1, $2)
             order by pass_type_identifier, serial_number
             limit $3")
        .bind(of_type)
        .bind(serial)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(read).collect())
            .map_err(LedgerError::of("the messages that are held back"))
    }
}

/// Passes are held back because of an event at a position. The furthest one counts.
pub(super) async fn hold_back(
    connection: &mut Connection,
    passes: &BTreeMap<PassId, Position>,
) -> sqlx::Result<()> {
    execute_for_each(
        connection,
        "insert into held_back_pass (pass_type_identifier, serial_number, position)
         values {rows}
         on conflict (pass_type_identifier, serial_number) do update set position = excluded.position
         where held_back_pass.position < excluded.position",
        passes.iter().map(|(pass, position)| row(pass, *position)).collect(),
    )
    .await
}

/// States of passes that are held back have been published.
pub(super) async fn published(
    connection: &mut Connection,
    states: &[(PassId, Position)],
) -> sqlx::Result<()> {
    execute_for_each(
        connection,
        "with published (pass_type, serial, position) as (values {rows})
         update held_back_pass set said = published.position
         from published
         where pass_type_identifier = published.pass_type and serial_number = published.serial",
        states.iter().map(|(pass, position)| row(pass, *position)).collect(),
    )
    .await
}

/// Passes are held back no longer. A pass that was held back again meanwhile stays.
pub(super) async fn release(connection: &mut Connection, passes: &[HeldBack]) -> sqlx::Result<()> {
    execute_for_each(
        connection,
        "with free (pass_type, serial, position) as (values {rows})
         delete from held_back_pass
         where (pass_type_identifier, serial_number, position) in (select pass_type, serial, position from free)",
        passes.iter().map(|held| row(&held.pass, held.position)).collect(),
    )
    .await
}

fn row(pass: &PassId, position: Position) -> [Value; 3] {
    [
        pass.pass_type_identifier.as_str().into(),
        pass.serial_number.as_str().into(),
        position.0.cast_signed().into(),
    ]
}

fn read(row: &Row) -> sqlx::Result<HeldBack> {
    Ok(HeldBack {
        pass: columns::pass_id(row)?,
        position: columns::position(row)?,
        published: Position(row.get::<i64>("said")?.cast_unsigned()),
    })
}
