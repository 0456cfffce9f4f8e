//! `/docs`: the `OpenAPI` document as a page to read and to try. Swagger UI (Apache-2.0) is part of the program, so the page loads nothing
//! from elsewhere; its archive stays packed until the page is first requested.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;
use zip::read::ZipFile;

use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::openapi::problems::NotFound;
use crate::openapi::tags::RUNNING;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PNG: &str = "image/png";

/// The files of the page, by name, with their content types.
const FILES: &[(&str, &str)] = &[
    ("start.js", SCRIPT),
    ("swagger-ui-bundle.js", SCRIPT),
    ("swagger-ui.css", CSS),
    ("favicon-32x32.png", PNG),
];

/// Allows only files from this service, and no inline scripts or styles. Swagger UI's style sheet contains its images as `data:`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                                       base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /docs`
#[utoipa::path(
    get, path = "/docs", tag = RUNNING,
    operation_id = "docs", summary = "Read this document in a browser",
    responses((status = 200, description = "A page that loads all of its files from this service.", content_type = "text/html", body = String)),
)]
pub async fn page() -> Response {
    answer(HTML, Bytes::from_static(include_bytes!("page.html")))
}

/// `GET /docs/{part}`
///
/// # Errors
/// 404.
#[utoipa::path(
    get, path = "/docs/{part}", tag = RUNNING,
    operation_id = "docsPart", summary = "A script, style sheet or image of that page",
    responses((status = 200, description = "The file.", content(
        (String = "text/javascript"), (String = "text/css"), (crate::openapi::schemas::Png = "image/png"),
    )), NotFound),
)]
pub async fn part(segments: Segments) -> Result<Response, ApiError> {
    let asked = segments.get("part").unwrap_or_default();
    let not_found = || ApiError::NotFound { what: "file" };
    let (name, content_type) = FILES.iter().find(|(name, _)| *name == asked).ok_or_else(not_found)?;
    if *name == "start.js" {
        return Ok(answer(content_type, Bytes::from_static(include_bytes!("start.js"))));
    }
    let file = SWAGGER_UI.get(name).ok_or_else(not_found)?;
    Ok(answer(content_type, file.clone()))
}

/// The files of Swagger UI that the page needs.
static SWAGGER_UI: LazyLock<BTreeMap<&'static str, Bytes>> = LazyLock::new(|| {
    let mut archive =
        ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).expect("the archive is part of the program");
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("the archive lists what it holds");
        let wanted = FILES.iter().find(|(name, _)| is_at(&entry, name));
        if let Some((name, _)) = wanted {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("the archive is whole");
            files.insert(*name, bytes.into());
        }
    }
    files
});

/// The archive is that of a release: one top folder, with the built files in `dist`.
fn is_at<R: Read>(entry: &ZipFile<'_, R>, name: &str) -> bool {
    entry.name().is_ok_and(|path| path.ends_with(&format!("/dist/{name}")))
}

fn answer(content_type: &'static str, body: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let headers: HeaderMap =
        headers.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
    (headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_in_the_archive() {
        for (name, _) in FILES.iter().filter(|(name, _)| *name != "start.js") {
            assert!(SWAGGER_UI.get(name).is_some_and(|file| !file.is_empty()), "{name}");
        }
    }

    #[test]
    fn the_page_names_its_parts_relative_to_itself() {
        let page = include_str!("page.html");
        for (name, _) in FILES {
            assert!(page.contains(&format!("\"docs/{name}\"")), "{name}");
        }
        assert!(!page.contains("//") && !page.contains("=\"/"), "an address that is not relative");
        assert!(!page.contains("<style") && !page.contains("style="), "a style in the page");
    }
}
