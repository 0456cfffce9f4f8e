//! Pushes to phones although nothing has changed, for trying things out.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use honoken_pushers::ledger::operator::OperatorPushError;
use honoken_service::ids;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::openapi::examples;
use crate::openapi::problems::{NotFound, NotInProduction};
use crate::openapi::tags::ADMIN;
use crate::state::AppState;

/// The phones that are woken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PushedDevices, example = examples::pushed)]
struct Pushed {
    /// The number of phones; two that share a push token count as one.
    devices: u64,
}

/// `POST /admin/push/{type}/{serial}`
///
/// Wakes every phone that holds the pass, at once and without a change. The phones ask, find no change, and complain of a spurious push. The call is
/// refused if `ENVIRONMENT` is `production`.
///
/// # Errors
/// 401, 403 in production, 404, 503.
#[utoipa::path(
    post, path = "/push/{type}/{serial}", tag = ADMIN,
    operation_id = "pushPass", summary = "Wake the phones that hold a pass",
    responses((status = 202, body = Pushed, description = "The phones are about to be woken."), NotInProduction, NotFound),
)]
pub async fn handler(State(app): State<AppState>, segments: Segments) -> Result<Response, ApiError> {
    if app.options.is_production {
        return Err(ApiError::NOT_IN_PRODUCTION);
    }
    let pass = segments.pass().ok_or(ApiError::NO_PASS)?;
    let cause = ids::request_id(&*app.ids);
    let now = app.clock.unix_ms();
    let devices = app.ledger.push_without_change(&app.read_model, &pass, &cause, now).await?;
    let pushed = Pushed { devices: devices.ok_or(ApiError::NO_PASS)? };
    Ok((StatusCode::ACCEPTED, Json(pushed)).into_response())
}

impl From<OperatorPushError> for ApiError {
    fn from(fault: OperatorPushError) -> Self {
        Self::Unavailable(fault.into())
    }
}
