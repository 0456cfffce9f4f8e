//! Whether the process lives, and whether it can do its work.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use honoken_event_store::{EventLog, Position};
use honoken_projections::WALLET;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::ApiError;
use crate::openapi::RUNNING;

/// How the process is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
struct Body {
    #[schema(example = "ready", pattern = "^(live|ready)$")]
    status: &'static str,
}

/// How far the read model may be behind the log while the service counts as ready: a burst is not an outage.
const ACCEPTABLE_LAG: u64 = 1000;

/// `GET /health/live`: the process answers.
#[utoipa::path(
    get, path = "/health/live", tag = RUNNING,
    operation_id = "live", summary = "Ask whether the process answers",
    responses((status = 200, body = Body, description = "It does.", example = json!({"status": "live"}))),
)]
pub async fn live() -> Response {
    Json(Body { status: "live" }).into_response()
}

/// `GET /health/ready`: log and read model answer, and the read model follows the log. They are asked each time, so that a process whose
/// connections are gone does not say so from memory.
///
/// # Errors
/// 503 when they do not.
#[utoipa::path(
    get, path = "/health/ready", tag = RUNNING,
    operation_id = "ready", summary = "Ask whether the process can do its work",
    responses((status = 200, body = Body, description = "It can.", example = json!({"status": "ready"}))),
)]
pub async fn ready(State(app): State<AppState>) -> Result<Response, ApiError> {
    if !app.read_model.is_projected().await? {
        return Err(ApiError::Unavailable("no process fills the read model".into()));
    }
    let projected = app.read_model.checkpoint(WALLET).await?;
    let far_behind = app.log.read_after(Position(projected.0 + ACCEPTABLE_LAG), 1).await;
    if !far_behind.map_err(|fault| ApiError::Unavailable(fault.into()))?.is_empty() {
        return Err(ApiError::Unavailable(
            format!("the read model is more than {ACCEPTABLE_LAG} events behind the log").into(),
        ));
    }
    Ok(Json(Body { status: "ready" }).into_response())
}
