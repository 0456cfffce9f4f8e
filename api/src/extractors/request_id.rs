//! The id of a request.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use honoken_telemetry::request;
use http::request::Parts;

/// The id of a request: the caller's if it is acceptable, else a fresh one. It goes into the answer, the log output and every event.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

impl RequestId {
    /// The id of the current request; empty outside a request.
    pub fn at_hand() -> Self {
        Self(request::with_id(|id| id.unwrap_or_default().to_owned()))
    }

    /// An id that a caller sent, if it is acceptable: 1 to 128 visible ASCII characters.
    pub fn sent(id: &str) -> Option<Self> {
        let acceptable = (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        acceptable.then(|| Self(id.to_owned()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::at_hand())
    }
}
