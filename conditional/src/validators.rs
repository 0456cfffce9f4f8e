//! The conditions of a request: whether the caller has the state already that it would be sent.

use http::{HeaderMap, HeaderValue, header};

use crate::http_date;

/// What tells one state of a pass from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validators<'a> {
    /// The entity tag, without its quotes.
    pub etag: &'a str,
    /// When the state began, in Unix seconds.
    pub updated_at: i64,
}

impl Validators<'_> {
    /// Whether a request says that its sender has this state, so that the answer is 304.
    ///
    /// RFC 9110, section 13.2.2: `If-None-Match` alone decides when it is present, else `If-Modified-Since`.
    ///
    /// A phone sends back the date that it was given. A later one than that of the current state comes from a history that is gone, such as
    /// that behind a backup, so only the very date of the current state is 304.
    pub fn are_known_to(&self, headers: &HeaderMap) -> bool {
        if headers.contains_key(header::IF_NONE_MATCH) {
            return headers.get_all(header::IF_NONE_MATCH).iter().any(|value| names(value, self.etag));
        }
        headers
            .get(header::IF_MODIFIED_SINCE)
            .and_then(|value| value.to_str().ok())
            .and_then(http_date::read)
            .is_some_and(|since| http_date::is_written_for(since, self.updated_at))
    }
}

/// Whether a list of entity tags names this one, by weak comparison.
fn names(list: &HeaderValue, etag: &str) -> bool {
    let list = list.to_str().unwrap_or_default();
    list.split(',').map(str::trim).any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) == Some(etag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sent: &[(header::HeaderName, &str)], expected: bool) {
        let etag = "a".repeat(64);
        let state = Validators { etag: &etag, updated_at: 1_700_000_000 };
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        assert_eq!(state.are_known_to(&headers), expected, "{sent:?}");
    }

    #[test]
    fn a_tag_in_a_list_weak_or_not_and_a_star_match() {
        let tag = format!("\"{}\"", "a".repeat(64));
        for list in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".into()] {
            check(&[(header::IF_NONE_MATCH, &list)], true);
        }
        for list in ["\"x\"".to_owned(), "a".repeat(64), String::new(), "\"".into()] {
            check(&[(header::IF_NONE_MATCH, &list)], false);
        }
        check(&[(header::IF_NONE_MATCH, "\"x\""), (header::IF_NONE_MATCH, &tag)], true);
    }

    #[test]
    fn the_date_of_the_state_counts_and_only_without_a_tag() {
        let same = "Tue, 14 Nov 2023 22:13:20 GMT";
        check(&[(header::IF_MODIFIED_SINCE, same)], true);
        check(&[(header::IF_MODIFIED_SINCE, "Tue, 14 Nov 2023 22:13:21 GMT")], false);
        check(&[(header::IF_MODIFIED_SINCE, "Tue, 14 Nov 2023 22:13:19 GMT")], false);
        check(&[(header::IF_MODIFIED_SINCE, "yesterday")], false);
        check(&[(header::IF_MODIFIED_SINCE, same), (header::IF_NONE_MATCH, "\"x\"")], false);
        check(&[], false);
    }
}
