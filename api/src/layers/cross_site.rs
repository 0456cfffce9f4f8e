//! Refuses requests that a page of another site makes a browser send with the credentials that the browser adds by itself.
//!
//! A browser that remembers an operator's Basic credentials sends them with every form that posts to these routes, whatever page the form
//! is on. The browser also names the site of that page. Only requests that change something are refused: the browser does not show a
//! foreign page the answer to any other. Browsers do not add the keys of integrators or the tokens of phones by themselves.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, header};
use url::{Position, Url};

use crate::error::ApiError;
use crate::state::AppState;

/// Lets requests through that change nothing, that no browser sent, or that a page of our own sent. This layer comes after authentication:
/// a caller without credentials gets 401 and learns nothing else.
///
/// # Errors
/// 403 for all other requests.
pub async fn refuse(State(app): State<AppState>, request: Request, next: Next) -> Result<Response, ApiError> {
    if request.method().is_safe() || !is_foreign(request.headers(), app.options.public_url.as_ref()) {
        Ok(next.run(request).await)
    } else {
        Err(ApiError::CROSS_SITE)
    }
}

/// Whether the browser says that the page is of another site. A header that cannot be read counts as foreign.
fn is_foreign(headers: &HeaderMap, public_url: Option<&Url>) -> bool {
    let site_is_foreign = |site: &HeaderValue| site != "same-origin" && site != "none";
    let origin_is_foreign = |origin: &HeaderValue| !is_ours(origin, headers, public_url);
    headers.get_all("sec-fetch-site").iter().any(site_is_foreign)
        || headers.get_all(header::ORIGIN).iter().any(origin_is_foreign)
}

/// Whether an origin is the host under which the caller, or a browser before the proxy, reaches this service. `null` is not.
fn is_ours(origin: &HeaderValue, headers: &HeaderMap, public_url: Option<&Url>) -> bool {
    let Some((default_port, origin)) = origin.to_str().ok().and_then(authority) else { return false };
    let is_origin = |host: &str| without(default_port, host) == origin;
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    let public_host = public_url.map(|url| &url[Position::BeforeHost..Position::AfterPort]);
    host.is_some_and(is_origin) || public_host.is_some_and(is_origin)
}

/// The default port of an origin's scheme, and its host and port without that default. The scheme itself is not compared: behind a proxy
/// for TLS it differs from ours.
fn authority(origin: &str) -> Option<(&'static str, String)> {
    let (scheme, authority) = origin.split_once("://")?;
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    (!authority.is_empty()).then(|| (default_port, without(default_port, authority)))
}

/// Host and port in lower case, without the port when it is this one.
fn without(port: &str, authority: &str) -> String {
    let authority = authority.to_ascii_lowercase();
    authority.strip_suffix(port).map_or_else(|| authority.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn foreign(headers: &[(&str, &str)]) -> bool {
        let named = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        };
        let public_url = Url::parse("https://passes.example.com/wallet").unwrap();
        let mut map = HeaderMap::new();
        map.extend(headers.iter().map(named));
        is_foreign(&map, Some(&public_url))
    }

    #[test]
    fn without_a_browser_nothing_is_foreign() {
        assert!(!foreign(&[("host", "h")]));
    }

    #[test]
    fn a_browser_says_whose_page_it_is() {
        for (site, is_foreign) in [
            ("same-origin", false),
            ("none", false),
            ("same-site", true),
            ("cross-site", true),
            ("", true),
            ("None", true),
        ] {
            assert_eq!(foreign(&[("host", "h"), ("sec-fetch-site", site)]), is_foreign, "{site}");
        }
        assert!(foreign(&[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn an_origin_is_compared_with_the_host_whatever_the_scheme() {
        for (host, origin, is_foreign) in [
            ("h.example", "http://h.example", false),
            ("h.example", "https://h.example", false),
            ("h.example:443", "https://h.example", false),
            ("h.example:80", "http://h.example", false),
            ("h.example", "https://h.example:443", false),
            ("H.Example", "HTTP://h.eXample", false),
            ("h.example:8080", "http://h.example:8080", false),
            ("[::1]:8080", "http://[::1]:8080", false),
            ("127.0.0.1:8080", "https://passes.example.com", false),
            ("127.0.0.1:8080", "https://passes.example.com:443", false),
            ("h.example", "null", true),
            ("h.example", "", true),
            ("h.example", "h.example", true),
            ("h.example", "http://", true),
            ("", "http://", true),
            ("h.example", "ftp://h.example", true),
            ("h.example", "chrome-extension://h.example", true),
            ("h.example", "http://h.example:8080", true),
            ("h.example:8080", "http://h.example", true),
            ("h.example:80", "https://h.example", true),
            ("h.example:443", "http://h.example", true),
            ("h.example", "http://h.example.evil.example", true),
            ("h.example", "http://evil.example", true),
            ("h.example", "http://evilh.example", true),
            ("h.example", "http://evil.example http://h.example", true),
            ("h.example", "http://h.example@evil.example", true),
            ("h.example", "https://passes.example.com:8443", true),
        ] {
            assert_eq!(foreign(&[("host", host), ("origin", origin)]), is_foreign, "{host} {origin}");
        }
    }

    #[test]
    fn one_foreign_word_is_enough() {
        let own = [("host", "h"), ("origin", "http://h"), ("sec-fetch-site", "same-origin")];
        assert!(!foreign(&own));
        for word in
            [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site"), ("host", "evil.example")]
        {
            assert!(foreign(&[own.as_slice(), &[word]].concat()), "{word:?}");
        }
        assert!(foreign(&[("origin", "http://h")]), "there is no host to compare it with");
    }
}
