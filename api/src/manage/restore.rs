//! Bring the parts of a pass back that it had.

use std::collections::BTreeMap;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use honoken_domain::pass::{FormerParts, PassCommand};
use honoken_event_store::{EventLog, Moment, Position};
use honoken_service::blobs::BlobError;
use serde_json::Value;
use utoipa::ToSchema;

use crate::causes::{blob_error, images_gone};
use crate::error::ApiError;
use crate::extractors::json_body::{self, Fields};
use crate::limits;
use crate::manage::change::{self, Change};
use crate::manage::change_metadata::refusal;
use crate::manage::past;
use crate::openapi::answers::Changed;
use crate::openapi::examples;
use crate::openapi::parameters::{IfMatch, Urgent};
use crate::openapi::problems::{Conflict, NotFound, PreconditionFailed, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::MANAGE;

/// The state to bring back.
#[derive(Debug, ToSchema)]
#[schema(as = Restoration, example = examples::restoration)]
struct Order {
    /// A position of the event log: the state with the event there, or the last one of the pass before it.
    #[schema(value_type = u64, minimum = 1)]
    position: Position,
}

/// `POST /manage/v1/passes/{type}/{serial}/restore`
///
/// The content, the style, the texts in other languages and the images of the pass's own come back, as one change. It stays void, retired or valid
/// as it is, and keeps its form. The rules of today apply, with pointers into the state; what the pass falls back to is that of today as well.
///
/// # Errors
/// 400, 401, 404 also for a position before the pass was issued, 409 when the pass is retired, and `image_gone` for images that the store has no
/// more, 412, 413, 415, 422 for a position above the end of the event log, or a state that today's rules refuse, 503.
#[utoipa::path(
    post, path = "/manage/v1/passes/{type}/{serial}/restore", tag = MANAGE,
    operation_id = "restorePass", summary = "Bring back a pass as it was",
    params(IfMatch, Urgent), request_body = Order,
    responses(Changed, NotFound, Conflict, PreconditionFailed, UnsupportedMediaType, Unacceptable),
)]
pub async fn handler(change: Change, request: Request) -> Result<Response, ApiError> {
    let pass_type = change.own_pass_type().await?;
    let body = json_body::read_json(request, limits::JSON_BYTES).await?;
    let Order { position } = read(body)?;
    if let Some(end) = past::end_before(&change.app, position).await? {
        return Err(ApiError::fault("invalid", "/position", past::beyond(end)));
    }
    let former = parts_at(&change, position).await?;
    check_images(&change, &former).await?;
    let command = PassCommand::Restore(Box::new(former));
    let committed = change.try_dispatch(pass_type, command).await.map_err(refusal)?;
    let mut warnings = change::warnings(&committed);
    warnings.extend(change::image_warnings(&committed, &BTreeMap::new()));
    Ok(change.answer(&committed, warnings).await?.into_response())
}

fn read(body: Value) -> Result<Order, ApiError> {
    let mut fields = Fields::of(body)?;
    let position = match fields.required("position") {
        Some(position) => {
            let number = position.as_u64().filter(|number| *number > 0);
            if number.is_none() {
                fields.fault("invalid", "/position", "`position` must be a whole number from 1 on");
            }
            number
        }
        None => None,
    };
    fields.finish()?;
    match position {
        Some(position) => Ok(Order { position: Position(position) }),
        // A missing field was recorded as a fault, and `finish` has refused the body.
        None => Err(ApiError::Internal("a faulty restoration was accepted".into())),
    }
}

/// The parts that the pass had.
async fn parts_at(change: &Change, position: Position) -> Result<FormerParts, ApiError> {
    let found = change.app.dispatcher.past_of_pass(&change.id, Moment::Position(position)).await?;
    found.and_then(|found| found.aggregate.restorable()).ok_or(ApiError::NO_PASS)
}

/// Refuses images that the pass does not have now and the store has no more.
async fn check_images(change: &Change, former: &FormerParts) -> Result<(), ApiError> {
    if former.assets.is_empty() {
        return Ok(());
    }
    let head = *change.app.log.head().borrow();
    let present = parts_at(change, head).await?;
    let mut gone = Vec::new();
    for (file, digest) in &former.assets {
        if present.assets.get(file) == Some(digest) {
            continue;
        }
        match change.app.blobs.measure(digest).await {
            Ok(_) => {}
            Err(BlobError::Unknown(_) | BlobError::Damaged(_)) => gone.push(file.as_str()),
            Err(fault) => return Err(blob_error(fault, "/position")),
        }
    }
    if gone.is_empty() { Ok(()) } else { Err(images_gone(gone.into_iter())) }
}
