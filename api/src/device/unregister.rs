//! Unregister a device from a pass: always 200 with a valid token, whether there was anything to forget or not.
//! <https://developer.apple.com/documentation/walletpasses/unregister-a-pass-for-update-notifications>

use axum::extract::State;
use honoken_domain::ids::PassId;
use honoken_domain::registration::RegistrationCommand;
use http::StatusCode;

use crate::app::AppState;
use crate::auth::AuthorizedPass;
use crate::device::registration;
use crate::error::ApiError;
use crate::limits;
use crate::openapi::DEVICE;
use crate::path::Segments;
use crate::request_context::RequestId;

/// `DELETE /v1/devices/{device}/registrations/{type}/{serial}`
///
/// Apple: <https://developer.apple.com/documentation/walletpasses/unregister-a-pass-for-update-notifications>
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    delete, path = "/v1/devices/{device}/registrations/{type}/{serial}", tag = DEVICE,
    operation_id = "unregisterDevice", summary = "Unregister a device from a pass",
    security(("authenticationToken" = [])),
    responses((status = 200, description = "The device is not registered any more, or never was. No body.")),
)]
pub async fn handler(
    State(app): State<AppState>,
    pass: AuthorizedPass,
    segments: Segments,
    request_id: RequestId,
) -> Result<StatusCode, ApiError> {
    // A device whose name cannot exist was never registered: there is nothing to forget.
    let Some(device) = segments.device() else { return Ok(StatusCode::OK) };
    let PassId { pass_type_identifier, serial_number } = pass.id;
    let command = RegistrationCommand::Unregister { serial_number };
    let committed = registration::dispatch(&app, device, pass_type_identifier, command, &request_id).await?;
    app.projector.shows(&committed, limits::VISIBLE).await;
    Ok(StatusCode::OK)
}
