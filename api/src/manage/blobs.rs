//! Upload an image, which is named by its digest afterwards.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use honoken_domain::ids::Digest;
use honoken_domain::images::Images;
use honoken_pkpass::image::{self, MAX_IMAGE_BYTES};
use http::{StatusCode, Uri};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::integrator::Integrator;
use crate::error::ApiError;
use crate::extractors::json_body;
use crate::extractors::query::{self, Parameters};
use crate::extractors::request_id::RequestId;
use crate::manage::scale::{self, SCALE};
use crate::manage::uploads::{self, Owner};
use crate::openapi::examples;
use crate::openapi::parameters::{EveryScale, ImageFile};
use crate::openapi::problems::{Damaged, FormInsteadOfFile, UnacceptableImage};
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
    /// With `scale=auto`: the images that were made of it, by file name, for the `assets` of an order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::images, required = false)]
    assets: Option<Images>,
}

/// The parameter with the file for which every scale is made.
const FILE: &str = "file";

/// `POST /manage/v1/blobs`
///
/// With `?file=logo.png&scale=auto` the image is made at every scale that Wallet draws as well.
///
/// # Errors
/// 401, 409 `stream_damaged`, 413, 422 when it is not a PNG file or there is no room for it, 503.
#[utoipa::path(
    post, path = "/manage/v1/blobs", tag = MANAGE,
    operation_id = "uploadBlob", summary = "Upload an image", params(ImageFile, EveryScale), request_body(content((Png = "application/octet-stream"), (Png = "image/png"))),
    responses((status = 201, body = Uploaded, description = "The image is stored and belongs to the organisation, which may name its digest in `assets`. Another organisation may do so only after it has uploaded the image itself."), Damaged, FormInsteadOfFile, UnacceptableImage),
)]
pub async fn handler(
    State(app): State<AppState>,
    integrator: Integrator,
    request_id: RequestId,
    uri: Uri,
    request: Request,
) -> Result<Response, ApiError> {
    let file = file(&uri)?;
    let owner = Owner::Organization(&integrator);
    let bytes = json_body::read_file(request, MAX_IMAGE_BYTES).await?;
    let (digest, assets) = match file {
        Some(file) => {
            let stored = uploads::store_scaled(&app, owner, &request_id, &file, bytes).await?;
            (stored.0, Some(stored.1))
        }
        None => (uploads::store(&app, owner, &request_id, bytes).await?, None),
    };
    Ok((StatusCode::CREATED, Json(Uploaded { digest, assets })).into_response())
}

/// The file for which every scale is to be made, if that is asked for.
fn file(uri: &Uri) -> Result<Option<image::ImageFile>, ApiError> {
    let mut parameters = Parameters::of(uri, &[FILE, SCALE])?;
    let scaled = scale::is_auto(&mut parameters)?;
    match (scaled, parameters.take(FILE)) {
        (true, Some(file)) => {
            let file = image::ImageFile::parse(&file).map_err(|unknown| query::fault(unknown.to_string()))?;
            scale::check(&file)?;
            Ok(Some(file))
        }
        (true, None) => {
            Err(query::fault("`scale=auto` needs `file`, such as `logo.png`: its slot decides the sizes"))
        }
        (false, Some(_)) => {
            Err(query::fault("`file` means something with `scale=auto` only; an image has no name otherwise"))
        }
        (false, None) => Ok(None),
    }
}
