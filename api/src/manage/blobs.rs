//! Upload an image, which is named by its digest afterwards.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use honoken_domain::ids::Digest;
use honoken_pkpass::image::MAX_IMAGE_BYTES;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::integrator::Integrator;
use crate::error::ApiError;
use crate::extractors::json_body;
use crate::extractors::request_id::RequestId;
use crate::manage::uploads;
use crate::openapi::examples;
use crate::openapi::problems::Unacceptable;
use crate::openapi::schemas::{self, Png};
use crate::openapi::tags::MANAGE;
use crate::state::AppState;

/// The new image, by its digest.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = examples::uploaded)]
struct Uploaded {
    /// SHA-256 of the bytes, 64 hex digits: the name of the image in `assets`.
    #[schema(schema_with = schemas::digest)]
    digest: Digest,
}

/// `POST /manage/v1/blobs`
///
/// # Errors
/// 401, 413, 422 when it is not a PNG file, 503.
#[utoipa::path(
    post, path = "/manage/v1/blobs", tag = MANAGE,
    operation_id = "uploadBlob", summary = "Upload an image", request_body(content((Png = "image/png"))),
    responses((status = 201, body = Uploaded, description = "The image is stored and belongs to the organisation, which may name its digest in `assets`. Another organisation may do so only after it has uploaded the image itself."), Unacceptable),
)]
pub async fn handler(
    State(app): State<AppState>,
    integrator: Integrator,
    request_id: RequestId,
    request: Request,
) -> Result<Response, ApiError> {
    let bytes = json_body::read(request, MAX_IMAGE_BYTES).await?;
    let digest = uploads::store(&app, &integrator, &request_id, None, bytes).await?;
    Ok((StatusCode::CREATED, Json(Uploaded { digest })).into_response())
}
