//! Web services as a phone knows them, and the addresses it writes there.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters, so that a `/`, a space or a `%` in a serial number stays inside
/// its path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The pair that a phone keeps one update tag for. Passes of one type with different URLs are different web services.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebService {
    /// `webServiceURL` exactly as `pass.json` has it.
    pub url: String,
    /// The pass type asked about there.
    pub pass_type_identifier: String,
}

impl WebService {
    /// The web service at `url` for one pass type.
    pub fn new(url: impl Into<String>, pass_type_identifier: impl Into<String>) -> Self {
        Self { url: url.into(), pass_type_identifier: pass_type_identifier.into() }
    }
}

/// The treatment of a trailing slash of `webServiceURL`. Devices have been seen to join path components; a careful server takes either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Joining {
    /// `https://host/base/` leads to `/base/v1/...`.
    #[default]
    PathComponents,
    /// `https://host/base/` leads to `/base//v1/...`.
    Verbatim,
}

impl Joining {
    /// The address of `segments` below a web service, each segment percent-encoded on its own.
    pub(crate) fn address(self, web_service_url: &str, segments: &[&str]) -> String {
        let mut address = match self {
            Self::PathComponents => web_service_url.trim_end_matches('/').to_owned(),
            Self::Verbatim => web_service_url.to_owned(),
        };
        for segment in segments {
            address.push('/');
            push_encoded(&mut address, segment);
        }
        address
    }
}

/// Adds the update tag to the address of the list.
pub(crate) fn push_updated_since(address: &mut String, tag: &str) {
    address.push_str("?passesUpdatedSince=");
    push_encoded(address, tag);
}

fn push_encoded(address: &mut String, text: &str) {
    write!(address, "{}", utf8_percent_encode(text, SEGMENT)).expect("writing to a string does not fail");
}

/// As it stands in a path or a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}
