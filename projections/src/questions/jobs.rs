//! Jobs that run in the background.

use std::collections::BTreeSet;

use honoken_database::statements::{Row, sql};
use honoken_domain::ids::{JobId, OrganizationId, PassTypeIdentifier, UnixSeconds};
use honoken_domain::job::{
    BRAND_ASSETS, JobCursor, JobFailure, JobWork, PASS_TYPE_ASSETS, PASS_TYPE_LOCALIZATIONS, PASS_TYPE_NFC,
    RESEAL, RESTORED_IMAGE,
};

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::invalid_value;

/// A job as callers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// Its task.
    pub work: JobWork,
    /// Whether it has begun, and ended.
    pub state: JobState,
    /// The last pass or secret that is done.
    pub cursor: Option<JobCursor>,
    /// Passes or secrets to look at; unknown until it has begun.
    pub total: Option<u64>,
    /// Those done, failed ones included.
    pub done: u64,
    /// Those of them that could not be changed.
    pub failed: u64,
    /// The first of these, with their reasons.
    pub failures: Vec<JobFailure>,
    /// The time at which it began.
    pub started_at: Option<UnixSeconds>,
    /// The time at which it ended.
    pub finished_at: Option<UnixSeconds>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It has not begun.
    Waiting,
    /// It has begun.
    Running,
    /// It has ended.
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
    /// A job, by its id.
    pub async fn job(&self, id: &JobId) -> Result<Option<JobRow>, QueryError> {
        let row = sql("select job_id, kind, organization_id, pass_type_identifier, state, cursor, total, done, failed, failures, started_at,
                    finished_at, work
             from wallet_job
             where job_id = $1")
        .bind(id.as_str())
        .fetch_optional(&self.readers)
        .await;
        row.and_then(|row| row.as_ref().map(job_row).transpose()).map_err(QueryError::of("a job"))
    }

    /// The next job to work on: the oldest that is not finished, and is none of these.
    pub async fn next_job(&self, besides: &BTreeSet<JobId>) -> Result<Option<JobRow>, QueryError> {
        let rows = sql("select job_id, kind, organization_id, pass_type_identifier, state, cursor, total, done, failed, failures, started_at,
                    finished_at, work
             from wallet_job
             where finished_at is null and position > 0
             order by position
             limit $1")
        .bind(i64::try_from(besides.len()).unwrap_or(i64::MAX - 1) + 1)
        .fetch_all(&self.readers)
        .await;
        let jobs = rows.and_then(|rows| rows.iter().map(job_row).collect::<sqlx::Result<Vec<_>>>());
        let jobs = jobs.map_err(QueryError::of("the next job"))?;
        Ok(jobs.into_iter().find(|job| !besides.contains(&job.id)))
    }

    /// The newest job of a kind that is not finished.
    pub async fn unfinished_job(&self, kind: &'static str) -> Result<Option<JobRow>, QueryError> {
        let row = sql("select job_id, kind, organization_id, pass_type_identifier, state, cursor, total, done, failed, failures, started_at,
                    finished_at, work
             from wallet_job
             where finished_at is null and position > 0 and kind = $1
             order by position desc
             limit 1")
        .bind(kind)
        .fetch_optional(&self.readers)
        .await;
        row.and_then(|row| row.as_ref().map(job_row).transpose()).map_err(QueryError::of("an unfinished job"))
    }
}

fn job_row(row: &Row) -> sqlx::Result<JobRow> {
    let optional = |column| -> sqlx::Result<Option<i64>> { row.get(column) };
    Ok(JobRow {
        id: JobId::parse(row.get::<String>("job_id")?).map_err(invalid_value)?,
        work: work(row)?,
        state: JobState::parse(row.get("state")?)?,
        cursor: row.get::<Option<&str>>("cursor")?.map(JobCursor::new),
        total: optional("total")?.map(i64::cast_unsigned),
        done: row.get::<i64>("done")?.cast_unsigned(),
        failed: row.get::<i64>("failed")?.cast_unsigned(),
        failures: row.json("failures")?,
        started_at: optional("started_at")?.map(UnixSeconds),
        finished_at: optional("finished_at")?.map(UnixSeconds),
    })
}

fn work(row: &Row) -> sqlx::Result<JobWork> {
    let text =
        |column| -> sqlx::Result<String> { Ok(row.get::<Option<String>>(column)?.unwrap_or_default()) };
    let organization_id = || OrganizationId::parse(text("organization_id")?).map_err(invalid_value);
    let pass_type_identifier =
        || PassTypeIdentifier::parse(text("pass_type_identifier")?).map_err(invalid_value);
    match row.get("kind")? {
        PASS_TYPE_ASSETS => Ok(JobWork::PassTypeAssets {
            organization_id: organization_id()?,
            pass_type_identifier: pass_type_identifier()?,
        }),
        PASS_TYPE_LOCALIZATIONS => Ok(JobWork::PassTypeLocalizations {
            organization_id: organization_id()?,
            pass_type_identifier: pass_type_identifier()?,
        }),
        PASS_TYPE_NFC => Ok(JobWork::PassTypeNfc {
            organization_id: organization_id()?,
            pass_type_identifier: pass_type_identifier()?,
        }),
        BRAND_ASSETS => Ok(JobWork::BrandAssets),
        RESTORED_IMAGE | RESEAL => row.json("work"),
        other => Err(sqlx::Error::Decode(format!("unknown kind of job {other:?}").into())),
    }
}
