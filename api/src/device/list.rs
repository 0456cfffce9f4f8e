//! List the passes that changed: 200 with serial numbers, or 204. The phone accepts no other answer.
//! <https://developer.apple.com/documentation/walletpasses/get-the-list-of-updatable-passes>

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use honoken_event_store::EventLog;
use honoken_projections::WALLET;
use honoken_projections::updated_serials::Since;
use honoken_telemetry::request::caller_is_known;
use http::{StatusCode, Uri};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answers::update_tag;
use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::openapi::examples;
use crate::openapi::tags::DEVICE;
use crate::state::{App, AppState};

/// The passes that changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UpdatedPasses, example = examples::updated_passes)]
struct Body {
    /// Serial numbers of passes of this type that this device is registered for.
    serial_numbers: Vec<String>,
    /// The phone sends it back as `passesUpdatedSince` next time.
    last_updated: String,
}

/// `GET /v1/devices/{device}/registrations/{type}?passesUpdatedSince={tag}`
///
/// Apple: <https://developer.apple.com/documentation/walletpasses/get-the-list-of-updatable-passes>
///
/// This call needs no token: the device identifier is its secret.
///
/// # Errors
/// 503 when the read model is away.
#[utoipa::path(
    get, path = "/v1/devices/{device}/registrations/{type}", tag = DEVICE,
    operation_id = "listUpdatedPasses", summary = "List the passes of a device that changed",
    params((
        "passesUpdatedSince" = Option<String>, Query,
        description = "The `lastUpdated` of an earlier answer; a date is understood, too. Without it, or if it cannot be read, all passes are listed."
    )),
    responses(
        (status = 200, body = Body, description = "Passes that changed since then."),
        (status = 204, description = "No pass has changed, or the device is unknown. No body."),
    ),
)]
pub async fn handler(
    State(app): State<AppState>,
    segments: Segments,
    uri: Uri,
) -> Result<Response, ApiError> {
    let (Some(device), Some(pass_type)) = (segments.device(), segments.pass_type()) else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let since = match passes_updated_since(&uri) {
        Some(tag) => seen(&app, &tag).await?,
        None => Since::Nothing,
    };
    let Some(updated) = app.read_model.serials_updated_since(&device, &pass_type, since).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    // The device identifier is the secret of this call, and the caller has it.
    caller_is_known();
    let body = Body {
        serial_numbers: updated.serial_numbers.into_iter().map(String::from).collect(),
        last_updated: update_tag::render(app.log.epoch(), updated.up_to),
    };
    Ok(Json(body).into_response())
}

/// The position that a phone's tag stands for. Another process may have given the phone a tag beyond the head that this process knows; the
/// read model then already holds the events up to it.
async fn seen(app: &App, tag: &str) -> Result<Since, ApiError> {
    let epoch = app.log.epoch();
    let head = *app.log.head().borrow();
    match update_tag::read(tag, epoch, head) {
        Since::Nothing => {
            let projected = app.read_model.checkpoint(WALLET).await?;
            Ok(update_tag::read(tag, epoch, head.max(projected)))
        }
        known => Ok(known),
    }
}

fn passes_updated_since(uri: &Uri) -> Option<String> {
    // A plus sign is a plus sign in a tag such as `+01:00`, not a space: no form fills this in.
    let query = uri.query()?.replace('+', "%2B");
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "passesUpdatedSince")
        .map(|(_, value)| value.into_owned())
}
