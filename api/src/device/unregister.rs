//! Unregister a device from a pass: always 200 with a valid token, whether there was anything to forget or not.
//! <https://developer.apple.com/documentation/walletpasses/unregister-a-pass-for-update-notifications>

use axum::extract::State;
use honoken_domain::ids::RegistrationId;
use honoken_domain::registration::{Registration, RegistrationCommand};
use http::StatusCode;

use crate::app::AppState;
use crate::auth::AuthorizedPass;
use crate::error::ApiError;
use crate::limits;
use crate::path::Segments;
use crate::request_context::CurrentRequest;

/// `DELETE /v1/devices/{device}/registrations/{type}/{serial}`
///
/// # Errors
/// 401, 503.
pub async fn handler(
    State(app): State<AppState>,
    pass: AuthorizedPass,
    segments: Segments,
    current: CurrentRequest,
) -> Result<StatusCode, ApiError> {
    // A device whose name cannot exist was never registered: there is nothing to forget.
    let Some(device) = segments.device() else { return Ok(StatusCode::OK) };
    let id = RegistrationId {
        pass_type_identifier: pass.id.pass_type_identifier,
        device_library_identifier: device,
    };
    let metadata =
        app.metadata(format!("device:{}", id.device_library_identifier.shortened()), None, &current.0.0);
    let command = RegistrationCommand::Unregister { serial_number: pass.id.serial_number };
    let committed =
        app.dispatcher.dispatch::<Registration>(&id.aggregate_id(), command, &(), &metadata).await?;
    app.projector.shows(&committed, limits::VISIBLE).await;
    Ok(StatusCode::OK)
}
