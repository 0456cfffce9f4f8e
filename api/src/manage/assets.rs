//! The images of one pass: set one of its own, remove it, read the one it shows.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use honoken_domain::images::Images;
use honoken_domain::pass::PassCommand;
use honoken_pkpass::image::{ImageFile, MAX_IMAGE_BYTES, read_png};
use honoken_service::blobs::BlobError;
use http::{HeaderValue, header};

use crate::answers::headers::etag;
use crate::auth::integrator::Integrator;
use crate::causes::blob_error;
use crate::error::{ApiError, Fault};
use crate::extractors::json_body;
use crate::extractors::path::Segments;
use crate::manage::change::{Change, ImageChange, image_warnings};
use crate::manage::left_out;
use crate::manage::scale;
use crate::manage::state::own_document;
use crate::manage::uploads::{self, Owner};
use crate::openapi::answers::{Changed, Image};
use crate::openapi::parameters::{EveryScale, IfMatch, Urgent};
use crate::openapi::problems::{
    Conflict, FormInsteadOfFile, NotFound, PreconditionFailed, Unacceptable, UnacceptableImage,
};
use crate::openapi::schemas::Png;
use crate::openapi::tags::MANAGE;
use crate::state::{App, AppState};

/// `PUT /manage/v1/passes/{type}/{serial}/assets/{file}`
///
/// With `?scale=auto` the image is made at every scale that Wallet draws; they take the place of all that the pass has for the slot.
///
/// # Errors
/// 401, 404, 409 when the pass is retired, 412, 413, 422 when the file name or the image is not acceptable or there is no room for it, 503.
#[utoipa::path(
    put, path = "/manage/v1/passes/{type}/{serial}/assets/{file}", tag = MANAGE,
    operation_id = "putPassAsset", summary = "Give a pass an image of its own",
    params(IfMatch, Urgent, EveryScale), request_body(content((Png = "application/octet-stream"), (Png = "image/png"))),
    responses(Changed, NotFound, Conflict, PreconditionFailed, FormInsteadOfFile, UnacceptableImage),
)]
pub async fn put(
    ImageChange { change, scaled }: ImageChange,
    segments: Segments,
    request: Request,
) -> Result<Response, ApiError> {
    let file = image_file(&segments)?;
    if scaled {
        scale::check(&file)?;
    }
    let pass_type = change.own_pass_type().await?;
    let bytes = json_body::read_file(request, MAX_IMAGE_BYTES).await?;
    let size = read_png(&bytes).map_err(|fault| blob_error(fault.into(), ""))?;
    let (app, owner, request_id) = (&change.app, Owner::Organization(&change.integrator), &change.request_id);
    let (command, sizes, made) = if scaled {
        let (_, made) = uploads::store_scaled(app, owner, request_id, &file, bytes).await?;
        (PassCommand::PutScales { assets: made.clone() }, BTreeMap::new(), Some(made))
    } else {
        let digest = uploads::store(app, owner, request_id, bytes).await?;
        let command = PassCommand::PutAsset { file: file.to_string(), digest };
        (command, BTreeMap::from([(file, size)]), None)
    };
    let committed = change.dispatch(pass_type, command).await?;
    let mut warnings = image_warnings(&committed, &sizes);
    warnings.extend(left_out::of_form(&committed.aggregate));
    Ok(change.answer(&committed, warnings).await?.with_assets(made).into_response())
}

/// `DELETE /manage/v1/passes/{type}/{serial}/assets/{file}`
///
/// # Errors
/// 401, 404, 409 when the pass is retired, 412, 422 when the pass would be left without an image that it needs, 503.
#[utoipa::path(
    delete, path = "/manage/v1/passes/{type}/{serial}/assets/{file}", tag = MANAGE,
    operation_id = "deletePassAsset", summary = "Remove an own image from a pass",
    params(IfMatch, Urgent), responses(Changed, NotFound, Conflict, PreconditionFailed, Unacceptable),
)]
pub async fn delete(change: Change, segments: Segments) -> Result<Response, ApiError> {
    let file = image_file(&segments)?;
    let pass_type = change.own_pass_type().await?;
    let committed = change.dispatch(pass_type, PassCommand::RemoveAsset { file: file.to_string() }).await?;
    let warnings = left_out::of_form(&committed.aggregate).into_iter().collect();
    Ok(change.answer(&committed, warnings).await?.into_response())
}

/// `GET /manage/v1/passes/{type}/{serial}/assets/{file}`: the image that the pass shows, its own or not.
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/manage/v1/passes/{type}/{serial}/assets/{file}", tag = MANAGE,
    operation_id = "getPassAsset", summary = "Get an image of a pass", responses(Image, NotFound),
)]
pub async fn get(
    State(app): State<AppState>,
    integrator: Integrator,
    segments: Segments,
) -> Result<Response, ApiError> {
    let (_, document) = own_document(&app, &integrator, &segments).await?;
    image_response(&app, &document.images, &segments).await
}

/// The answer with the image that the path names, if it is among these.
///
/// # Errors
/// 404, 503.
pub async fn image_response(app: &App, images: &Images, segments: &Segments) -> Result<Response, ApiError> {
    let digest =
        images.get(&*segments.get("file").unwrap_or_default()).ok_or(ApiError::NotFound { what: "image" })?;
    let image = match app.blobs.get(digest).await {
        Ok(image) => image,
        Err(BlobError::Unknown(_) | BlobError::Damaged(_)) => {
            return Err(ApiError::NotFound { what: "image" });
        }
        Err(fault) => return Err(blob_error(fault, "")),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/png")),
        (header::ETAG, etag(digest.as_str())),
    ];
    Ok((headers, image.bytes().clone()).into_response())
}

/// The file in the path. A fault has no pointer, since the name is not in the body.
///
/// # Errors
/// 422 when passes have no image of that name.
pub fn image_file(segments: &Segments) -> Result<ImageFile, ApiError> {
    ImageFile::parse(&segments.get("file").unwrap_or_default()).map_err(|fault| ApiError::Unacceptable {
        errors: vec![Fault::new("unknown_image", "", fault.to_string())],
    })
}
