//! Get the latest pass: 200 with the file, or 304.
//! <https://developer.apple.com/documentation/walletpasses/send-an-updated-pass>

use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use honoken_domain::ids::{ETag, PassId, UnixSeconds};
use honoken_projections::passes::PassRow;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::answers::file_name;
use crate::answers::headers::etag;
use crate::answers::update_tag::http_date;
use crate::auth::phone::AuthorizedPass;
use crate::error::ApiError;
use crate::layers::load_shedding::Admission;
use crate::openapi::answers::{NotModified, PassFile};
use crate::openapi::parameters::{IfModifiedSince, IfNoneMatch};
use crate::openapi::tags::DEVICE;
use crate::state::{App, AppState};

/// `GET /v1/passes/{type}/{serial}`, and `HEAD`.
///
/// Apple: <https://developer.apple.com/documentation/walletpasses/send-an-updated-pass>
///
/// A 304 is answered from the row that the token was compared with. One statement reads everything that a file depends on, so its tag belongs to its
/// content even if the pass changes meanwhile.
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    get, path = "/v1/passes/{type}/{serial}", tag = DEVICE,
    operation_id = "getPass", summary = "Get the latest version of a pass",
    security(("authenticationToken" = [])), params(IfNoneMatch, IfModifiedSince),
    responses(PassFile, NotModified),
)]
pub async fn handler(
    State(app): State<AppState>,
    pass: AuthorizedPass,
    admission: Admission,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if is_not_modified(&headers, &pass.row) {
        return Ok(answer(StatusCode::NOT_MODIFIED, validators(&pass.row), Body::empty()));
    }
    if let Some(file) = app.built_passes.cached(&pass.id, &pass.row.etag).await {
        return Ok(file_response(&pass.id, &pass.row, file));
    }
    // Boxed, since the future of a build is large, and would be moved for every request that needs no build.
    Box::pin(built(&app, &pass, &admission)).await
}

async fn built(app: &App, pass: &AuthorizedPass, admission: &Admission) -> Result<Response, ApiError> {
    admission.release();
    let _permit = app.built_passes.permits().acquire().await?;
    // Another request for the same pass may have built it meanwhile.
    if let Some(file) = app.built_passes.cached(&pass.id, &pass.row.etag).await {
        return Ok(file_response(&pass.id, &pass.row, file));
    }
    // The token was right, so the pass exists: a part of it is missing only while an event of its type or organisation is parked.
    let document = app.read_model.pass_document(&pass.id).await?;
    let document =
        document.ok_or_else(|| ApiError::Unavailable("the type of the pass is not projected".into()))?;
    let row = document.row.clone();
    let file = app.built_passes.get(&pass.id, document, app.clock.unix_seconds()).await?;
    Ok(file_response(&pass.id, &row, file))
}

/// The answer with the file and the headers that the phone keeps.
pub fn file_response(id: &PassId, row: &PassRow, file: Bytes) -> Response {
    let mut headers = validators(row);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.apple.pkpass"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.len()));
    headers.insert(header::CONTENT_DISPOSITION, file_name::attachment(&id.serial_number));
    answer(StatusCode::OK, headers, file.into())
}

/// Sets these headers directly: `IntoResponse` would copy them one by one into a map of its own.
fn answer(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The number of headers that an answer gets here and in the layers.
const MOST_HEADERS: usize = 8;

fn validators(row: &PassRow) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(MOST_HEADERS);
    headers.insert(header::ETAG, etag(row.etag.as_str()));
    headers.insert(header::LAST_MODIFIED, last_modified(row.updated_at));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers
}

fn last_modified(updated_at: UnixSeconds) -> HeaderValue {
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(last_modified_second(updated_at)));
    HeaderValue::try_from(text).expect("an HTTP date is a header value")
}

/// The Unix second that `Last-Modified` says.
fn last_modified_second(updated_at: UnixSeconds) -> u64 {
    u64::try_from(updated_at.0).unwrap_or_default().min(LAST_HTTP_SECOND)
}

/// The end of the year 9999, beyond which an HTTP date cannot be written.
const LAST_HTTP_SECOND: u64 = 253_402_300_799;

/// RFC 9110 section 13.2.2: `If-None-Match` alone decides when it is present, else `If-Modified-Since`.
///
/// A phone sends back the date that it was given. A later one than that of the current state comes from a history that is gone, such as that
/// behind a backup, so only the very date of the current state is 304.
fn is_not_modified(headers: &HeaderMap, row: &PassRow) -> bool {
    if headers.contains_key(header::IF_NONE_MATCH) {
        return headers.get_all(header::IF_NONE_MATCH).iter().any(|value| names(value, &row.etag));
    }
    headers
        .get(header::IF_MODIFIED_SINCE)
        .and_then(|value| value.to_str().ok())
        .and_then(http_date)
        .is_some_and(|since| since == last_modified_second(row.updated_at).cast_signed())
}

/// Whether a list of entity tags names this one, by weak comparison.
fn names(list: &HeaderValue, etag: &ETag) -> bool {
    let list = list.to_str().unwrap_or_default();
    list.split(',').map(str::trim).any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) == Some(etag.as_str())
    })
}

#[cfg(test)]
mod tests {
    use honoken_domain::ids::AuthenticationToken;

    use super::*;

    fn row() -> PassRow {
        PassRow {
            authentication_token: AuthenticationToken::parse("0123456789abcdef").unwrap(),
            etag: ETag::parse("a".repeat(64)).unwrap(),
            updated_at: UnixSeconds(1_700_000_000),
        }
    }

    #[track_caller]
    fn check(sent: &[(header::HeaderName, &str)], expected: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        assert_eq!(is_not_modified(&headers, &row()), expected, "{sent:?}");
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

    #[test]
    fn last_modified_is_the_second_of_the_change() {
        assert_eq!(last_modified(UnixSeconds(1_700_000_000)), "Tue, 14 Nov 2023 22:13:20 GMT");
        assert_eq!(last_modified(UnixSeconds(i64::MAX)), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
