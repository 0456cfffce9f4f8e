//! A job as callers see it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use honoken_domain::ids::JobId;
use honoken_domain::images::Images;
use honoken_domain::job::{JobFailure, JobWork};
use honoken_domain::rfc3339;
use honoken_domain::snapshot::Snapshot;
use honoken_event_store::Committed;
use honoken_pkpass::Finding;
use honoken_projections::jobs::{JobRow, JobState};
use honoken_service::limits;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::openapi::examples;
use crate::openapi::schemas::Warning;
use crate::state::App;

/// The answer to a change of images or texts that many passes show.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = examples::asset_change)]
pub struct AssetChange {
    /// Whether anything changed.
    changed: bool,
    /// The job that brings the change to the passes, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    job: Option<JobAnswer>,
    /// The images that were made of the one that was sent, with their digests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<std::collections::BTreeMap<String, String>>)]
    assets: Option<Images>,
    /// What a phone shows otherwise than it was sent, if anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Warning>)]
    warnings: Vec<Finding>,
}

/// What there is to say about a change besides its job.
#[derive(Debug, Default)]
pub struct Remarks {
    /// The images that were made of the one that was sent.
    pub assets: Option<Images>,
    /// What a phone shows otherwise than it was sent.
    pub warnings: Vec<Finding>,
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Job, example = examples::job)]
pub struct JobAnswer {
    id: String,
    /// `passTypeAssets`, `passTypeLocalizations`, `passTypeNfc`, `brandAssets`, `restoredImage` or `reseal`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pass_type_identifier: Option<String>,
    /// `waiting`, `running` or `finished`.
    state: &'static str,
    /// The number of processed passes (of `reseal`: secrets), failed ones included.
    done: u64,
    /// The number of passes or secrets to process; unknown while the job waits.
    total: Option<u64>,
    /// Those that could not be changed.
    failed: u64,
    /// The first of these.
    failures: Vec<FailureAnswer>,
    /// When it began.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    /// Of `reseal`: the number of the encryption key under which secrets are sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    encryption_key: Option<u32>,
    /// Of `reseal`: revoked certificates and APNs keys that stay under other keys, since nothing needs them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    left_out: Option<Vec<String>>,
}

/// A pass that a job could not change, or a secret that it could not seal anew.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = JobFailure)]
pub struct FailureAnswer {
    /// The pass, or the pass that the secret belongs to; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pass_type_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    serial_number: Option<String>,
    /// The secret, in words; absent where it is the pass itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    subject: Option<String>,
    /// Stable name of the reason.
    code: String,
    /// The reason, and what to do.
    detail: String,
}

impl From<JobRow> for JobAnswer {
    fn from(job: JobRow) -> Self {
        let pass_type_identifier = job.work.pass_type().map(|(_, pass_type)| pass_type.to_string());
        let (encryption_key, left_out) = match &job.work {
            JobWork::Reseal { key, left_out } => (Some(*key), Some(left_out.clone())),
            _ => (None, None),
        };
        Self {
            encryption_key,
            left_out,
            id: job.id.to_string(),
            kind: job.work.kind(),
            pass_type_identifier,
            state: job.state.as_str(),
            done: job.done,
            total: job.total,
            failed: job.failed,
            failures: job.failures.into_iter().map(FailureAnswer::from).collect(),
            started_at: job.started_at.map(rfc3339::seconds),
            finished_at: job.finished_at.map(rfc3339::seconds),
        }
    }
}

impl From<JobFailure> for FailureAnswer {
    fn from(failure: JobFailure) -> Self {
        Self {
            pass_type_identifier: failure.pass.as_ref().map(|pass| pass.pass_type_identifier.to_string()),
            serial_number: failure.pass.as_ref().map(|pass| pass.serial_number.to_string()),
            subject: failure.subject,
            code: failure.code,
            detail: failure.detail,
        }
    }
}

/// The address of jobs for operators, under the prefix that the caller used.
pub fn operators_jobs(route: &str) -> &'static str {
    if route.starts_with("/api/") { "/api/admin/jobs" } else { "/admin/jobs" }
}

/// The answer to a change that a job applies to the passes: 202 with the job, which can be read below `root`; 200 when nothing changed.
///
/// # Errors
/// 503.
pub async fn accepted<A: Snapshot>(
    app: &App,
    committed: &Committed<A>,
    (id, work): (JobId, JobWork),
    root: &str,
    remarks: Remarks,
) -> Result<Response, ApiError> {
    let Remarks { assets, warnings } = remarks;
    if committed.events.is_empty() {
        return Ok(Json(AssetChange { changed: false, job: None, assets, warnings }).into_response());
    }
    let is_shown = app.projector.shows(committed, limits::VISIBLE).await;
    let row = if is_shown { app.read_model.job(&id).await? } else { None };
    let job = row.unwrap_or_else(|| JobRow {
        id: id.clone(),
        work,
        state: JobState::Waiting,
        cursor: None,
        total: None,
        done: 0,
        failed: 0,
        failures: Vec::new(),
        started_at: None,
        finished_at: None,
    });
    let body = Json(AssetChange { changed: true, job: Some(job.into()), assets, warnings });
    let mut response = (StatusCode::ACCEPTED, body).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("{root}/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
