//! Mark a pass as no longer valid. Phones keep it and show it as void.

use axum::extract::State;
use axum::response::Response;
use honoken_domain::pass::PassCommand;
use http::HeaderMap;

use crate::app::AppState;
use crate::auth::Integrator;
use crate::error::ApiError;
use crate::manage::change::{self, Change};
use crate::path::Segments;
use crate::request_context::CurrentRequest;

/// `POST /manage/v1/passes/{type}/{serial}/void`
///
/// # Errors
/// 401, 404, 412, 503.
pub async fn handler(
    State(app): State<AppState>,
    integrator: Integrator,
    segments: Segments,
    current: CurrentRequest,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = segments.pass().ok_or(ApiError::NO_PASS)?;
    let change =
        Change { app: &app, integrator, current: &current, id, precondition: change::if_match(&headers) };
    change.carry_out(PassCommand::Void).await
}
