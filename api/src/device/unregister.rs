//! Unregister a device from a pass: always 200 with a valid token, whether the device was registered or not.
//! <https://developer.apple.com/documentation/walletpasses/unregister-a-pass-for-update-notifications>

use axum::extract::State;
use honoken_service::limits;
use http::StatusCode;

use crate::auth::phone::AuthorizedPass;
use crate::device::registration::DeviceRequest;
use crate::error::ApiError;
use crate::extractors::client::Client;
use crate::extractors::path::Segments;
use crate::extractors::request_id::RequestId;
use crate::openapi::problems::TooManyRegistrations;
use crate::openapi::tags::DEVICE;
use crate::state::AppState;

/// `DELETE /v1/devices/{device}/registrations/{type}/{serial}`
///
/// Apple: <https://developer.apple.com/documentation/walletpasses/unregister-a-pass-for-update-notifications>
///
/// # Errors
/// 401, 429 when the device comes and goes too often, 503.
#[utoipa::path(
    delete, path = "/v1/devices/{device}/registrations/{type}/{serial}", tag = DEVICE,
    operation_id = "unregisterDevice", summary = "Unregister a device from a pass",
    security(("authenticationToken" = [])),
    responses(
        (status = 200, description = "The device is no longer registered, or never was. No body."),
        TooManyRegistrations,
    ),
)]
pub async fn handler(
    State(app): State<AppState>,
    pass: AuthorizedPass,
    segments: Segments,
    request_id: RequestId,
    Client(client): Client,
) -> Result<StatusCode, ApiError> {
    // A device whose name cannot exist was never registered.
    let Some(device) = segments.device() else { return Ok(StatusCode::OK) };
    let request = DeviceRequest::new(&app, device, pass.id, client, &request_id);
    let committed = request.unregister().await.map_err(ApiError::for_phone)?;
    app.projector.shows(&committed, limits::VISIBLE).await;
    Ok(StatusCode::OK)
}
