//! Upload an image, to be named by its digest afterwards.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use honoken_pkpass::image::MAX_IMAGE_BYTES;
use http::StatusCode;
use serde_json::json;

use crate::app::AppState;
use crate::auth::Integrator;
use crate::error::{ApiError, blob_error};
use crate::json_body;

/// `POST /manage/v1/blobs`
///
/// # Errors
/// 401, 413, 422 when it is not a PNG file, 503.
pub async fn handler(
    State(app): State<AppState>,
    _integrator: Integrator,
    request: Request,
) -> Result<Response, ApiError> {
    let bytes = json_body::read(request, MAX_IMAGE_BYTES).await?;
    let digest = app.blobs.put(bytes).await.map_err(|fault| blob_error(fault, ""))?;
    Ok((StatusCode::CREATED, Json(json!({ "digest": digest }))).into_response())
}
