//! Around every request: its id, its log line, its time limit, and what happens when a handler panics.

use std::any::Any;
use std::convert::Infallible;
use std::time::Instant;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Instrument;

use crate::app::AppState;
use crate::error::ApiError;
use crate::{ids, limits};

/// The id of a request: the caller's if it is acceptable, else a fresh one. It goes into the answer, the log and every event.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

impl RequestId {
    /// The id that [`around`] has given to this request.
    pub fn of(parts: &Parts) -> Self {
        parts.extensions.get().cloned().unwrap_or_else(|| Self(String::new()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request its id and its time, and logs one line when it is done. The line names the route, not the path: a path holds
/// serial numbers, and device identifiers, which are secrets.
pub async fn around(State(app): State<AppState>, request: Request, next: Next) -> Response {
    #[expect(
        clippy::disallowed_methods,
        reason = "a duration for the log, not a time that anything depends on"
    )]
    let started = Instant::now();
    let id = sent_id(request.headers()).unwrap_or_else(|| ids::request_id(&*app.ids));
    let method = request.method().clone();
    let (mut parts, body) = request.into_parts();
    let route =
        parts.extensions.get::<MatchedPath>().map_or_else(|| "-".to_owned(), |path| path.as_str().to_owned());
    parts.extensions.insert(RequestId(id.clone()));

    let span = tracing::info_span!("api.request", request.id = id);
    let answered = tokio::time::timeout(limits::REQUEST, next.run(Request::from_parts(parts, body)))
        .instrument(span.clone())
        .await;
    let mut response = answered.unwrap_or_else(|_| ApiError::TimedOut.into_response());

    let status = response.status().as_u16();
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| {
        tracing::info!(http.method = %method, http.route = route, http.status = status, duration_ms, "{method} {route} {status}");
    });
    // `sent_id` lets only visible ASCII through, and a UUID is nothing else.
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

fn sent_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let acceptable = (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    acceptable.then(|| id.to_owned())
}

/// The answer when a handler panics: the process goes on, and the log says where.
#[expect(clippy::needless_pass_by_value, reason = "the signature that the layer asks for")]
pub fn after_panic(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    ApiError::Internal(format!("a handler panicked: {message}").into()).into_response()
}
