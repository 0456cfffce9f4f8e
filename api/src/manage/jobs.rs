//! The progress of a job of the caller's organisation.

use axum::Json;
use axum::extract::State;
use honoken_domain::ids::JobId;

use crate::answers::job::JobAnswer;
use crate::auth::integrator::Integrator;
use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::openapi::problems::NotFound;
use crate::openapi::tags::MANAGE;
use crate::state::AppState;

/// `GET /manage/v1/jobs/{id}`
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/manage/v1/jobs/{id}", tag = MANAGE,
    operation_id = "getJob", summary = "Get the progress of a job of the organisation",
    responses((status = 200, body = JobAnswer, description = "The job."), NotFound),
)]
pub async fn handler(
    State(app): State<AppState>,
    integrator: Integrator,
    segments: Segments,
) -> Result<Json<JobAnswer>, ApiError> {
    const NO_JOB: ApiError = ApiError::NotFound { what: "job" };
    let id = JobId::parse(segments.get("id").unwrap_or_default()).map_err(|_| NO_JOB)?;
    let job = app.read_model.job(&id).await?.ok_or(NO_JOB)?;
    let is_own = job.work.pass_type().is_some_and(|(owner, _)| *owner == integrator.organization_id);
    if is_own { Ok(Json(job.into())) } else { Err(NO_JOB) }
}
