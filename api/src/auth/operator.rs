//! Authenticates an operator, for everything.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use honoken_telemetry::request::caller_is_known;

use crate::auth::header::credentials;
use crate::error::ApiError;
use crate::state::AppState;

/// Lets only the operator through.
///
/// # Errors
/// 401 for other callers, 429 for a client that failed too often.
pub async fn require_operator(
    State(app): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let shown = credentials(request.headers(), &["Basic"]).ok_or(ApiError::UnauthorizedOperator)?;
    let client = app.rates.client(request.headers(), request.extensions().get().copied());
    let shown = STANDARD.decode(shown).unwrap_or_default();
    let is_right = || app.options.admin.as_ref().is_some_and(|admin| admin.are(&shown));
    if !app.rates.compare_password(client, is_right)? {
        return Err(ApiError::UnauthorizedOperator);
    }
    caller_is_known();
    Ok(next.run(request).await)
}
