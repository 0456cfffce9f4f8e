//! Make a voided pass valid again.

use axum::response::Response;
use honoken_domain::pass::PassCommand;

use crate::error::ApiError;
use crate::manage::change::Change;
use crate::openapi::answers::Changed;
use crate::openapi::parameters::{IfMatch, Urgent};
use crate::openapi::problems::{Conflict, NotFound, PreconditionFailed, Unacceptable};
use crate::openapi::tags::MANAGE;

/// `POST /manage/v1/passes/{type}/{serial}/reinstate`
///
/// # Errors
/// 401, 404, 409 when the pass is retired, 412, 422 when `urgent` is no flag, 503.
#[utoipa::path(
    post, path = "/manage/v1/passes/{type}/{serial}/reinstate", tag = MANAGE,
    operation_id = "reinstatePass", summary = "Make a voided pass valid again",
    params(IfMatch, Urgent), responses(Changed, NotFound, Conflict, PreconditionFailed, Unacceptable),
)]
pub async fn handler(change: Change) -> Result<Response, ApiError> {
    change.carry_out(PassCommand::Reinstate).await
}
