//! Events that a projection could not apply: list them, retry them, skip them.

use axum::Json;
use axum::extract::{Request, State};
use honoken_domain::ids::RegistrationId;
use honoken_event_store::Position;
use honoken_projections::parked_events::ParkedEvent;
use honoken_projections::{OperationError, WALLET};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::projections::check_projection;
use crate::error::ApiError;
use crate::extractors::json_body::{self, Fields};
use crate::extractors::path::Segments;
use crate::limits;
use crate::openapi::answers::Done;
use crate::openapi::examples;
use crate::openapi::problems::{Conflict, NotFound, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::ADMIN;
use crate::state::AppState;

/// The most events in one answer.
const LIMIT: u32 = 200;

/// Events that a projection could not apply.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = examples::parked)]
pub struct Parked {
    parked: Vec<Entry>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ParkedEvent)]
struct Entry {
    position: u64,
    aggregate_type: String,
    aggregate_id: String,
    sequence: u64,
    event_type: String,
    error: String,
    /// Whether the event only waits behind an earlier event of the same aggregate.
    waiting: bool,
}

impl From<ParkedEvent> for Entry {
    fn from(parked: ParkedEvent) -> Self {
        // The id of a registration ends in a device identifier, which is a secret.
        let aggregate_id = match RegistrationId::parse(&parked.aggregate_id) {
            Ok(id) if parked.aggregate_type == "Registration" => id.shortened(),
            _ => parked.aggregate_id,
        };
        Self {
            position: parked.position.0,
            aggregate_type: parked.aggregate_type,
            aggregate_id,
            sequence: parked.sequence,
            event_type: parked.event_type,
            error: parked.error,
            waiting: parked.waiting,
        }
    }
}

/// `GET /admin/projections/{projection}/parked`
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/projections/{projection}/parked", tag = ADMIN,
    operation_id = "listParkedEvents", summary = "List the events that could not be applied",
    responses((status = 200, body = Parked, description = "The first 200 parked events."), NotFound),
)]
pub async fn list(State(app): State<AppState>, segments: Segments) -> Result<Json<Parked>, ApiError> {
    check_projection(&segments)?;
    let parked = app.read_model.parked_events(WALLET, LIMIT).await?;
    Ok(Json(Parked { parked: parked.into_iter().map(Entry::from).collect() }))
}

/// `POST /admin/projections/{projection}/parked/{position}/retry`
///
/// # Errors
/// 401, 404, 409 when it is not parked or fails again, 503.
#[utoipa::path(
    post, path = "/projections/{projection}/parked/{position}/retry", tag = ADMIN,
    operation_id = "retryParkedEvent", summary = "Try a parked event again", responses(Done, NotFound, Conflict),
)]
pub async fn retry(State(app): State<AppState>, segments: Segments) -> Result<StatusCode, ApiError> {
    app.projector.retry(position(&segments)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The reason for skipping an event.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SkipReason, example = examples::skip)]
struct SkipOrder {
    /// The reason; it is stored with the event.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

/// `POST /admin/projections/{projection}/parked/{position}/skip` with `{"reason": "…"}`
///
/// # Errors
/// 401, 404, 409 when it is not parked, 422 without a reason, 503.
#[utoipa::path(
    post, path = "/projections/{projection}/parked/{position}/skip", tag = ADMIN,
    operation_id = "skipParkedEvent", summary = "Skip a parked event", request_body = SkipOrder,
    responses(Done, NotFound, Conflict, UnsupportedMediaType, Unacceptable),
)]
pub async fn skip(
    State(app): State<AppState>,
    segments: Segments,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let position = position(&segments)?;
    let mut fields = Fields::of(json_body::read_json(request, limits::JSON_BYTES).await?)?;
    let reason = fields.required("reason");
    let reason = fields.parse("reason", reason, |text| {
        if (1..=1000).contains(&text.chars().count()) {
            Ok(text)
        } else {
            Err("`reason` must have 1 to 1000 characters")
        }
    });
    fields.finish()?;
    let order = SkipOrder { reason: reason.unwrap_or_default() };
    app.projector.skip(position, order.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn position(segments: &Segments) -> Result<Position, ApiError> {
    check_projection(segments)?;
    let position =
        segments.get("position").and_then(|text| text.parse().ok()).filter(|position| *position >= 1);
    position.map(Position).ok_or(ApiError::NotFound { what: "parked event" })
}

impl From<OperationError> for ApiError {
    fn from(fault: OperationError) -> Self {
        match fault {
            OperationError::NotParked => Self::Conflict { code: "not_parked", detail: fault.to_string() },
            OperationError::StillUnappliable(_) => {
                Self::Conflict { code: "still_unappliable", detail: fault.to_string() }
            }
            OperationError::Store(_) | OperationError::Log(_) | OperationError::Stopped => {
                Self::Unavailable(fault.into())
            }
        }
    }
}
