//! Whether the process lives, and whether it can do its work.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use honoken_event_store::EventLog;
use honoken_projections::WALLET;
use serde_json::json;

use crate::app::AppState;
use crate::error::ApiError;

/// How far the read model may be behind the log while the service counts as ready: a burst is not an outage.
const ACCEPTABLE_LAG: u64 = 1000;

/// `GET /health/live`: the process answers.
pub async fn live() -> Response {
    Json(json!({ "status": "live" })).into_response()
}

/// `GET /health/ready`: the read model answers and follows the log.
///
/// # Errors
/// 503 when they do not.
pub async fn ready(State(app): State<AppState>) -> Result<Response, ApiError> {
    let projected = app.read_model.checkpoint(WALLET).await?;
    let head = *app.log.head().borrow();
    let lag = head.0.saturating_sub(projected.0);
    if lag > ACCEPTABLE_LAG {
        return Err(ApiError::Unavailable(format!("the read model is {lag} events behind the log").into()));
    }
    Ok(Json(json!({ "status": "ready" })).into_response())
}
