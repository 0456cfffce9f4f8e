//! `/inspect`: a page that inspects passes without credentials, where the operator wants that (`HONOKEN_PUBLIC_DOCTOR`). Nothing is kept.

mod multipart;
mod page;

use axum::extract::{Request, State};
use axum::response::Response;
use http::header;

use crate::error::ApiError;
use crate::extractors::client::Client;
use crate::extractors::json_body;
use crate::limits;
use crate::openapi::problems::{NotFound, TooManyVisits, UnsupportedMediaType};
use crate::openapi::schemas::InspectForm;
use crate::openapi::tags::RUNNING;
use crate::operations;
use crate::state::AppState;

/// `GET /inspect`
///
/// # Errors
/// 404 where it is not wanted.
#[utoipa::path(
    get, path = "/inspect", tag = RUNNING,
    operation_id = "inspectPage", summary = "A page that inspects passes",
    responses(
        (status = 200, description = "A form, where `HONOKEN_PUBLIC_DOCTOR` is `true`. It needs no script.", content_type = "text/html", body = String),
        NotFound,
    ),
)]
pub async fn page(State(app): State<AppState>) -> Result<Response, ApiError> {
    if !app.options.doctor.is_public {
        return Err(ApiError::NoSuchPath);
    }
    Ok(operations::page::answer(page::empty(None)))
}

/// `POST /inspect`
///
/// Inspects the file of the form: a `.pkpass`, a `.pkpasses` or a `pass.json`. Nothing of it is kept.
///
/// # Errors
/// 404 where it is not wanted, 413, 415 when it is no form, 429, 503.
#[utoipa::path(
    post, path = "/inspect", tag = RUNNING,
    operation_id = "inspectFile", summary = "Have a pass inspected on a page",
    request_body(content = InspectForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The page with what was found.", content_type = "text/html", body = String),
        NotFound, UnsupportedMediaType, TooManyVisits,
    ),
)]
pub async fn inspect(
    State(app): State<AppState>,
    Client(client): Client,
    request: Request,
) -> Result<Response, ApiError> {
    let options = &app.options.doctor;
    if !options.is_public {
        return Err(ApiError::NoSuchPath);
    }
    app.rates.check_visit(client)?;
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(multipart::boundary).ok_or(ApiError::NotAForm)?;
    let body = json_body::read(request, limits::PUBLIC_INSPECTED_BYTES).await?;
    let Some(file) = multipart::file(&body, &boundary).filter(|file| !file.is_empty()) else {
        return Ok(operations::page::answer(page::empty(Some(
            "There is no file in the form, or it is empty: choose one.",
        ))));
    };
    let found = app.doctor.for_visitor(file, &options.trust).await?;
    Ok(operations::page::answer(page::of(&found)))
}
