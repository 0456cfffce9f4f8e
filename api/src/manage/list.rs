//! The passes of an organisation, page by page: all, those of one type, or those with certain words on them.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use honoken_domain::ids::{PassId, PassTypeIdentifier};
use honoken_domain::rfc3339;
use honoken_event_store::{Epoch, EventLog};
use honoken_projections::pass_list::{ListedPass, Page};
use honoken_projections::words;
use http::Uri;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answers::update_tag;
use crate::auth::integrator::Integrator;
use crate::error::ApiError;
use crate::extractors::query::{self, Parameters};
use crate::openapi::problems::Unacceptable;
use crate::openapi::tags::MANAGE;
use crate::openapi::{examples, schemas};
use crate::state::AppState;

/// Passes on a page unless the caller asks for another number.
const USUAL: u32 = 50;

/// The most passes on a page.
const MOST: u32 = 200;

/// The most characters of a search text.
const QUESTION: usize = 256;

/// A page of passes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PassList, example = examples::pass_list)]
pub struct Passes {
    passes: Vec<Entry>,
    /// The value of `cursor` for the next page; none after the last.
    next: Option<String>,
}

/// The state of a pass without its content.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedPass)]
pub struct Entry {
    pass_type_identifier: String,
    serial_number: String,
    #[schema(schema_with = schemas::ticket_styles)]
    ticket_style: &'static str,
    poster: bool,
    voided: bool,
    /// Present only if it is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false)]
    retired: Option<bool>,
    etag: String,
    #[schema(format = DateTime)]
    updated_at: String,
    update_tag: String,
    position: u64,
    registrations: u64,
}

/// `GET /manage/v1/passes?passTypeIdentifier=&q=&cursor=&limit=`
///
/// The order is that of pass type identifier and serial number, which never change. A pass that exists all the time is therefore listed once, whatever changes meanwhile.
///
/// # Errors
/// 401, 422 that names the parameter, 503.
#[utoipa::path(
    get, path = "/manage/v1/passes", tag = MANAGE,
    operation_id = "listPasses", summary = "List and search passes",
    params(
        ("passTypeIdentifier" = Option<String>, Query, description = "Passes of this type only."),
        (
            "q" = Option<String>, Query, max_length = 256,
            description = "Passes that have, for each of these words (8 at most), a word that begins with it: in the serial number, or in the texts and values on the pass."
        ),
        (
            "cursor" = Option<String>, Query,
            description = "The `next` of the previous page."
        ),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "The number of passes on a page; 50 by default."),
    ),
    responses((status = 200, body = Passes, description = "A page of passes; `next` is null on the last one."), Unacceptable),
)]
pub async fn handler(
    State(app): State<AppState>,
    integrator: Integrator,
    uri: Uri,
) -> Result<Json<Passes>, ApiError> {
    let mut parameters = Parameters::of(&uri, &["passTypeIdentifier", "q", "cursor", "limit"])?;
    let of_type = parameters.take("passTypeIdentifier").map(PassTypeIdentifier::parse).transpose();
    let of_type = of_type.map_err(|fault| query::fault(format!("`{}` {}", fault.name, fault.rule)))?;
    let words = question(parameters.take("q"))?;
    let after = parameters.take("cursor").map(|text| cursor(&text)).transpose()?;
    let limit = parameters.take_limit(USUAL, MOST)?;

    let page = Page {
        organization_id: &integrator.organization_id,
        of_type: of_type.as_ref(),
        words: &words,
        after: after.as_ref(),
        // One pass more than needed tells whether there is another page.
        limit: limit + 1,
    };
    let mut passes = app.read_model.list_passes(page).await?;
    let is_last = passes.len() <= limit as usize;
    passes.truncate(limit as usize);
    let next = passes.last().filter(|_| !is_last).map(|last| URL_SAFE_NO_PAD.encode(last.id.to_string()));
    let epoch = app.log.epoch();
    let passes = passes.iter().map(|pass| entry(pass, epoch)).collect();
    Ok(Json(Passes { passes, next }))
}

fn entry(pass: &ListedPass, epoch: Epoch) -> Entry {
    Entry {
        pass_type_identifier: pass.id.pass_type_identifier.to_string(),
        serial_number: pass.id.serial_number.to_string(),
        ticket_style: pass.kind.style.as_str(),
        poster: pass.kind.poster,
        voided: pass.voided,
        retired: pass.retired.then_some(true),
        etag: pass.etag.to_string(),
        updated_at: rfc3339::seconds(pass.updated_at),
        update_tag: update_tag::render(epoch, pass.update_tag),
        position: pass.update_tag.0,
        registrations: pass.registrations,
    }
}

/// The words to search for; a text of spaces searches for nothing, so it lists all passes.
fn question(text: Option<String>) -> Result<Vec<String>, ApiError> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(Vec::new()) };
    if text.chars().count() > QUESTION {
        return Err(query::fault(format!("`q` must have {QUESTION} characters at most")));
    }
    let words = words::of_question(&text)
        .ok_or_else(|| query::fault(format!("`q` must have {} different words at most", words::ASKED)))?;
    if words.is_empty() {
        return Err(query::fault("`q` must have a letter or a digit: the search is for words"));
    }
    Ok(words)
}

fn cursor(text: &str) -> Result<PassId, ApiError> {
    let read = || {
        let id = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        PassId::parse(&id).ok()
    };
    read().ok_or_else(|| {
        query::fault("`cursor` must be the `next` of an earlier page, unchanged; leave it out to begin with the first page")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_given_out_and_nothing_else_is() {
        for id in ["pass.com.example/A-1", "pass.com.example/a/b 座席"] {
            let text = URL_SAFE_NO_PAD.encode(id);
            assert_eq!(cursor(&text).unwrap().to_string(), id);
            assert!(cursor(&format!("{text}=")).is_err());
        }
        for wrong in ["", "x", "!!!!", &URL_SAFE_NO_PAD.encode("A-1"), &URL_SAFE_NO_PAD.encode([0xff, 0x2f])]
        {
            assert!(cursor(wrong).is_err(), "{wrong}");
        }
    }
}
