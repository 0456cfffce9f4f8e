//! `Idempotency-Key`: sent by a caller with a request that must not be carried out twice, and again with a retry.

use http::HeaderMap;

use crate::error::ApiError;

/// The key of a request, if it has one.
///
/// # Errors
/// 400 when it is empty, longer than 256 characters, not visible ASCII, or given more than once.
pub fn of(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=256).contains(&key.len()) && keys.next().is_none());
    key.map(Some).ok_or_else(|| {
        let detail = "`Idempotency-Key` must occur once, with 1 to 256 visible ASCII characters";
        ApiError::unreadable("invalid", "", detail)
    })
}
