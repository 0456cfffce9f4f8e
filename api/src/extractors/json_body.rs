//! Request bodies: bounded, read strictly, and parsed field by field so that every fault can be named by its pointer.

use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use futures::FutureExt;
use honoken_domain::ids::InvalidId;
use honoken_domain::json;
use honoken_telemetry::request::{Spent, timed};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde_json::{Map, Value};

use crate::error::{ApiError, Fault};
use crate::layers::at_hand;
use crate::limits;
use crate::server::connections::ConnectionStatus;

/// Reads a body of at most `limit` bytes. Its memory counts against the budget until the request is answered.
///
/// # Errors
/// 413 when it is larger, 408 when it does not arrive, 400 when the connection breaks, 503 when there is no memory for it.
pub async fn read(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let admission = at_hand::admission();
    let connection = request.extensions().get::<Arc<ConnectionStatus>>().cloned();
    let body = request.into_body();
    if body.size_hint().lower() > limit as u64 {
        return Err(ApiError::TooLarge { limit });
    }
    let mut arriving = pin!(collect(body, limit));
    if let Some(arrived) = arriving.as_mut().now_or_never() {
        return arrived;
    }
    // Releases the permit, so that other requests need not wait for a slow caller.
    admission.release();
    let in_time = tokio::time::timeout(limits::BODY, arriving);
    let body = timed(Spent::Body, unless_closing(connection, in_time))
        .await?
        .map_err(|_| ApiError::BodyTimeout)??;
    admission.acquire().await?;
    Ok(body)
}

/// Waits for the other side, and gives up when the connection is to make room for others.
async fn unless_closing<T>(
    connection: Option<Arc<ConnectionStatus>>,
    wait: impl Future<Output = T>,
) -> Result<T, ApiError> {
    let Some(connection) = connection else { return Ok(wait.await) };
    let _waits = connection.clone().wait_for_body();
    tokio::select! {
        waited = wait => Ok(waited),
        () = connection.close_requested() => Err(ApiError::Overloaded),
    }
}

/// Collects a body in memory that is reserved before any of it is read, so that a body that waits for its reservation takes none. Pieces
/// are copied, since each keeps alive the buffer that it was read into, however small it is.
async fn collect(mut body: Body, limit: usize) -> Result<Bytes, ApiError> {
    // A body without a length counts as the longest.
    let whole = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(limit);
    if whole > limits::SMALL_BODY_BYTES {
        at_hand::reserve_body(whole).await?;
    }
    let mut arrived = Vec::with_capacity(whole);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::unreadable("body", "", "the body broke off"))?;
        // Trailer fields are ignored.
        let Ok(piece) = frame.into_data() else { continue };
        if arrived.len() + piece.len() > limit {
            return Err(ApiError::TooLarge { limit });
        }
        arrived.extend_from_slice(&piece);
    }
    arrived.shrink_to_fit();
    Ok(arrived.into())
}

/// Reads a JSON body.
///
/// # Errors
/// 415 when the content type is another one, 413, and 400 when it is not JSON as RFC 8785 allows it.
pub async fn read_json(request: Request, limit: usize) -> Result<Value, ApiError> {
    if !may_be_json(request.headers()) {
        return Err(ApiError::UnsupportedMediaType);
    }
    parse(&read(request, limit).await?)
}

/// Reads the bytes of a file, whatever content type they are said to have.
///
/// # Errors
/// Those of [`read`], and 415 for a form: the file would have to be taken out of it.
pub async fn read_file(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    if essence(request.headers()).is_some_and(|essence| essence.starts_with("multipart/")) {
        return Err(ApiError::FormInsteadOfFile);
    }
    read(request, limit).await
}

