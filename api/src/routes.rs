//! Paths of routes that are named in more than one place, and what happens to a path before it is matched.

use axum::extract::Request;

use crate::extractors::path;

/// Where a phone registers for a pass and unregisters.
pub const REGISTRATION: &str = "/v1/devices/{device}/registrations/{type}/{serial}";

/// Where a phone asks what has changed.
pub const LIST: &str = "/v1/devices/{device}/registrations/{type}";

/// Where a phone asks for a pass.
pub const PASS: &str = "/v1/passes/{type}/{serial}";

/// Makes `/v1/…` of a device request under any prefix. It runs before the router, which matches the path as it is.
pub fn strip_prefix(mut request: Request) -> Request {
    if let Some(uri) = path::without_prefix(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}
