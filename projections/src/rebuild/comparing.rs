//! Compares a copy of the tables with the live one, both at one position. The live one is read as it is at one moment; the copy is brought to the same
//! position, since nobody but the filler writes it.

use honoken_database::lease::Held;
use honoken_database::statements::Connection;
use honoken_domain::ids::UnixSeconds;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Position};

use crate::copies::directory::CopyComparison;
use crate::projector::checkpoint::load_progress;
use crate::projector::comparison::fresh_tables;
use crate::projector::table_rows::{Difference, Differences, Table, compare};
use crate::read_model::ReadModel;
use crate::rebuild::filling::{StepError, step};

/// Differences that are told one by one.
const FIRST: usize = 20;

/// Compares. `None` when the live copy is behind the other at the moment. Rows of devices and registrations that left before `cutoff` are left out.
pub(crate) async fn compare_with_live<L: EventLog>(
    (connection, lease): (&mut Connection, Held),
    log: &L,
    upcasters: &Upcasters,
    read_model: &ReadModel,
    cutoff: UnixSeconds,
) -> Result<Option<CopyComparison>, StepError> {
    let mut live = read_model.open_snapshot().await?;
    let compared = async {
        let at = load_progress(&mut live).await?.applied;
        let mut position = load_progress(connection).await?.applied;
        if position > at {
            return Ok(None);
        }
        while position < at {
            let Some(taken) = step(connection, lease, log, upcasters, (position, at)).await? else { break };
            position = taken.position;
        }
        rows(&mut live, connection, cutoff, at).await.map(Some).map_err(StepError::from)
    };
    let compared = compared.await;
    live.close().await?;
    compared
}

async fn rows(
    live: &mut Connection,
    copy: &mut Connection,
    cutoff: UnixSeconds,
    position: Position,
) -> sqlx::Result<CopyComparison> {
    let (mut different, mut first) = (0, Vec::new());
    let mut differences = Differences::new(|found: Difference| {
        different += 1;
        if first.len() < FIRST {
            first.push(found.row.unwrap_or(found.sentence));
        }
    });
    // Their columns and keys are those of the newest schema.
    let mut schema = fresh_tables().await.map_err(|fault| sqlx::Error::Protocol(fault.to_string()))?;
    for table in Table::all(&mut schema).await? {
        compare(&table, live, copy, cutoff, &mut differences).await?;
    }
    schema.close().await?;
    let rows = differences.rows();
    Ok(CopyComparison { position: position.0, rows, different, first })
}