/// Reads a JSON body that may be left out.
///
/// # Errors
/// Those of [`read_json`], for a body that is there.
pub async fn read_json_or_nothing(request: Request, limit: usize) -> Result<Option<Value>, ApiError> {
    if request.body().is_end_stream() {
        return Ok(None);
    }
    read_json(request, limit).await.map(Some)
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

/// The content type of the body, without parameters and in small letters; empty if it is not legible.
pub fn essence(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or_default();
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// A body without a content type counts as JSON: no other kind is accepted here.
fn may_be_json(headers: &HeaderMap) -> bool {
    essence(headers).is_none_or(|essence| essence == "application/json")
}

/// The fields of a JSON object, taken one by one; the faults of all of them are collected.
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

    /// Records a fault.
    pub fn fault(&mut self, code: &str, pointer: impl Into<String>, detail: impl Into<String>) {
        self.note(Fault::new(code, pointer, detail));
    }

    /// Records a fault that was found elsewhere.
    pub fn note(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Takes an optional field; `null` counts as absent.
    pub fn optional(&mut self, name: &str) -> Option<Value> {
        self.object.remove(name).filter(|value| !value.is_null())
    }

    /// Takes an optional field for which `null` means something: the outer `None` is an absent one.
    pub fn nullable(&mut self, name: &str) -> Option<Option<Value>> {
        self.object.remove(name).map(|value| Some(value).filter(|value| !value.is_null()))
    }

    /// Takes a required field.
    pub fn required(&mut self, name: &str) -> Option<Value> {
        let value = self.optional(name);
        if value.is_none() {
            self.fault("required", format!("/{name}"), format!("`{name}` is missing"));
        }
        value
    }

    /// Parses a field's text, and records a fault where it fails.
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

    /// Parses a name of something, and records a fault where it fails: under the name of this field, which may be another than the usual one.
    pub fn parse_id<T>(
        &mut self,
        name: &str,
        value: Option<Value>,
        parse: impl FnOnce(String) -> Result<T, InvalidId>,
    ) -> Option<T> {
        self.parse(name, value, |text| parse(text).map_err(|fault| format!("{name} {}", fault.rule)))
    }

    /// Takes an optional boolean.
    pub fn optional_bool(&mut self, name: &str) -> Option<bool> {
        let Value::Bool(value) = self.optional(name)? else {
            self.fault("wrong_type", format!("/{name}"), format!("`{name}` must be true or false"));
            return None;
        };
        Some(value)
    }

    /// Takes an optional whole number within bounds.
    pub fn optional_integer(&mut self, name: &str, bounds: RangeInclusive<i64>) -> Option<i64> {
        let value = self.optional(name)?;
        let number = value.as_i64().filter(|number| bounds.contains(number));
        if number.is_none() {
            let (first, last) = bounds.into_inner();
            let detail = format!("`{name}` must be a whole number from {first} to {last}");
            self.fault("invalid", format!("/{name}"), detail);
        }
        number
    }

    /// Takes an optional object, and reads its fields; the faults in it are named by their places in the whole body.
    pub fn optional_object<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let Value::Object(object) = self.optional(name)? else {
            self.fault("wrong_type", format!("/{name}"), format!("`{name}` must be an object"));
            return None;
        };
        let mut inner = Self { object, faults: Vec::new() };
        let value = read(&mut inner);
        let Err(ApiError::Unacceptable { errors }) = inner.finish() else { return Some(value) };
        self.faults.extend(
            errors.into_iter().map(|fault| Fault { pointer: format!("/{name}{}", fault.pointer), ..fault }),
        );
        Some(value)
    }

    /// Ends the reading: any field that is left is unknown.
    ///
    /// # Errors
    /// 422 with every recorded fault.
    pub fn finish(mut self) -> Result<(), ApiError> {
        let unknown: Vec<String> = self.object.keys().cloned().collect();
        for name in unknown {
            self.fault(
                "unknown_field",
                format!("/{}", escape(&name)),
                "this field is unknown; is it misspelled?",
            );
        }
        if self.faults.is_empty() { Ok(()) } else { Err(ApiError::Unacceptable { errors: self.faults }) }
    }
}

/// A name as a segment of a JSON pointer (RFC 6901 section 3).
pub fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}
