//! Change parts of the content of a pass.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use honoken_domain::pass::{ContentPatch, MAX_OPERATIONS, PassCommand, PatchOperation, PointerBuf};
use http::{HeaderMap, header};
use serde_json::Value;

use crate::error::{ApiError, Fault};
use crate::extractors::json_body;
use crate::limits;
use crate::manage::change::{self, Change};
use crate::openapi::answers::Changed;
use crate::openapi::parameters::{IfMatch, Urgent};
use crate::openapi::problems::{Conflict, NotFound, PreconditionFailed, Unacceptable, UnsupportedPatch};
use crate::openapi::schemas;
use crate::openapi::tags::MANAGE;

/// `PATCH /manage/v1/passes/{type}/{serial}/content`
///
/// A JSON Merge Patch (RFC 7396) as `application/merge-patch+json` or `application/json`, or a JSON Patch (RFC 6902) as
/// `application/json-patch+json`.
///
/// # Errors
/// 400, 401, 404, 409 when a `test` does not hold or the pass is retired, 412, 413, 415 with `Accept-Patch`, 422 with pointers, 503.
#[utoipa::path(
    patch, path = "/manage/v1/passes/{type}/{serial}/content", tag = MANAGE,
    operation_id = "patchContent", summary = "Change parts of the content of a pass",
    params(IfMatch, Urgent),
    request_body(content(
        (schemas::MergePatch = "application/merge-patch+json"),
        (schemas::JsonPatch = "application/json-patch+json"),
        (schemas::MergePatch = "application/json"),
    )),
    responses(Changed, NotFound, Conflict, PreconditionFailed, UnsupportedPatch, Unacceptable),
)]
pub async fn handler(change: Change, request: Request) -> Result<Response, ApiError> {
    let pass_type = change.own_pass_type().await?;
    let kind = Kind::of(request.headers())?;
    let body = json_body::parse(&json_body::read(request, limits::JSON_BYTES).await?)?;
    let patch = match kind {
        Kind::Merge => merge_patch(body)?,
        Kind::Operations => operations(body)?,
    };
    let committed = change.dispatch(pass_type, PassCommand::PatchContent { patch }).await?;
    let warnings = change::warnings(&committed);
    Ok(change.answer(&committed, warnings).await?.into_response())
}

enum Kind {
    Merge,
    Operations,
}

impl Kind {
    /// Plain JSON counts as a merge patch: a caller that sends an object without naming a kind means that.
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Self::Merge) };
        let value = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
        match value.trim().to_ascii_lowercase().as_str() {
            "application/merge-patch+json" | "application/json" => Ok(Self::Merge),
            "application/json-patch+json" => Ok(Self::Operations),
            _ => Err(ApiError::UnsupportedPatch),
        }
    }
}

fn merge_patch(body: Value) -> Result<ContentPatch, ApiError> {
    if body.is_object() {
        return Ok(ContentPatch::Merge(body));
    }
    let detail = "a merge patch must be a JSON object; send the operations of a JSON Patch as `application/json-patch+json`";
    Err(ApiError::fault("wrong_type", "", detail))
}

fn operations(body: Value) -> Result<ContentPatch, ApiError> {
    let Value::Array(items) = body else {
        return Err(ApiError::fault("wrong_type", "", "a JSON Patch must be an array of operations"));
    };
    if items.len() > MAX_OPERATIONS {
        let detail = format!("a JSON Patch may have {MAX_OPERATIONS} operations at most");
        return Err(ApiError::fault("too_many_operations", "", detail));
    }
    let mut faults = Vec::new();
    let read = |(at, item)| operation(at, item, &mut faults);
    let operations = items.into_iter().enumerate().filter_map(read).collect();
    if faults.is_empty() {
        Ok(ContentPatch::Operations(operations))
    } else {
        Err(ApiError::Unacceptable { errors: faults })
    }
}

/// Reads one operation; its faults are recorded under its number.
fn operation(at: usize, item: Value, faults: &mut Vec<Fault>) -> Option<PatchOperation> {
    let before = faults.len();
    let mut fault =
        |member: &str, code, detail: String| faults.push(Fault::new(code, format!("/{at}{member}"), detail));
    let Value::Object(members) = &item else {
        fault("", "wrong_type", "an operation must be a JSON object".to_owned());
        return None;
    };
    let Some(name) = members.get("op").and_then(Value::as_str) else {
        fault("/op", "required", "`op` must be add, remove, replace, move, copy or test".to_owned());
        return None;
    };
    let (needs_value, pointers): (bool, &[&str]) = match name {
        "add" | "replace" | "test" => (true, &["path"]),
        "remove" => (false, &["path"]),
        "move" | "copy" => (false, &["from", "path"]),
        _ => {
            let detail = "`op` must be add, remove, replace, move, copy or test".to_owned();
            fault("/op", "invalid", detail);
            return None;
        }
    };
    for pointer in pointers {
        match members.get(*pointer).map(Value::as_str) {
            None => fault(&format!("/{pointer}"), "required", format!("`{name}` needs `{pointer}`")),
            Some(Some(text)) if PointerBuf::parse(text).is_ok() => {}
            Some(_) => fault(&format!("/{pointer}"), "invalid", POINTER.to_owned()),
        }
    }
    if needs_value && !members.contains_key("value") {
        fault("/value", "required", format!("`{name}` needs `value`"));
    }
    if faults.len() > before {
        return None;
    }
    match serde_json::from_value(item) {
        Ok(operation) => Some(operation),
        Err(reason) => {
            faults.push(Fault::new("invalid", format!("/{at}"), reason.to_string()));
            None
        }
    }
}

/// The syntax of a JSON pointer, for messages.
pub const POINTER: &str = "must be a JSON pointer (RFC 6901): empty, or a `/` before each key or index, with `~0` for `~` and `~1` for `/`";
