//! Retire a pass: void it for ever. Phones are told once, keep it and show it as void.

use axum::response::Response;
use honoken_domain::pass::PassCommand;

use crate::error::ApiError;
use crate::manage::change::Change;

/// `DELETE /manage/v1/passes/{type}/{serial}`
///
/// # Errors
/// 401, 404, 412, 503.
pub async fn handler(change: Change) -> Result<Response, ApiError> {
    change.carry_out(PassCommand::Retire).await
}
