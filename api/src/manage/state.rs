//! The state of a pass, as an integrator sees it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use honoken_domain::content::Content;
use honoken_domain::ids::PassId;
use honoken_domain::images::Images;
use honoken_domain::localizations::Localizations;
use honoken_domain::personalization::PersonalizationForm;
use honoken_domain::rfc3339;
use honoken_domain::served;
use honoken_event_store::EventLog;
use honoken_projections::passes::PassDocument;
use honoken_pushers::ledger::Delivery;
use http::header;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answers::headers::etag;
use crate::answers::update_tag;
use crate::auth::integrator::Integrator;
use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::openapi::problems::NotFound;
use crate::openapi::tags::MANAGE;
use crate::openapi::{examples, schemas};
use crate::state::{App, AppState};

/// It contains everything that the `ETag` is made of, so that anyone can check the `ETag`.
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
    /// Present only if it is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false)]
    retired: Option<bool>,
    #[schema(value_type = schemas::Content)]
    content: Content,
    /// The images that end up in the pass, its own or not.
    #[schema(schema_with = schemas::images)]
    assets: Images,
    /// The texts in other languages that end up in the pass, its own or not. Present only if there are any.
    #[serde(skip_serializing_if = "Localizations::is_empty")]
    #[schema(schema_with = schemas::localizations, required = false)]
    localizations: Localizations,
    /// The form of a rewards programme. Present only while it is in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>, required = false)]
    personalization: Option<PersonalizationForm>,
    etag: String,
    #[schema(format = DateTime)]
    updated_at: String,
    update_tag: String,
    position: u64,
    registrations: u64,
    /// The last ten pushes, the newest first: one for each state and phone.
    #[schema(max_items = 10)]
    deliveries: Vec<DeliveryState>,
}

/// The push to one phone for one state.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
struct DeliveryState {
    /// The beginning of the phone's identifier.
    device: String,
    /// `superseded`: a newer state was sent instead, or the phone no longer holds the pass. `dead`: APNs says that the phone is gone.
    #[schema(pattern = "^(pending|sent|failed|superseded|dead)$")]
    state: &'static str,
    /// The `ETag` of the state that the phone was woken for.
    etag: String,
    /// The number of requests to APNs.
    attempts: u64,
    /// The last answer of APNs, if it did not accept the push.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    last_error: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    changed_at: String,
    /// The identifier of the push at APNs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    apns_id: Option<String>,
}

impl From<Delivery> for DeliveryState {
    fn from(delivery: Delivery) -> Self {
        Self {
            device: delivery.device_library_identifier.shortened(),
            state: delivery.state.as_str(),
            etag: delivery.etag.to_string(),
            attempts: delivery.attempts,
            last_error: delivery.last_error,
            created_at: rfc3339::milliseconds(delivery.created_at_ms),
            changed_at: rfc3339::milliseconds(delivery.changed_at_ms),
            apns_id: delivery.apns_id,
        }
    }
}

/// The most deliveries in one answer.
const DELIVERIES: u32 = 10;

/// `GET /manage/v1/passes/{type}/{serial}`
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/manage/v1/passes/{type}/{serial}", tag = MANAGE,
    operation_id = "getPassState", summary = "Get the state of a pass",
    responses((status = 200, body = PassState, description = "The state.", headers(("ETag", description = "The tag of the state."))), NotFound),
)]
pub async fn handler(
    State(app): State<AppState>,
    integrator: Integrator,
    segments: Segments,
) -> Result<Response, ApiError> {
    let (id, document) = own_document(&app, &integrator, &segments).await?;
    let deliveries = app.ledger.last_deliveries(&id, DELIVERIES).await?;
    let form = document.open_form.filter(|_| served::shows_form(&document.images));
    let state = PassState {
        pass_type_identifier: id.pass_type_identifier.to_string(),
        serial_number: id.serial_number.to_string(),
        ticket_style: document.kind.style.as_str(),
        poster: document.kind.poster,
        voided: document.voided,
        retired: document.retired.then_some(true),
        content: document.content,
        assets: document.images,
        localizations: document.localizations,
        personalization: form,
        etag: document.row.etag.to_string(),
        updated_at: rfc3339::seconds(document.row.updated_at),
        update_tag: update_tag::render(app.log.epoch(), document.update_tag),
        position: document.update_tag.0,
        registrations: document.registrations,
        deliveries: deliveries.into_iter().map(DeliveryState::from).collect(),
    };
    Ok(([(header::ETAG, etag(&state.etag))], Json(state)).into_response())
}

/// A pass of the caller's organisation.
///
/// # Errors
/// 404 when it does not exist or belongs to another organisation, 503.
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
