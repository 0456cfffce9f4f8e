//! Add to a number of the content of a pass.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use honoken_domain::ids::Digest;
use honoken_domain::pass::{Increment, PassCommand, PassError, PointerBuf};
use honoken_event_store::DispatchError;
use serde_json::{Number, Value};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extractors::json_body::{self, Fields};
use crate::limits;
use crate::manage::change::{self, Change};
use crate::manage::{idempotency_key, patch_content};
use crate::openapi::answers::Changed;
use crate::openapi::examples;
use crate::openapi::parameters::{IdempotencyKey, IfMatch, Urgent};
use crate::openapi::problems::{Conflict, NotFound, PreconditionFailed, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::MANAGE;

/// The amount to add, and its place.
#[derive(Debug, ToSchema)]
#[schema(as = Increment, example = examples::increment)]
struct Order {
    /// The pointer to the number in the content (RFC 6901).
    #[schema(value_type = String)]
    pointer: PointerBuf,
    /// The amount to add; a negative one is subtracted.
    #[schema(value_type = f64)]
    by: Number,
}

/// `POST /manage/v1/passes/{type}/{serial}/increment`
///
/// With an `Idempotency-Key` the increment is carried out once, however often it is sent: the answer to a retry names the same value.
///
/// # Errors
/// 400, 401, 404, 409 when the key belongs to another increment or the pass is retired, 412, 413, 415, 422 with pointers, 503.
#[utoipa::path(
    post, path = "/manage/v1/passes/{type}/{serial}/increment", tag = MANAGE,
    operation_id = "incrementNumber", summary = "Add to a number of the content of a pass",
    params(IdempotencyKey, IfMatch, Urgent), request_body = Order,
    responses(Changed, NotFound, Conflict, PreconditionFailed, UnsupportedMediaType, Unacceptable),
)]
pub async fn handler(change: Change, request: Request) -> Result<Response, ApiError> {
    let pass_type = change.own_pass_type().await?;
    let key = idempotency_key::of(request.headers())?.map(|key| Digest::of(key.as_bytes()));
    let body = json_body::read_json(request, limits::JSON_BYTES).await?;
    let Order { pointer, by } = read(body)?;
    let increment = Increment { pointer, by, key };
    let command = PassCommand::Increment(increment.clone());
    let committed = change.try_dispatch(pass_type, command).await.map_err(refusal)?;
    let value = committed.aggregate.value_after(&increment);
    let warnings = change::warnings(&committed);
    Ok(change.answer(&committed, warnings).await?.with_value(value).into_response())
}

fn read(body: Value) -> Result<Order, ApiError> {
    let mut fields = Fields::of(body)?;
    let pointer = fields.required("pointer");
    let pointer = fields.parse("pointer", pointer, |text| {
        PointerBuf::parse(text).map_err(|_| format!("`pointer` {}", patch_content::POINTER))
    });
    let by = match fields.required("by") {
        Some(Value::Number(by)) => Some(by),
        Some(_) => {
            fields.fault("wrong_type", "/by", "`by` must be a number, without quotes");
            None
        }
        None => None,
    };
    fields.finish()?;
    match (pointer, by) {
        (Some(pointer), Some(by)) => Ok(Order { pointer, by }),
        // Each missing field was recorded as a fault, and `finish` has refused the body.
        _ => Err(ApiError::Internal("a faulty increment was accepted".into())),
    }
}

/// When the content may not have the sum, the fault is in the number that was added.
fn refusal(fault: DispatchError<PassError>) -> ApiError {
    match fault {
        DispatchError::Refused(PassError::UnacceptableContent { faults }) => {
            let reasons: Vec<String> =
                faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect();
            let detail = format!("the content would not be acceptable ({})", reasons.join("; "));
            ApiError::fault("unacceptable_sum", "/by", detail)
        }
        fault => fault.into(),
    }
}
