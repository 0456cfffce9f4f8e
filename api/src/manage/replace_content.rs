//! Replace the content of a pass.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use honoken_domain::content::Content;
use honoken_domain::ids::Digest;
use honoken_domain::pass::{KeyedContent, PassCommand};
use honoken_projections::pass_types::PassTypeRow;
use serde_json::Value;

use crate::error::ApiError;
use crate::extractors::json_body;
use crate::limits;
use crate::manage::change::{self, Change, ChangeAnswer};
use crate::openapi::answers::Changed;
use crate::openapi::parameters::{IfMatch, Urgent};
use crate::openapi::problems::{Conflict, NotFound, PreconditionFailed, Unacceptable, UnsupportedMediaType};
use crate::openapi::schemas;
use crate::openapi::tags::MANAGE;

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
    Ok(replace(&change, pass_type, body, None).await?.into_response())
}

/// Replaces the content of a pass, over HTTP or over NATS. An order with a key is carried out once; a repeated one gets the same answer as
/// the first, apart from later changes to the pass.
///
/// # Errors
/// 409, 412, 422 with pointers into the content, 503.
pub async fn replace(
    change: &Change,
    pass_type: PassTypeRow,
    content: Value,
    key: Option<Digest>,
) -> Result<ChangeAnswer, ApiError> {
    let content =
        Content::from_value(content).map_err(|fault| ApiError::fault("wrong_type", "", fault.to_string()))?;
    let command = match key.clone() {
        Some(key) => PassCommand::ReplaceContentOnce(KeyedContent { content, key }),
        None => PassCommand::ReplaceContent { content },
    };
    let committed = change.dispatch(pass_type, command).await?;
    let warnings = change::warnings(&committed);
    let answer = change.answer(&committed, warnings).await?;
    let carried_out_before = key.is_some_and(|key| committed.aggregate.has_carried_out(&key));
    Ok(if carried_out_before { answer.with_change() } else { answer })
}
