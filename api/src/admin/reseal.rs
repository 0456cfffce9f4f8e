//! Seals every secret in use under the current encryption key, while the service runs.

use axum::Json;
use axum::extract::{MatchedPath, State};
use axum::response::{IntoResponse, Response};
use honoken_service::operations::resealing::Resealing;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::certificates::sealing_keys;
use crate::answers::job::{JobAnswer, operators_jobs};
use crate::auth::operator::Operator;
use crate::error::ApiError;
use crate::extractors::request_id::RequestId;
use crate::openapi::examples;
use crate::openapi::problems::Conflict;
use crate::openapi::tags::ADMIN;
use crate::state::AppState;

/// The job that seals secrets anew.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = examples::resealing)]
struct ResealJob {
    job: JobAnswer,
}

/// `POST /admin/reseal`
///
/// A job seals the keys of certificates, the APNs keys and the keys of personal data under the current encryption key,
/// as far as they are under another. Revoked ones are left out and named in `leftOut`. While such a job is not finished,
/// the same call answers with it and begins no other. The process that runs the jobs needs the same keys.
///
/// # Errors
/// 401, 409 when this process has no encryption key, 503.
#[utoipa::path(
    post, path = "/reseal", tag = ADMIN,
    operation_id = "reseal", summary = "Seal all secrets under the current encryption key",
    responses((status = 202, body = ResealJob, description = "The job that does it."), Conflict),
)]
pub async fn handler(
    State(app): State<AppState>,
    operator: Operator,
    route: MatchedPath,
    request_id: RequestId,
) -> Result<Response, ApiError> {
    let keys = sealing_keys(&app)?;
    let metadata = app.metadata(operator.actor(), None, &request_id.0);
    let resealing =
        Resealing { context: app.operation(&metadata), keys, personalizations: &app.personalizations };
    let job = resealing.job().await.map_err(ApiError::Unavailable)?;
    let location = format!("{}/{}", operators_jobs(route.as_str()), job.id);
    let mut response = (StatusCode::ACCEPTED, Json(ResealJob { job: job.into() })).into_response();
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
