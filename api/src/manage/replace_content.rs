//! Replace the content of a pass.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use honoken_domain::content::Content;
use honoken_domain::pass::PassCommand;

use crate::error::ApiError;
use crate::json_body;
use crate::limits;
use crate::manage::change::{self, Change};
use crate::openapi::answers::Changed;
use crate::openapi::parameters::{IfMatch, Urgent};
use crate::openapi::problems::{Conflict, NotFound, PreconditionFailed, Unacceptable, UnsupportedMediaType};
use crate::openapi::{MANAGE, schemas};

/// `PUT /manage/v1/passes/{type}/{serial}/content`
///
/// # Errors
/// 400, 401, 404, 409 when the pass is retired, 412, 413, 415, 422 with pointers, 503.
#[utoipa::path(
    put, path = "/manage/v1/passes/{type}/{serial}/content", tag = MANAGE,
    operation_id = "replaceContent", summary = "Replace the content of a pass",
    params(IfMatch, Urgent), request_body = schemas::Content,
    responses(Changed, NotFound, Conflict, PreconditionFailed, UnsupportedMediaType, Unacceptable),
)]
pub async fn handler(change: Change, request: Request) -> Result<Response, ApiError> {
    let pass_type = change.own_pass_type().await?;
    let body = json_body::read_json(request, limits::JSON_BYTES).await?;
    let content =
        Content::from_value(body).map_err(|fault| ApiError::fault("wrong_type", "", fault.to_string()))?;
    let committed = change.dispatch(pass_type, PassCommand::ReplaceContent { content }).await?;
    let warnings = change::warnings(&committed);
    Ok(change.answer(&committed, warnings).await?.into_response())
}
