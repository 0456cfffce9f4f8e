//! Rules of HTTP/1.1 about the head of a request that hyper does not check. A proxy before this process may understand a request that
//! breaks one differently.
//!
//! <https://www.rfc-editor.org/rfc/rfc9112>

use http::{HeaderMap, HeaderValue, Request, Version, header};

use crate::error::ApiError;

/// Why a request is refused before it reaches a handler. The connection is closed after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// None, two or an unreadable `Host` (RFC 9112 section 3.2).
    Host,
    /// Another coding than `chunked`, or that one more than once (section 6.1).
    TransferEncoding,
    /// Its head is large, and there is no memory for another large one.
    NoRoom,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Host => Self::unreadable(
                "host",
                "",
                "a request has one header `Host`, with a host and perhaps a port",
            ),
            Refusal::TransferEncoding => Self::unreadable(
                "transfer_encoding",
                "",
                "the only transfer coding that is read here is `chunked`, once",
            ),
            Refusal::NoRoom => Self::Overloaded,
        }
    }
}

/// The rule that the head of a request breaks, if any.
pub fn fault<B>(request: &Request<B>) -> Option<Refusal> {
    if !has_its_host(request.version(), request.headers()) {
        return Some(Refusal::Host);
    }
    (!is_plain_or_chunked(request.headers())).then_some(Refusal::TransferEncoding)
}

fn has_its_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.as_bytes().iter().all(|byte| may_be_in_host(*byte)),
        (None, None) => version < Version::HTTP_11,
        _ => false,
    }
}

/// Characters of `uri-host [ ":" port ]` (RFC 3986 section 3.2.2).
fn may_be_in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(&byte)
}

fn is_plain_or_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    codings.next().is_none_or(is_chunked) && codings.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(version: Version, headers: &[(&str, &str)]) -> Option<Refusal> {
        let mut request = Request::builder().version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        fault(&request.body(()).unwrap())
    }

    #[test]
    fn there_is_one_host() {
        let one_one = |headers: &[(&str, &str)]| fault_of(Version::HTTP_11, headers);
        for host in ["example.com", "example.com:8080", "[::1]:80", "127.0.0.1", "x_y", ""] {
            assert_eq!(one_one(&[("host", host)]), None, "{host}");
        }
        for host in ["a/b", "user@example.com", "a b", "a?b", "é"] {
            assert_eq!(one_one(&[("host", host)]), Some(Refusal::Host), "{host}");
        }
        assert_eq!(one_one(&[]), Some(Refusal::Host));
        assert_eq!(one_one(&[("host", "a"), ("host", "a")]), Some(Refusal::Host));
        assert_eq!(fault_of(Version::HTTP_10, &[]), None);
        assert_eq!(fault_of(Version::HTTP_10, &[("host", "a"), ("host", "b")]), Some(Refusal::Host));
    }

    #[test]
    fn a_body_is_chunked_once_or_not_at_all() {
        let with = |codings: &[&'static str]| {
            let codings = codings.iter().map(|coding| ("transfer-encoding", *coding));
            fault_of(Version::HTTP_11, &[("host", "h")].into_iter().chain(codings).collect::<Vec<_>>())
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&["chunked"]), None);
        assert_eq!(with(&["Chunked"]), None);
        for codings in [
            &["chunked, chunked"][..],
            &["chunked", "chunked"],
            &["gzip, chunked"],
            &["gzip", "chunked"],
            &["identity"],
            &["chunked,"],
        ] {
            assert_eq!(with(codings), Some(Refusal::TransferEncoding), "{codings:?}");
        }
    }
}
