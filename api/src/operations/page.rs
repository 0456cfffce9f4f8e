//! Pages as HTML without a script. All text that comes from elsewhere is escaped.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1c1c1e;background:#fff}\
    h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}form{padding:1rem;border:1px solid #8e8e93;border-radius:.5rem}\
    li{margin:.5rem 0}code{font-size:.9em;overflow-wrap:anywhere}dt{font-weight:600}dd{margin:0 0 .5rem;overflow-wrap:anywhere}\
    pre{padding:.75rem 1rem;border:1px solid #c7c7cc;border-radius:.5rem;background:#f5f5f7;white-space:pre-wrap;overflow-wrap:anywhere}\
    .error{color:#b3001b}.warning{color:#7a4b00}";

/// Allows the one style sheet of these pages by its hash, a form, and nothing else.
static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
});

/// A page with this title, whose body is this HTML.
pub(super) fn html(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n{body}</body>\n</html>\n",
        escaped(title)
    )
}

/// Answers with a page, which no cache keeps.
pub(super) fn answer(html: String) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Made of ASCII: words and a Base64 digest.
    if let Ok(policy) = HeaderValue::from_str(&CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    (headers, html).into_response()
}

/// Text for a page: no markup, and no character that turns the text around.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_is_no_markup() {
        assert_eq!(escaped("<script>a&'\"\u{202e}\u{0}"), "&lt;script&gt;a&amp;&#39;&quot;\u{fffd}\u{fffd}");
        assert!(html("</title><b>", "").contains("<title>&lt;/title&gt;&lt;b&gt;</title>"));
    }

    #[test]
    fn a_page_allows_its_style_sheet_and_nothing_else() {
        let response = answer(html("A page", ""));
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("ASCII");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    }
}
