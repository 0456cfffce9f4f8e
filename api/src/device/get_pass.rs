//! Get the latest pass: 200 with the file, or 304.
//! <https://developer.apple.com/documentation/walletpasses/send-an-updated-pass>

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use honoken_conditional::{Validators, http_date};
use honoken_domain::ids::{PassId, UnixSeconds};
use honoken_projections::passes::PassRow;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::answers::file_name;
use crate::answers::headers::etag;
use crate::auth::phone::AuthorizedPass;
use crate::error::ApiError;
use crate::layers::load_shedding::Admission;
use crate::openapi::answers::{NotModified, PassFile};
use crate::openapi::parameters::{IfModifiedSince, IfNoneMatch};
use crate::openapi::problems::TooManyDownloads;
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
/// 401, 429 when too many downloads or wrong tokens come from one address, 503.
#[utoipa::path(
    get, path = "/v1/passes/{type}/{serial}", tag = DEVICE,
    operation_id = "getPass", summary = "Get the latest version of a pass",
    security(("authenticationToken" = [])), params(IfNoneMatch, IfModifiedSince),
    responses(PassFile, NotModified, TooManyDownloads),
)]
pub async fn handler(
    State(app): State<AppState>,
    pass: AuthorizedPass,
    admission: Admission,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let state = Validators { etag: pass.row.etag.as_str(), updated_at: pass.row.updated_at.0 };
    if state.are_known_to(&headers) {
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
    let file = app.built_passes.get(&pass.id, document, app.clock.unix_seconds()).await;
    let file = file.map_err(|fault| ApiError::from(fault).for_phone())?;
    Ok(file_response(&pass.id, &row, file))
}

/// The answer with the file and the headers that the phone keeps.
pub fn file_response(id: &PassId, row: &PassRow, file: Bytes) -> Response {
    let mut headers = validators(row);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.apple.pkpass"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.len()));
    headers.insert(header::CONTENT_DISPOSITION, file_name::attachment(&id.serial_number, "pkpass"));
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
    HeaderValue::try_from(http_date::write(updated_at.0)).expect("an HTTP date is a header value")
}
