//! Register a device for a pass: 201 when it is new, 200 when it was there already.
//! <https://developer.apple.com/documentation/walletpasses/register-a-pass-for-update-notifications>

use axum::extract::{Request, State};
use honoken_domain::ids::{PushToken, RegistrationId};
use honoken_domain::registration::{Registration, RegistrationCommand, RegistrationEvent};
use http::StatusCode;

use crate::app::AppState;
use crate::auth::AuthorizedPass;
use crate::error::ApiError;
use crate::json_body::{self, Fields};
use crate::limits;
use crate::path::Segments;
use crate::request_context::CurrentRequest;

/// `POST /v1/devices/{device}/registrations/{type}/{serial}`
///
/// The token is checked before the body is looked at. A known registration takes the push token of the body all the same: that is how a
/// phone tells that it has a new one. The answer waits until the list call, which follows at once, will see the registration.
///
/// # Errors
/// 401, 400 for a body without a usable `pushToken`, 503.
pub async fn handler(
    State(app): State<AppState>,
    pass: AuthorizedPass,
    segments: Segments,
    current: CurrentRequest,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let body = json_body::read(request, limits::REGISTRATION_BYTES).await?;
    let push_token = push_token(&body)?;
    let device =
        segments.device().ok_or_else(|| unreadable("the device library identifier in the path", ""))?;
    let id = RegistrationId {
        pass_type_identifier: pass.id.pass_type_identifier,
        device_library_identifier: device,
    };
    let metadata =
        app.metadata(format!("device:{}", id.device_library_identifier.shortened()), None, &current.0.0);
    let command = RegistrationCommand::Register {
        serial_number: pass.id.serial_number,
        push_token,
        at: app.clock.unix_seconds(),
    };
    let committed =
        app.dispatcher.dispatch::<Registration>(&id.aggregate_id(), command, &(), &metadata).await?;

    if !app.projector.shows(&committed, limits::VISIBLE).await {
        // The list that follows would be empty, and the phone content with it. It comes back after a 503, and finds itself registered.
        return Err(ApiError::Unavailable("the registration is on disk, but not visible yet".into()));
    }
    let is_new =
        committed.events.iter().any(|event| matches!(event, RegistrationEvent::DeviceRegistered { .. }));
    Ok(if is_new { StatusCode::CREATED } else { StatusCode::OK })
}

fn push_token(body: &[u8]) -> Result<PushToken, ApiError> {
    let mut fields =
        Fields::of(json_body::parse(body)?).map_err(|_| unreadable("a JSON object with `pushToken`", ""))?;
    let value = fields.optional("pushToken");
    let text = value.as_ref().and_then(|value| value.as_str());
    text.and_then(|text| PushToken::parse(text).ok()).ok_or_else(|| {
        unreadable("`pushToken`, a string of 1 to 1024 characters without control characters", "/pushToken")
    })
}

fn unreadable(expected: &str, pointer: &str) -> ApiError {
    let detail = format!("expected {expected}");
    let errors = vec![crate::error::Fault::new("invalid", pointer, detail.clone())];
    ApiError::Unreadable { detail, errors }
}
