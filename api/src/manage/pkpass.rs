//! The file of a pass, for integrators to hand out.

use axum::extract::State;
use axum::response::Response;

use crate::auth::integrator::Integrator;
use crate::device::get_pass::file_response;
use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::layers::load_shedding::Admission;
use crate::manage::state::own_document;
use crate::openapi::answers::PassFile;
use crate::openapi::problems::NotFound;
use crate::openapi::tags::MANAGE;
use crate::state::AppState;

/// `GET /manage/v1/passes/{type}/{serial}/pkpass`
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/manage/v1/passes/{type}/{serial}/pkpass", tag = MANAGE,
    operation_id = "downloadPass", summary = "Get the signed file of a pass", responses(PassFile, NotFound),
)]
pub async fn handler(
    State(app): State<AppState>,
    integrator: Integrator,
    admission: Admission,
    segments: Segments,
) -> Result<Response, ApiError> {
    admission.release();
    let _permit = app.built_passes.permits().acquire().await?;
    let (id, document) = own_document(&app, &integrator, &segments).await?;
    let row = document.row.clone();
    let file = app.built_passes.get(&id, document, app.clock.unix_seconds()).await?;
    Ok(file_response(&id, &row, file))
}
