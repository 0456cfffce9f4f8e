//! `wallet_job`: the jobs that run in the background, and how far they are.
//!
//! The event that changes images or texts names the job that brings them to the passes, and the row of the job begins with that event: no crash can
//! come between the two.

use honoken_database::statements::{Connection, Value, sql};
use honoken_domain::ids::{JobId, OrganizationId, PassTypeIdentifier, UnixSeconds};
use honoken_domain::job::{BRAND_ASSETS, JobCursor, JobEvent, JobFailure, JobWork};
use honoken_event_store::{Position, RecordedEvent};

use crate::rows::columns::sequence_of;
use crate::tables::apply_error::ApplyError;

/// Inserts a job that an event about a pass type names. There is none while no organisation has the pass type: it has no passes then.
pub(crate) async fn insert_for_pass_type(
    connection: &mut Connection,
    job: &JobId,
    kind: &'static str,
    pass_type_identifier: &PassTypeIdentifier,
    position: Position,
) -> Result<(), ApplyError> {
    sql("insert into wallet_job (job_id, position, kind, organization_id, pass_type_identifier, state, done, failed, failures, sequence)
         select $1, $2, $3, organization_id, pass_type_identifier, 'waiting', 0, 0, '[]', 0
         from wallet_pass_type
         where pass_type_identifier = $4
         on conflict do nothing")
    .bind(job.as_str())
    .bind(position.0.cast_signed())
    .bind(kind)
    .bind(pass_type_identifier.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// Inserts the job that a change of the brand's images names.
pub(crate) async fn insert_for_brand(
    connection: &mut Connection,
    job: &JobId,
    position: Position,
) -> Result<(), ApplyError> {
    sql("insert into wallet_job (job_id, position, kind, state, done, failed, failures, sequence)
         values ($1, $2, $3, 'waiting', 0, 0, '[]', 0)
         on conflict do nothing")
    .bind(job.as_str())
    .bind(position.0.cast_signed())
    .bind(BRAND_ASSETS)
    .execute(connection)
    .await?;
    Ok(())
}

/// Applies an event of a job.
pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let id = JobId::parse(recorded.event.aggregate_id.clone())?;
    let (position, sequence) = (recorded.position, sequence_of(&recorded));
    match serde_json::from_value(recorded.event.payload)? {
        JobEvent::Started { work, total, started_at } => {
            start(connection, &id, position, &work, (total, started_at, sequence)).await
        }
        JobEvent::Advanced { cursor, done, failed, failures } => {
            advance(connection, &id, &cursor, (done, failed, sequence), failures).await
        }
        JobEvent::Finished { finished_at } => finish(connection, &id, finished_at, sequence).await,
    }
}

/// Inserts the row where it is missing: no event names the job, or the one that does is parked.
async fn start(
    connection: &mut Connection,
    id: &JobId,
    position: Position,
    work: &JobWork,
    (total, started_at, sequence): (u64, UnixSeconds, i64),
) -> Result<(), ApplyError> {
    let (organization, pass_type) = work.pass_type().unzip();
    let told = if matches!(work, JobWork::RestoredImage { .. } | JobWork::Reseal { .. }) {
        Value::json(work)?
    } else {
        Value::Json(None)
    };
    sql("insert into wallet_job (job_id, position, kind, organization_id, pass_type_identifier, state, total, done, failed, failures, started_at,
                                 sequence, work)
         values ($1, $2, $3, $4, $5, 'running', $6, 0, 0, '[]', $7, $8, $9)
         on conflict (job_id) do update
         set state = excluded.state, total = excluded.total, started_at = excluded.started_at, sequence = excluded.sequence
         where wallet_job.sequence < excluded.sequence")
    .bind(id.as_str())
    .bind(position.0.cast_signed())
    .bind(work.kind())
    .bind(organization.map(OrganizationId::as_str))
    .bind(pass_type.map(PassTypeIdentifier::as_str))
    .bind(total.cast_signed())
    .bind(started_at.0)
    .bind(sequence)
    .bind(told)
    .execute(connection)
    .await?;
    Ok(())
}

async fn advance(
    connection: &mut Connection,
    id: &JobId,
    cursor: &JobCursor,
    (done, failed, sequence): (u64, u64, i64),
    mut failures: Vec<JobFailure>,
) -> Result<(), ApplyError> {
    if !failures.is_empty() {
        let known = sql("select failures from wallet_job where job_id = $1 and sequence < $2")
            .bind(id.as_str())
            .bind(sequence)
            .fetch_optional(&mut *connection)
            .await?;
        let mut all: Vec<JobFailure> = known.map(|row| row.json("failures")).transpose()?.unwrap_or_default();
        all.append(&mut failures);
        failures = all;
    }
    let failures = if failures.is_empty() { Value::Json(None) } else { Value::json(&failures)? };
    // Passes that were issued after the start are done as well, and were not counted.
    sql(
        "update wallet_job
         set cursor = $2, done = $3, failed = $4, failures = coalesce($5, failures), total = case when total < $3 then $3 else total end,
             sequence = $6
         where job_id = $1 and sequence < $6",
    )
    .bind(id.as_str())
    .bind(cursor.as_str())
    .bind(done.cast_signed())
    .bind(failed.cast_signed())
    .bind(failures)
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}

async fn finish(
    connection: &mut Connection,
    id: &JobId,
    finished_at: UnixSeconds,
    sequence: i64,
) -> Result<(), ApplyError> {
    // There may be fewer passes than were counted, if some were parked meanwhile: those that are done are all.
    sql("update wallet_job set state = 'finished', total = done, finished_at = $2, sequence = $3
         where job_id = $1 and sequence < $3")
    .bind(id.as_str())
    .bind(finished_at.0)
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}
