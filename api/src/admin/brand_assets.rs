//! The images that every pass falls back to last. A job applies a change to every pass that shows them.

use axum::extract::{MatchedPath, Request, State};
use axum::response::Response;
use honoken_domain::brand_assets::{BRAND_ID, BrandAssets, BrandAssetsCommand};
use honoken_domain::ids::JobId;
use honoken_domain::job::JobWork;
use honoken_service::ids;

use crate::answers::job::{Remarks, accepted, operators_jobs};
use crate::auth::operator::Operator;
use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::extractors::request_id::RequestId;
use crate::manage::assets::{image_file, image_response};
use crate::manage::default_image::DefaultImage;
use crate::manage::uploads::Owner;
use crate::openapi::answers::{BroughtByJob, Image};
use crate::openapi::parameters::EveryScale;
use crate::openapi::problems::{Damaged, FormInsteadOfFile, NotFound, Unacceptable};
use crate::openapi::schemas::Png;
use crate::openapi::tags::ADMIN;
use crate::state::{App, AppState};

/// `PUT /admin/brand-assets/{file}`
///
/// With `?scale=auto` the image is made at every scale that Wallet draws; they take the place of all that the brand has for the slot.
///
/// # Errors
/// 401, 409 `stream_damaged`, 413, 422 when the file name or the image is not acceptable, 503.
#[utoipa::path(
    put, path = "/brand-assets/{file}", tag = ADMIN,
    operation_id = "putBrandAsset", summary = "Give all passes a default image",
    params(EveryScale), request_body(content((Png = "application/octet-stream"), (Png = "image/png"))),
    responses(BroughtByJob, Damaged, FormInsteadOfFile, Unacceptable),
)]
pub async fn put(
    State(app): State<AppState>,
    operator: Operator,
    route: MatchedPath,
    request_id: RequestId,
    segments: Segments,
    request: Request,
) -> Result<Response, ApiError> {
    let image = DefaultImage::of(&segments, &request)?;
    let stored = image.store(&app, Owner::Operator, &request_id, request).await?;
    let (assets, is_scaled) = (stored.images.clone(), stored.is_scaled);
    let put = |job| {
        let job = Some(job);
        if is_scaled {
            BrandAssetsCommand::PutScales { assets, job }
        } else {
            BrandAssetsCommand::PutAssets { assets, job }
        }
    };
    change(&app, &operator, &request_id, operators_jobs(route.as_str()), put, stored.into()).await
}

/// `DELETE /admin/brand-assets/{file}`
///
/// # Errors
/// 401, 409 `stream_damaged`, 422, 503.
#[utoipa::path(
    delete, path = "/brand-assets/{file}", tag = ADMIN,
    operation_id = "deleteBrandAsset", summary = "Remove an image of the brand", responses(BroughtByJob, Damaged, Unacceptable),
)]
pub async fn delete(
    State(app): State<AppState>,
    operator: Operator,
    route: MatchedPath,
    request_id: RequestId,
    segments: Segments,
) -> Result<Response, ApiError> {
    let file = image_file(&segments)?.to_string();
    let remove = |job| BrandAssetsCommand::RemoveAsset { file, job: Some(job) };
    change(&app, &operator, &request_id, operators_jobs(route.as_str()), remove, Remarks::default()).await
}

/// `GET /admin/brand-assets/{file}`
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/brand-assets/{file}", tag = ADMIN,
    operation_id = "getBrandAsset", summary = "Get an image of the brand", responses(Image, NotFound),
)]
pub async fn get(State(app): State<AppState>, segments: Segments) -> Result<Response, ApiError> {
    let images = app.read_model.brand_assets().await?.unwrap_or_default();
    image_response(&app, &images, &segments).await
}

async fn change(
    app: &App,
    operator: &Operator,
    request_id: &RequestId,
    jobs: &str,
    command: impl FnOnce(JobId) -> BrandAssetsCommand,
    remarks: Remarks,
) -> Result<Response, ApiError> {
    let job = ids::job_id(&*app.ids, app.clock.unix_ms());
    let metadata = app.metadata(operator.actor(), None, &request_id.0);
    let committed =
        app.dispatcher.dispatch::<BrandAssets>(BRAND_ID, command(job.clone()), &(), &metadata).await?;
    accepted(app, &committed, (job, JobWork::BrandAssets), jobs, remarks).await
}
