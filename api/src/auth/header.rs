//! The header `Authorization`.

use http::{HeaderMap, header};

/// The credentials after one of these schemes, which are compared without regard to case (RFC 9110 section 11.1).
pub(super) fn credentials<'a>(headers: &'a HeaderMap, schemes: &[&str]) -> Option<&'a str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme)).then(|| credentials.trim_matches(' '))
}
