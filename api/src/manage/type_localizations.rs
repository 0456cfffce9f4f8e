//! The texts in other languages that the passes of a type fall back to. A job applies a change to every pass that shows them.

use axum::extract::{Request, State};
use axum::response::Response;
use honoken_domain::ids::{OrganizationId, PassTypeIdentifier};
use honoken_domain::job::JobWork;
use honoken_domain::pass_type::PassTypeCommand;

use crate::answers::job::Remarks;
use crate::auth::integrator::Integrator;
use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::extractors::request_id::RequestId;
use crate::manage::localizations::{self, language};
use crate::manage::type_assets::{change, own_pass_type};
use crate::openapi::answers::BroughtByJob;
use crate::openapi::problems::{Damaged, NotFound, Unacceptable, UnsupportedMediaType};
use crate::openapi::schemas;
use crate::openapi::tags::MANAGE;
use crate::state::AppState;

/// `PUT /manage/v1/pass-types/{type}/localizations/{lang}`
///
/// # Errors
/// 400, 401, 404, 409 `stream_damaged`, 413, 415, 422 when the language or the texts are not acceptable, 503.
#[utoipa::path(
    put, path = "/manage/v1/pass-types/{type}/localizations/{lang}", tag = MANAGE,
    operation_id = "putPassTypeLocalization", summary = "Give the passes of a type texts in a language",
    request_body = schemas::Localization, responses(BroughtByJob, NotFound, Damaged, UnsupportedMediaType, Unacceptable),
)]
pub async fn put(
    State(app): State<AppState>,
    integrator: Integrator,
    request_id: RequestId,
    segments: Segments,
    request: Request,
) -> Result<Response, ApiError> {
    let language = language(&segments)?;
    let pass_type = own_pass_type(&app, &integrator, &segments).await?;
    let localization = localizations::read(request).await?;
    let put = |job| PassTypeCommand::PutLocalization { language, localization, job: Some(job) };
    change(&app, &integrator, &request_id, &pass_type, put, work, Remarks::default()).await
}

/// `DELETE /manage/v1/pass-types/{type}/localizations/{lang}`
///
/// # Errors
/// 401, 404, 409 `stream_damaged`, 422 when the language is not one, 503.
#[utoipa::path(
    delete, path = "/manage/v1/pass-types/{type}/localizations/{lang}", tag = MANAGE,
    operation_id = "deletePassTypeLocalization", summary = "Remove a pass type's texts in a language",
    responses(BroughtByJob, NotFound, Damaged, Unacceptable),
)]
pub async fn delete(
    State(app): State<AppState>,
    integrator: Integrator,
    request_id: RequestId,
    segments: Segments,
) -> Result<Response, ApiError> {
    let language = language(&segments)?;
    let pass_type = own_pass_type(&app, &integrator, &segments).await?;
    let remove = |job| PassTypeCommand::RemoveLocalization { language, job: Some(job) };
    change(&app, &integrator, &request_id, &pass_type, remove, work, Remarks::default()).await
}

/// `GET /manage/v1/pass-types/{type}/localizations/{lang}`
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/manage/v1/pass-types/{type}/localizations/{lang}", tag = MANAGE,
    operation_id = "getPassTypeLocalization", summary = "Get a pass type's texts in a language",
    responses((status = 200, body = schemas::Localization, description = "The texts."), NotFound),
)]
pub async fn get(
    State(app): State<AppState>,
    integrator: Integrator,
    segments: Segments,
) -> Result<Response, ApiError> {
    let pass_type = own_pass_type(&app, &integrator, &segments).await?;
    localizations::answer(pass_type.default_localizations, &segments)
}

fn work(organization_id: OrganizationId, pass_type_identifier: PassTypeIdentifier) -> JobWork {
    JobWork::PassTypeLocalizations { organization_id, pass_type_identifier }
}
