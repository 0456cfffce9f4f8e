//! The place and the origin of an event, as the rows that it changes store them.

use honoken_database::statements::{Connection, sql};
use honoken_event_store::RecordedEvent;

use crate::rows::columns::{actor_of, recorded_at, sequence_of};
use crate::tables::apply_error::ApplyError;

/// The event that changes a row.
pub(super) struct Change {
    /// Its number within its stream: a row has seen every event up to its own.
    pub(super) sequence: i64,
    /// Its position in the event log.
    pub(super) position: i64,
    /// When it was recorded, in Unix seconds.
    pub(super) recorded_at: i64,
    /// In whose name it was recorded.
    pub(super) actor: Option<String>,
}

impl Change {
    pub(super) fn of(recorded: &RecordedEvent) -> Self {
        Self {
            sequence: sequence_of(recorded),
            position: recorded.position.0.cast_signed(),
            recorded_at: recorded_at(recorded),
            actor: actor_of(recorded),
        }
    }
}

/// Writes into a row when it was made and by whom, if that is not there yet, and when it changed last, unless it has seen a later event. `$table` has
/// the columns for these, and `$key` compares its key with `$4` and following.
macro_rules! note_authorship {
    ($table:literal, $key:literal) => {
        concat!(
            "update ",
            $table,
            " set created_by = case when created_at is null then $2 else created_by end, created_at = coalesce(created_at, $1), updated_at = $1
              where ",
            $key,
            " and sequence = $3"
        )
    };
}
pub(super) use note_authorship;

impl Change {
    /// Runs a statement of [`note_authorship`] for the row with this key, which the event has been applied to.
    pub(super) async fn note_authorship(
        &self,
        connection: &mut Connection,
        statement: &'static str,
        key: &[&str],
    ) -> Result<(), ApplyError> {
        let statement = sql(statement).bind(self.recorded_at).bind(self.actor.clone()).bind(self.sequence);
        key.iter().fold(statement, |statement, part| statement.bind(*part)).execute(connection).await?;
        Ok(())
    }
}
