//! The progress of any job.

use axum::Json;
use axum::extract::State;
use honoken_domain::ids::JobId;

use crate::answers::job::JobAnswer;
use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::openapi::problems::NotFound;
use crate::openapi::tags::ADMIN;
use crate::state::AppState;

/// `GET /admin/jobs/{id}`
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/jobs/{id}", tag = ADMIN,
    operation_id = "getAnyJob", summary = "Get the progress of a job of any organisation",
    responses((status = 200, body = JobAnswer, description = "The job."), NotFound),
)]
pub async fn handler(State(app): State<AppState>, segments: Segments) -> Result<Json<JobAnswer>, ApiError> {
    const NO_JOB: ApiError = ApiError::NotFound { what: "job" };
    let id = JobId::parse(segments.get("id").unwrap_or_default()).map_err(|_| NO_JOB)?;
    Ok(Json(app.read_model.job(&id).await?.ok_or(NO_JOB)?.into()))
}
