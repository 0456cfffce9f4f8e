//! The images that the passes of a type fall back to. A job applies a change to every pass that shows them.

use axum::extract::{Request, State};
use axum::response::Response;
use honoken_domain::ids::{JobId, OrganizationId, PassTypeIdentifier};
use honoken_domain::job::JobWork;
use honoken_domain::pass_type::{PassType, PassTypeCommand};
use honoken_projections::pass_types::PassTypeRow;
use honoken_service::ids;

use crate::answers::job::{Remarks, accepted};
use crate::auth::integrator::Integrator;
use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::extractors::request_id::RequestId;
use crate::manage::assets::{image_file, image_response};
use crate::manage::default_image::DefaultImage;
use crate::manage::uploads::Owner;
use crate::openapi::answers::{BroughtByJob, Image};
use crate::openapi::parameters::EveryScale;
use crate::openapi::problems::{
    Conflict, Damaged, FormInsteadOfFile, NotFound, Unacceptable, UnacceptableImage,
};
use crate::openapi::schemas::Png;
use crate::openapi::tags::MANAGE;
use crate::state::{App, AppState};

/// `PUT /manage/v1/pass-types/{type}/assets/{file}`
///
/// With `?scale=auto` the image is made at every scale that Wallet draws; they take the place of all that the type has for the slot.
///
/// # Errors
/// 401, 404, 413, 422 when the file name or the image is not acceptable or there is no room for it, 503.
#[utoipa::path(
    put, path = "/manage/v1/pass-types/{type}/assets/{file}", tag = MANAGE,
    operation_id = "putPassTypeAsset", summary = "Give the passes of a type a default image",
    params(EveryScale), request_body(content((Png = "application/octet-stream"), (Png = "image/png"))),
    responses(BroughtByJob, NotFound, Conflict, FormInsteadOfFile, UnacceptableImage),
)]
pub async fn put(
    State(app): State<AppState>,
    integrator: Integrator,
    request_id: RequestId,
    segments: Segments,
    request: Request,
) -> Result<Response, ApiError> {
    let image = DefaultImage::of(&segments, &request)?;
    let pass_type = own_pass_type(&app, &integrator, &segments).await?;
    let stored = image.store(&app, Owner::Organization(&integrator), &request_id, request).await?;
    let (assets, is_scaled) = (stored.images.clone(), stored.is_scaled);
    let put = |job| {
        let job = Some(job);
        if is_scaled {
            PassTypeCommand::PutScales { assets, job }
        } else {
            PassTypeCommand::PutAssets { assets, job }
        }
    };
    change(&app, &integrator, &request_id, &pass_type, put, work, stored.into()).await
}

/// `DELETE /manage/v1/pass-types/{type}/assets/{file}`
///
/// # Errors
/// 401, 404, 409 `stream_damaged`, 422, 503.
#[utoipa::path(
    delete, path = "/manage/v1/pass-types/{type}/assets/{file}", tag = MANAGE,
    operation_id = "deletePassTypeAsset", summary = "Remove a default image from a pass type",
    responses(BroughtByJob, NotFound, Damaged, Unacceptable),
)]
pub async fn delete(
    State(app): State<AppState>,
    integrator: Integrator,
    request_id: RequestId,
    segments: Segments,
) -> Result<Response, ApiError> {
    let file = image_file(&segments)?.to_string();
    let pass_type = own_pass_type(&app, &integrator, &segments).await?;
    let remove = |job| PassTypeCommand::RemoveAsset { file, job: Some(job) };
    change(&app, &integrator, &request_id, &pass_type, remove, work, Remarks::default()).await
}

/// `GET /manage/v1/pass-types/{type}/assets/{file}`: the type's own image, not the brand's.
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/manage/v1/pass-types/{type}/assets/{file}", tag = MANAGE,
    operation_id = "getPassTypeAsset", summary = "Get an image of a pass type", responses(Image, NotFound),
)]
pub async fn get(
    State(app): State<AppState>,
    integrator: Integrator,
    segments: Segments,
) -> Result<Response, ApiError> {
    let pass_type = own_pass_type(&app, &integrator, &segments).await?;
    image_response(&app, &pass_type.default_images.pass_type, &segments).await
}

fn work(organization_id: OrganizationId, pass_type_identifier: PassTypeIdentifier) -> JobWork {
    JobWork::PassTypeAssets { organization_id, pass_type_identifier }
}

/// Carries out a command that names a job, and answers with the job.
///
/// # Errors
/// 503.
pub async fn change(
    app: &App,
    integrator: &Integrator,
    request_id: &RequestId,
    pass_type: &PassTypeRow,
    command: impl FnOnce(JobId) -> PassTypeCommand,
    work: fn(OrganizationId, PassTypeIdentifier) -> JobWork,
    remarks: Remarks,
) -> Result<Response, ApiError> {
    let job = ids::job_id(&*app.ids, app.clock.unix_ms());
    let metadata =
        app.metadata(integrator.actor.clone(), Some(integrator.organization_id.as_str()), &request_id.0);
    let id = pass_type.pass_type_identifier.as_str();
    let committed = app.dispatcher.dispatch::<PassType>(id, command(job.clone()), &(), &metadata).await?;
    let work = work(integrator.organization_id.clone(), pass_type.pass_type_identifier.clone());
    accepted(app, &committed, (job, work), "/manage/v1/jobs", remarks).await
}

/// The pass type in the path, if it is the caller's.
///
/// # Errors
/// 404, 503.
pub async fn own_pass_type(
    app: &App,
    integrator: &Integrator,
    segments: &Segments,
) -> Result<PassTypeRow, ApiError> {
    const NO_PASS_TYPE: ApiError = ApiError::NotFound { what: "pass type" };
    let identifier = segments.pass_type().ok_or(NO_PASS_TYPE)?;
    let pass_type = app.read_model.pass_type(&identifier).await?;
    pass_type.filter(|pass_type| pass_type.organization_id == integrator.organization_id).ok_or(NO_PASS_TYPE)
}
