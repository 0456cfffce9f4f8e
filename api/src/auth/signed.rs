//! Whether the request of an operator is signed, where that is demanded: first its head, once its sender is known its body and its nonce.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::Request;
use honoken_domain::ids::UnixSeconds;
use honoken_office::signed_nonces::NonceUse;
use honoken_pkpass::image::MAX_IMAGE_BYTES;
use honoken_service::ids;
use honoken_telemetry::metrics::Credentials;

use crate::auth::signing::{GOOD_SECONDS, Head, SignatureFault, Verified};
use crate::error::ApiError;
use crate::extractors::json_body;
use crate::routes::SentUri;
use crate::state::App;

/// The largest body of an operator: an image.
const BODY_BYTES: usize = MAX_IMAGE_BYTES;

/// Seconds after which a signer may try again when too many nonces are kept.
const NONCES_END: u64 = 60;

/// Verifies the signature of a head; `None` where none is demanded.
///
/// # Errors
/// The first fault.
pub(super) fn verify_head(app: &App, request: &Request) -> Result<Option<Verified>, SignatureFault> {
    let Some(key) = &app.options.signing_key else { return Ok(None) };
    let uri = request.extensions().get().map_or(request.uri(), |SentUri(uri)| uri);
    let head =
        Head { method: request.method(), path: uri.path(), query: uri.query(), headers: request.headers() };
    key.verify(&head, app.clock.unix_seconds().0).map(Some)
}

/// Reads the body, compares it with its digest, and uses the nonce. The request has the body in memory afterwards.
///
/// # Errors
/// 401 for another body or a used nonce, 429 when too many requests were signed lately, and those of reading a body.
pub(super) async fn verify_rest(
    app: &App,
    client: Option<IpAddr>,
    verified: &Verified,
    request: Request,
) -> Result<Request, ApiError> {
    let (parts, body) = request.into_parts();
    let body = json_body::read(Request::from_parts(parts.clone(), body), BODY_BYTES).await?;
    if let Err(fault) = verified.check_body(&body) {
        app.refused.note(Credentials::Signature, client, None);
        app.rates.record_wrong_body(client).await;
        return Err(ApiError::SignatureRequired(fault));
    }
    let until = UnixSeconds(verified.created.saturating_add(GOOD_SECONDS));
    let (id, now) = (ids::entry_id(&*app.ids, app.clock.unix_ms()), app.clock.unix_seconds());
    match app.office.use_nonce(&verified.nonce, &id, until, now).await? {
        NonceUse::First => Ok(Request::from_parts(parts, Body::from(body))),
        NonceUse::Used => Err(ApiError::SignatureRequired(SignatureFault::Used)),
        NonceUse::TooMany => Err(ApiError::TooManyRequests { retry_after: NONCES_END }),
    }
}
