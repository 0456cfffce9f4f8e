//! The function `append_events` of the database, which appends a batch in one call: it takes the lock of the event log, looks whether the streams
//! have grown, and inserts what may be appended. The transaction around it is the writer's.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::set_back::Seen;
use crate::event::Append;
use crate::group_commit::NewSnapshot;
use crate::position::Position;

/// Appends of a batch with their numbers in it, no two of them for one stream.
pub(super) type Round<'a> = Vec<(usize, &'a Append)>;

/// What a call has done.
pub(super) struct Appended {
    /// The last position before it.
    pub(super) head: Position,
    /// For each append of the round, whether its stream has grown, so that it was left out.
    pub(super) are_stale: Vec<bool>,
}

/// A batch in one round, or in as many as there are appends for the same stream in it, which is rare.
pub(super) fn rounds(appends: &[Append]) -> Vec<Round<'_>> {
    let mut rounds: Vec<Round<'_>> = Vec::new();
    let mut next_round = HashMap::with_capacity(appends.len());
    for (number, append) in appends.iter().enumerate() {
        let next = next_round.entry((append.aggregate_type, append.aggregate_id.as_str())).or_insert(0);
        if *next == rounds.len() {
            rounds.push(Vec::new());
        }
        rounds[*next].push((number, append));
        *next += 1;
    }
    rounds
}

/// Events, column by column.
#[derive(Default)]
struct Columns<'a> {
    /// The number, from 1, of the first event of the same append.
    firsts: Vec<i64>,
    aggregate_types: Vec<&'a str>,
    aggregate_ids: Vec<&'a str>,
    sequences: Vec<i64>,
    event_types: Vec<&'a str>,
    event_versions: Vec<&'a str>,
    payloads: Vec<&'a str>,
    metadata: Vec<&'a str>,
    recorded_at: Vec<i64>,
}

impl<'a> Columns<'a> {
    /// Adds the events of an append, and gives the number of the first.
    fn push(&mut self, append: &'a Append) -> i64 {
        let first = number_behind(self.firsts.len());
        for (sequence, event) in (append.expected_sequence + 1..).zip(&append.events) {
            self.firsts.push(first);
            self.aggregate_types.push(append.aggregate_type);
            self.aggregate_ids.push(&append.aggregate_id);
            self.sequences.push(sequence.cast_signed());
            self.event_types.push(&event.event_type);
            self.event_versions.push(&event.event_version);
            self.payloads.push(&event.payload);
            self.metadata.push(&append.metadata);
            self.recorded_at.push(append.recorded_at_ms);
        }
        first
    }
}

/// The number, from 1, of the next of so many.
fn number_behind(count: usize) -> i64 {
    i64::try_from(count).map_or(i64::MAX, |count| count.saturating_add(1))
}

/// Appends what may be appended of a round. The caller has begun a transaction, which has the lock of the event log from then on.
///
/// # Errors
/// The driver's; and when the event log was set back, in which case nothing was appended.
pub(super) async fn append_events(
    connection: &mut PgConnection,
    round: &Round<'_>,
    seen: &Seen,
) -> sqlx::Result<Appended> {
    let mut columns = Columns::default();
    let firsts: Vec<i64> = round.iter().map(|(_, append)| columns.push(append)).collect();
    let furthest = seen.furthest.as_ref();
    let (head, is_set_back, stale): (i64, bool, Option<Vec<i64>>) = sqlx::query_as(
        "select head, is_set_back, stale
         from append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(seen.head.0.cast_signed())
    .bind(furthest.map(|event| event.position))
    .bind(furthest.map(|event| event.aggregate_type.as_str()))
    .bind(furthest.map(|event| event.aggregate_id.as_str()))
    .bind(furthest.map(|event| event.sequence))
    .bind(furthest.map(|event| event.recorded_at))
    .bind(columns.firsts)
    .bind(columns.aggregate_types)
    .bind(columns.aggregate_ids)
    .bind(columns.sequences)
    .bind(columns.event_types)
    .bind(columns.event_versions)
    .bind(columns.payloads)
    .bind(columns.metadata)
    .bind(columns.recorded_at)
    .fetch_one(connection)
    .await?;
    if is_set_back {
        // The task that watches the event log says the rest.
        return Err(sqlx::Error::Protocol("the event log was set back".into()));
    }
    let stale = stale.unwrap_or_default();
    let are_stale = firsts.iter().map(|first| stale.contains(first)).collect();
    Ok(Appended { head: Position(head.cast_unsigned()), are_stale })
}

/// Stores the states of aggregates in one statement, which may write a row once only.
pub(super) async fn put_snapshots(
    connection: &mut PgConnection,
    snapshots: &[NewSnapshot],
) -> sqlx::Result<()> {
    let mut newest = HashMap::with_capacity(snapshots.len());
    for (aggregate_type, aggregate_id, snapshot) in snapshots {
        let known = newest.entry((*aggregate_type, aggregate_id.as_str())).or_insert(snapshot);
        if snapshot.sequence > known.sequence {
            *known = snapshot;
        }
    }
    let (streams, states): (Vec<_>, Vec<_>) = newest.into_iter().unzip();
    let (types, ids): (Vec<&str>, Vec<&str>) = streams.into_iter().unzip();
    sqlx::query(
        "insert into snapshots (aggregate_type, aggregate_id, sequence, position, shape, state)
         select * from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[])
         on conflict (aggregate_type, aggregate_id) do update
         set sequence = excluded.sequence, position = excluded.position, shape = excluded.shape, state = excluded.state
         where excluded.sequence > snapshots.sequence or excluded.shape <> snapshots.shape",
    )
    .bind(types)
    .bind(ids)
    .bind(states.iter().map(|state| state.sequence.cast_signed()).collect::<Vec<_>>())
    .bind(states.iter().map(|state| state.position.0.cast_signed()).collect::<Vec<_>>())
    .bind(states.iter().map(|state| i64::from(state.shape)).collect::<Vec<_>>())
    .bind(states.iter().map(|state| state.state.as_str()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
