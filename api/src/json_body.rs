//! Bodies: bounded, read strictly, and taken apart field by field so that every fault can be named by its pointer.

use std::pin::pin;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use futures::FutureExt;
use honoken_domain::json;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use serde_json::{Map, Value};

use crate::error::{ApiError, Fault};
use crate::limits;
use crate::request_context::{self, Spent, timed};

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// 413 when it is larger, 408 when it does not come, 400 when the connection breaks off.
pub async fn read(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let waits_for_go_ahead = request.headers().contains_key(header::EXPECT);
    let admission = request_context::admission();
    let mut body = request.into_body();
    if body.size_hint().lower() > limit as u64 {
        // A caller that asked before sending has sent nothing yet, and need not.
        if !waits_for_go_ahead {
            admission.steps_aside();
            drain(&mut body).await;
        }
        return Err(ApiError::TooLarge { limit });
    }
    let collected = {
        let mut collecting =
            pin!(tokio::time::timeout(limits::BODY, Limited::new(&mut body, limit).collect()));
        if let Some(collected) = collecting.as_mut().now_or_never() {
            collected
        } else {
            // Others need not wait for a caller that takes its time.
            admission.steps_aside();
            let collected = timed(Spent::Body, collecting).await;
            admission.steps_in().await?;
            collected
        }
    };
    match collected.map_err(|_| ApiError::BodyTimeout)? {
        Ok(body) => Ok(body.to_bytes()),
        Err(fault) if fault.is::<LengthLimitError>() => {
            drain(&mut body).await;
            Err(ApiError::TooLarge { limit })
        }
        Err(_) => Err(ApiError::unreadable("body", "", "the body broke off")),
    }
}

/// Reads on a little and throws it away: a connection that is closed while the caller still sends takes the answer with it.
async fn drain(body: &mut Body) {
    let mut left = limits::DRAIN_BYTES;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(limits::DRAIN, body.frame()).await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// Reads a JSON body.
///
/// # Errors
/// 415 when the content type says that it is something else, 413, and 400 when it is not JSON as RFC 8785 allows it.
pub async fn read_json(request: Request, limit: usize) -> Result<Value, ApiError> {
    if !may_be_json(request.headers()) {
        return Err(ApiError::UnsupportedMediaType);
    }
    parse(&read(request, limit).await?)
}

/// Parses JSON.
///
/// # Errors
/// 400 with the place and the reason.
pub fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    json::parse(bytes).map_err(|fault| {
        ApiError::unreadable("json", "", format!("the body is not acceptable JSON: {fault}"))
    })
}

/// No content type at all is taken as JSON: there is nothing else a body could be here.
fn may_be_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let essence =
        value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
}

/// The fields of a JSON object, taken one by one; what is wrong with any of them is collected.
#[derive(Debug)]
pub struct Fields {
    object: Map<String, Value>,
    faults: Vec<Fault>,
}

impl Fields {
    /// # Errors
    /// 422 when the value is not an object.
    pub fn of(value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(object) => Ok(Self { object, faults: Vec::new() }),
            _ => Err(ApiError::fault("wrong_type", "", "the body must be a JSON object")),
        }
    }

    /// Notes a fault.
    pub fn fault(&mut self, code: &str, pointer: impl Into<String>, detail: impl Into<String>) {
        self.note(Fault::new(code, pointer, detail));
    }

    /// Notes a fault that was found elsewhere.
    pub fn note(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Takes an optional field; `null` counts as absent.
    pub fn optional(&mut self, name: &str) -> Option<Value> {
        self.object.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a field that must be there.
    pub fn required(&mut self, name: &str) -> Option<Value> {
        let value = self.optional(name);
        if value.is_none() {
            self.fault("required", format!("/{name}"), format!("`{name}` is missing"));
        }
        value
    }

    /// Turns a field's text into a name, noting what is wrong with it.
    pub fn parse<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        value: Option<Value>,
        parse: impl FnOnce(String) -> Result<T, E>,
    ) -> Option<T> {
        let Value::String(text) = value? else {
            self.fault("wrong_type", format!("/{name}"), format!("`{name}` must be a string"));
            return None;
        };
        match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(fault) => {
                self.fault("invalid", format!("/{name}"), fault.to_string());
                None
            }
        }
    }

    /// Takes an optional boolean.
    pub fn optional_bool(&mut self, name: &str) -> Option<bool> {
        let Value::Bool(value) = self.optional(name)? else {
            self.fault("wrong_type", format!("/{name}"), format!("`{name}` must be true or false"));
            return None;
        };
        Some(value)
    }

    /// Ends the reading: what is left over is unknown.
    ///
    /// # Errors
    /// 422 with every fault that was noted.
    pub fn finish(mut self) -> Result<(), ApiError> {
        let unknown: Vec<String> = self.object.keys().cloned().collect();
        for name in unknown {
            self.fault(
                "unknown_field",
                format!("/{}", escape(&name)),
                "this field is not known here; is it misspelled?",
            );
        }
        if self.faults.is_empty() { Ok(()) } else { Err(ApiError::Unacceptable { errors: self.faults }) }
    }
}

/// A name as a segment of a JSON pointer (RFC 6901 section 3).
pub fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}
