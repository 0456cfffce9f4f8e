//! Paths of routes that are named in more than one place, and the rewriting of a path before it is matched.

use axum::extract::Request;
use http::Uri;

use crate::extractors::path;

/// A phone registers for a pass and unregisters here.
pub const REGISTRATION: &str = "/v1/devices/{device}/registrations/{type}/{serial}";

/// A phone lists changed passes here.
pub const LIST: &str = "/v1/devices/{device}/registrations/{type}";

/// A phone downloads a pass here.
pub const PASS: &str = "/v1/passes/{type}/{serial}";

/// The URI of a request of an operator as it was sent: the path is signed so.
#[derive(Debug, Clone)]
pub struct SentUri(pub Uri);

/// Rewrites a device request under any prefix to `/v1/…`, and the file of an image in the folder of a language to one segment. It runs before the
/// router, which matches the path as it is.
pub fn strip_prefix(mut request: Request) -> Request {
    if ["/admin/", "/api/admin/"].iter().any(|root| request.uri().path().starts_with(root)) {
        let sent = SentUri(request.uri().clone());
        request.extensions_mut().insert(sent);
    }
    let uri = path::without_prefix(request.uri()).or_else(|| path::with_file_in_one_segment(request.uri()));
    if let Some(uri) = uri {
        *request.uri_mut() = uri;
    }
    request
}
