//! Replace the content of a pass.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use honoken_domain::content::Content;
use honoken_domain::pass::{PassCommand, TicketStyle};
use honoken_projections::wallet_pass_type::PassKind;

use crate::error::ApiError;
use crate::json_body;
use crate::limits;
use crate::manage::change::{self, Change};
use crate::openapi::answers::Changed;
use crate::openapi::parameters::IfMatch;
use crate::openapi::problems::{NotFound, PreconditionFailed, Unacceptable, UnsupportedMediaType};
use crate::openapi::{MANAGE, schemas};

/// `PUT /manage/v1/passes/{type}/{serial}/content`
///
/// # Errors
/// 400, 401, 404, 412, 413, 415, 422 with pointers, 503.
#[utoipa::path(
    put, path = "/manage/v1/passes/{type}/{serial}/content", tag = MANAGE,
    operation_id = "replaceContent", summary = "Replace the content of a pass",
    params(IfMatch), request_body = schemas::Content,
    responses(Changed, NotFound, PreconditionFailed, UnsupportedMediaType, Unacceptable),
)]
pub async fn handler(change: Change, request: Request) -> Result<Response, ApiError> {
    let (pass_type, kind) = change.own_pass_type().await?;
    let body = json_body::read_json(request, limits::JSON_BYTES).await?;
    let content =
        Content::from_value(body).map_err(|fault| ApiError::fault("wrong_type", "", fault.to_string()))?;
    // A pass that readers do not see yet was issued a moment ago, or does not exist, which its aggregate will say. If it is a poster, the
    // warnings that only posters have are missing from this one answer.
    let kind = kind.unwrap_or(PassKind { ticket_style: TicketStyle::Event, poster: false });
    let (errors, warnings) = change::lint(kind, &content, "");
    if !errors.is_empty() {
        return Err(ApiError::Unacceptable { errors });
    }
    let committed = change.dispatch(pass_type, PassCommand::ReplaceContent { content }).await?;
    Ok(change.answer(&committed, warnings).await?.into_response())
}
