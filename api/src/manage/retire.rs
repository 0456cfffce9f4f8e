//! Retire a pass: void it for ever. Phones are told once, keep it and show it as void.

use axum::response::Response;
use honoken_domain::pass::PassCommand;

use crate::error::ApiError;
use crate::manage::change::Change;
use crate::openapi::answers::Changed;
use crate::openapi::parameters::{IfMatch, Urgent};
use crate::openapi::problems::{NotFound, PreconditionFailed, Unacceptable};
use crate::openapi::tags::MANAGE;

/// `DELETE /manage/v1/passes/{type}/{serial}`
///
/// Voids the pass for ever: phones are woken once and show it as void, every further change is refused, and its serial number never becomes free again.
///
/// # Errors
/// 401, 404, 412, 422 when `urgent` is no flag, 503.
#[utoipa::path(
    delete, path = "/manage/v1/passes/{type}/{serial}", tag = MANAGE,
    operation_id = "retirePass", summary = "Retire a pass",
    params(IfMatch, Urgent), responses(Changed, NotFound, PreconditionFailed, Unacceptable),
)]
pub async fn handler(change: Change) -> Result<Response, ApiError> {
    change.carry_out(PassCommand::Retire).await
}
