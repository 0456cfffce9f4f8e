//! The state of a pass, as an integrator sees it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use honoken_domain::content::Content;
use honoken_domain::ids::PassId;
use honoken_domain::images::Images;
use honoken_event_store::EventLog;
use honoken_projections::wallet_pass::PassDocument;
use http::header;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{App, AppState};
use crate::auth::Integrator;
use crate::error::ApiError;
use crate::headers::etag;
use crate::manage::change::rfc3339;
use crate::openapi::problems::NotFound;
use crate::openapi::{MANAGE, examples, schemas};
use crate::path::Segments;
use crate::update_tag;

/// Everything that the tag is made of is here, so that anyone can check it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = examples::pass_state)]
struct PassState {
    pass_type_identifier: String,
    serial_number: String,
    #[schema(schema_with = schemas::ticket_styles)]
    ticket_style: &'static str,
    poster: bool,
    voided: bool,
    /// There only when it is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false)]
    retired: Option<bool>,
    #[schema(value_type = schemas::Content)]
    content: Content,
    /// The images that end up in the pass, its own or not.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    assets: Images,
    etag: String,
    #[schema(format = DateTime)]
    updated_at: String,
    update_tag: String,
    position: u64,
    registrations: u64,
    /// Empty until this service wakes phones.
    #[schema(value_type = Vec<Object>, max_items = 0)]
    deliveries: [(); 0],
}

/// `GET /manage/v1/passes/{type}/{serial}`
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/manage/v1/passes/{type}/{serial}", tag = MANAGE,
    operation_id = "getPassState", summary = "Look at a pass",
    responses((status = 200, body = PassState, description = "The state.", headers(("ETag", description = "The tag of the state."))), NotFound),
)]
pub async fn handler(
    State(app): State<AppState>,
    integrator: Integrator,
    segments: Segments,
) -> Result<Response, ApiError> {
    let (id, document) = own_document(&app, &integrator, &segments).await?;
    let state = PassState {
        pass_type_identifier: id.pass_type_identifier.to_string(),
        serial_number: id.serial_number.to_string(),
        ticket_style: document.ticket_style.as_str(),
        poster: document.poster,
        voided: document.voided,
        retired: document.retired.then_some(true),
        content: document.content,
        assets: document.images,
        etag: document.row.etag.to_string(),
        updated_at: rfc3339(document.row.updated_at),
        update_tag: update_tag::render(app.log.epoch(), document.update_tag),
        position: document.update_tag.0,
        registrations: document.registrations,
        deliveries: [],
    };
    Ok(([(header::ETAG, etag(&state.etag))], Json(state)).into_response())
}

/// A pass of the caller's organisation.
///
/// # Errors
/// 404 when it does not exist or is somebody else's, 503.
pub async fn own_document(
    app: &App,
    integrator: &Integrator,
    segments: &Segments,
) -> Result<(PassId, PassDocument), ApiError> {
    let id = segments.pass().ok_or(ApiError::NO_PASS)?;
    let document = app.read_model.pass_document(&id).await?;
    let document = document.filter(|document| document.organization_id == integrator.organization_id);
    Ok((id, document.ok_or(ApiError::NO_PASS)?))
}
