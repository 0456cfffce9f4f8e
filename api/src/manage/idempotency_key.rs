//! `Idempotency-Key`: what a caller sends with a request that must not be carried out twice, and sends again with a retry.

use http::HeaderMap;

use crate::error::ApiError;

/// The key of a request, if it has one.
///
/// # Errors
/// 400 when it is empty, longer than 256 characters, or not visible ASCII.
pub fn of(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=256).contains(&key.len()));
    key.map(Some).ok_or_else(|| {
        ApiError::unreadable("invalid", "", "`Idempotency-Key` must be 1 to 256 visible ASCII characters")
    })
}
