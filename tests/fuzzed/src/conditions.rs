//! `If-None-Match` and `If-Modified-Since`, as phones and proxies send them.

use honoken_conditional::{Validators, http_date};
use http::{HeaderMap, HeaderValue, header};

const STATE: Validators<'_> = Validators {
    etag: "6f1ed002ab5595859014ebf0951522d96f1ed002ab5595859014ebf0951522d9",
    updated_at: 1_700_000_000,
};

/// Reads two headers, one a line.
///
/// # Panics
/// When a caller who names the state is not known to have it, or one who has another date is.
pub fn conditions(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let mut value = || lines.next().and_then(|line| HeaderValue::from_bytes(line).ok());
    let (tags, date) = (value(), value());
    let mut headers = HeaderMap::new();
    if let Some(date) = &date {
        headers.insert(header::IF_MODIFIED_SINCE, date.clone());
        let second = date.to_str().ok().and_then(http_date::read);
        assert_eq!(
            STATE.are_known_to(&headers),
            second == Some(STATE.updated_at),
            "the very date counts: {date:?}"
        );
        if let Some(second) = second {
            assert_eq!(
                http_date::read(&http_date::write(second)),
                Some(second),
                "a date is written as it is read"
            );
        }
    }
    if let Some(tags) = tags {
        headers.insert(header::IF_NONE_MATCH, tags.clone());
        let by_tag = STATE.are_known_to(&headers);
        headers.remove(header::IF_MODIFIED_SINCE);
        assert_eq!(STATE.are_known_to(&headers), by_tag, "a date counts only without a tag");
        headers.append(
            header::IF_NONE_MATCH,
            HeaderValue::from_str(&format!("\"{}\"", STATE.etag)).expect("ASCII"),
        );
        assert!(STATE.are_known_to(&headers), "whatever else is in the list, the tag is: {tags:?}");
    }
}
