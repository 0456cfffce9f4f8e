//! `wallet_job`: what runs in the background, and how far it is.
//!
//! The event that changes images names the job that brings them to the passes, and so a row begins with that event: no crash can come between.

use honoken_domain::ids::{JobId, OrganizationId, PassId, PassTypeIdentifier, UnixSeconds};
use honoken_domain::job::{JobEvent, JobFailure, JobWork};
use honoken_event_store::{Position, RecordedEvent};

use crate::apply::{ApplyError, sequence_of};
use crate::read_model::{QueryError, ReadModel, decode};
use honoken_database::statements::{Connection, Row, Value, sql};

/// A job as callers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its name.
    pub id: JobId,
    /// What it does.
    pub work: JobWork,
    /// Whether it has begun, and ended.
    pub state: JobState,
    /// The last pass that is done.
    pub cursor: Option<PassId>,
    /// Passes to look at; unknown until it has begun.
    pub total: Option<u64>,
    /// Passes done, failed ones included.
    pub done: u64,
    /// Those of them that could not be changed.
    pub failed: u64,
    /// The first of these in words.
    pub failures: Vec<JobFailure>,
    /// When it began.
    pub started_at: Option<UnixSeconds>,
    /// When it ended.
    pub finished_at: Option<UnixSeconds>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Nobody has begun with it.
    Waiting,
    /// It has begun.
    Running,
    /// Everything is done.
    Finished,
}

impl JobState {
    /// The name that callers see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Finished => "finished",
        }
    }

    fn parse(name: &str) -> sqlx::Result<Self> {
        let states = [Self::Waiting, Self::Running, Self::Finished];
        let known = states.into_iter().find(|state| state.as_str() == name);
        known.ok_or_else(|| sqlx::Error::Decode(format!("unknown state of a job {name:?}").into()))
    }
}

impl ReadModel {
    /// A job, by its name.
    pub async fn job(&self, id: &JobId) -> Result<Option<JobRow>, QueryError> {
        let row = sql("select job_id, kind, organization_id, pass_type_identifier, state, cursor, total, done, failed, failures, started_at,
                    finished_at
             from wallet_job
             where job_id = $1")
        .bind(id.as_str())
        .fetch_optional(&self.readers)
        .await;
        row.and_then(|row| row.as_ref().map(job_row).transpose()).map_err(QueryError::of("a job"))
    }

    /// The job whose turn it is: the first that was asked for and is not finished.
    pub async fn next_job(&self) -> Result<Option<JobRow>, QueryError> {
        let row = sql("select job_id, kind, organization_id, pass_type_identifier, state, cursor, total, done, failed, failures, started_at,
                    finished_at
             from wallet_job
             where finished_at is null and position > 0
             order by position
             limit 1")
        .fetch_optional(&self.readers)
        .await;
        row.and_then(|row| row.as_ref().map(job_row).transpose()).map_err(QueryError::of("the next job"))
    }
}

fn job_row(row: &Row) -> sqlx::Result<JobRow> {
    let optional = |column| -> sqlx::Result<Option<i64>> { row.get(column) };
    Ok(JobRow {
        id: JobId::parse(row.get::<String>("job_id")?).map_err(decode)?,
        work: work(row)?,
        state: JobState::parse(row.get("state")?)?,
        cursor: row.get::<Option<&str>>("cursor")?.map(PassId::parse).transpose().map_err(decode)?,
        total: optional("total")?.map(i64::cast_unsigned),
        done: row.get::<i64>("done")?.cast_unsigned(),
        failed: row.get::<i64>("failed")?.cast_unsigned(),
        failures: row.json("failures")?,
        started_at: optional("started_at")?.map(UnixSeconds),
        finished_at: optional("finished_at")?.map(UnixSeconds),
    })
}

const PASS_TYPE_ASSETS: &str = "passTypeAssets";
const BRAND_ASSETS: &str = "brandAssets";

fn work(row: &Row) -> sqlx::Result<JobWork> {
    let text =
        |column| -> sqlx::Result<String> { Ok(row.get::<Option<String>>(column)?.unwrap_or_default()) };
    match row.get("kind")? {
        PASS_TYPE_ASSETS => Ok(JobWork::PassTypeAssets {
            organization_id: OrganizationId::parse(text("organization_id")?).map_err(decode)?,
            pass_type_identifier: PassTypeIdentifier::parse(text("pass_type_identifier")?).map_err(decode)?,
        }),
        BRAND_ASSETS => Ok(JobWork::BrandAssets),
        other => Err(sqlx::Error::Decode(format!("unknown kind of job {other:?}").into())),
    }
}

/// A change of a pass type's images names its job.
pub(crate) async fn expect_for_pass_type(
    connection: &mut Connection,
    job: &JobId,
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
    .bind(PASS_TYPE_ASSETS)
    .bind(pass_type_identifier.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// A change of the brand's images names its job.
pub(crate) async fn expect_for_brand(
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

/// Also where there is no row, because the event that asked for the job is parked.
async fn start(
    connection: &mut Connection,
    id: &JobId,
    position: Position,
    work: &JobWork,
    (total, started_at, sequence): (u64, UnixSeconds, i64),
) -> Result<(), ApplyError> {
    let (kind, organization, pass_type) = match work {
        JobWork::PassTypeAssets { organization_id, pass_type_identifier } => {
            (PASS_TYPE_ASSETS, Some(organization_id.as_str()), Some(pass_type_identifier.as_str()))
        }
        JobWork::BrandAssets => (BRAND_ASSETS, None, None),
    };
    sql("insert into wallet_job (job_id, position, kind, organization_id, pass_type_identifier, state, total, done, failed, failures, started_at,
                                 sequence)
         values ($1, $2, $3, $4, $5, 'running', $6, 0, 0, '[]', $7, $8)
         on conflict (job_id) do update
         set state = excluded.state, total = excluded.total, started_at = excluded.started_at, sequence = excluded.sequence
         where wallet_job.sequence < excluded.sequence")
    .bind(id.as_str())
    .bind(position.0.cast_signed())
    .bind(kind)
    .bind(organization)
    .bind(pass_type)
    .bind(total.cast_signed())
    .bind(started_at.0)
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}

async fn advance(
    connection: &mut Connection,
    id: &JobId,
    cursor: &PassId,
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
    // Passes that were issued meanwhile are done as well, and were not counted.
    sql(
        "update wallet_job
         set cursor = $2, done = $3, failed = $4, failures = coalesce($5, failures), total = case when total < $3 then $3 else total end,
             sequence = $6
         where job_id = $1 and sequence < $6",
    )
    .bind(id.as_str())
    .bind(cursor.to_string())
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
    // Passes may be fewer than were counted, if some were parked meanwhile: what is done is all there is.
    sql("update wallet_job set state = 'finished', total = done, finished_at = $2, sequence = $3
         where job_id = $1 and sequence < $3")
    .bind(id.as_str())
    .bind(finished_at.0)
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}
