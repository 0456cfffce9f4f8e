//! Header values that several answers share.

use http::HeaderValue;

/// An entity tag (RFC 9110 section 8.8.3) of hex digits.
pub fn etag(hex: &str) -> HeaderValue {
    HeaderValue::try_from(["\"", hex, "\""].concat()).expect("hex digits in quotes are a header value")
}
