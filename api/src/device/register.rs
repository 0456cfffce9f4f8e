//! Register a device for a pass: 201 when it is new, 200 when it was there already.
//! <https://developer.apple.com/documentation/walletpasses/register-a-pass-for-update-notifications>

use axum::extract::{Request, State};
use honoken_domain::ids::PushToken;
use honoken_service::limits as service_limits;
use http::StatusCode;
use utoipa::ToSchema;

use crate::auth::phone::AuthorizedPass;
use crate::device::registration::{DeviceRequest, Registered};
use crate::error::ApiError;
use crate::extractors::client::Client;
use crate::extractors::json_body::{self, Fields};
use crate::extractors::path::Segments;
use crate::extractors::request_id::RequestId;
use crate::limits;
use crate::openapi::problems::TooManyRegistrations;
use crate::openapi::tags::DEVICE;
use crate::openapi::{examples, schemas};
use crate::state::{App, AppState};

/// The means to wake the phone. Other fields are ignored, as Apple may add some.
#[derive(ToSchema)]
#[schema(as = DeviceRegistration, rename_all = "camelCase", example = examples::registration)]
struct Body {
    /// The push token: the address of the phone at APNs.
    #[schema(schema_with = schemas::push_token)]
    push_token: PushToken,
}

/// `POST /v1/devices/{device}/registrations/{type}/{serial}`
///
/// Apple: <https://developer.apple.com/documentation/walletpasses/register-a-pass-for-update-notifications>
///
/// The token is checked before the body is read. A known registration takes the push token of the body too: a phone reports a new push token this
/// way. The answer waits until the list call, which follows at once, will see the registration.
///
/// The push token of a device is written once a second at most. A request with another push token within that second is answered at its end, when the
/// newest one is on disk.
///
/// # Errors
/// 401, 400 for a body without a usable `pushToken` or a device that cannot be named so, 408, 413, 429 when a device comes and goes too often or
/// too many new ones come from one address, 503.
#[utoipa::path(
    post, path = "/v1/devices/{device}/registrations/{type}/{serial}", tag = DEVICE,
    operation_id = "registerDevice", summary = "Register a device for the updates of a pass",
    security(("authenticationToken" = [])), request_body = Body,
    responses(
        (status = 201, description = "The registration is new. No body."),
        (status = 200, description = "The registration existed already; the push token was stored. No body."),
        TooManyRegistrations,
    ),
)]
pub async fn handler(
    State(app): State<AppState>,
    pass: AuthorizedPass,
    segments: Segments,
    request_id: RequestId,
    Client(client): Client,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let body = json_body::read(request, limits::REGISTRATION_BYTES).await?;
    let Body { push_token } = order(&body)?;
    let device =
        segments.device().ok_or_else(|| unreadable("the device library identifier in the path", ""))?;
    let request = DeviceRequest::new(&app, device, pass.id, client, &request_id);
    let Registered { committed, is_new } = request.register(push_token).await.map_err(ApiError::for_phone)?;
    if !app.projector.shows(&committed, service_limits::VISIBLE).await {
        // Otherwise the list that follows would be empty, and the phone would be content with it. After a 503 it comes back, and finds
        // itself registered.
        return Err(not_visible(&app, "the registration is on disk, but not visible yet").await);
    }
    Ok(if is_new { StatusCode::CREATED } else { StatusCode::OK })
}

/// The answer about a change that is on disk and that readers do not see yet.
pub async fn not_visible(app: &App, cause: &'static str) -> ApiError {
    match app.read_model.is_projected().await {
        Ok(false) => ApiError::NoProjector,
        Ok(true) => ApiError::Unavailable(cause.into()),
        Err(fault) => fault.into(),
    }
}

fn order(body: &[u8]) -> Result<Body, ApiError> {
    let mut fields =
        Fields::of(json_body::parse(body)?).map_err(|_| unreadable("a JSON object with `pushToken`", ""))?;
    let value = fields.optional("pushToken");
    let text = value.as_ref().and_then(|value| value.as_str());
    let push_token = text.and_then(|text| PushToken::parse(text).ok()).ok_or_else(|| {
        unreadable("`pushToken`, a string of 1 to 1024 characters without control characters", "/pushToken")
    })?;
    Ok(Body { push_token })
}

fn unreadable(expected: &str, pointer: &str) -> ApiError {
    ApiError::unreadable("invalid", pointer, format!("expected {expected}"))
}
