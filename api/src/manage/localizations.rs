//! The texts of one pass in other languages: set those of a language, remove them, read its own.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use honoken_domain::localizations::{self, Language, Localization, LocalizationFault, Localizations};
use honoken_domain::pass::PassCommand;
use serde_json::Value;

use crate::auth::integrator::Integrator;
use crate::error::{ApiError, Fault};
use crate::extractors::json_body::{self, Fields, escape};
use crate::extractors::path::Segments;
use crate::limits;
use crate::manage::change::{Change, localization_warnings};
use crate::manage::state::own_document;
use crate::openapi::answers::Changed;
use crate::openapi::parameters::{IfMatch, Urgent};
use crate::openapi::problems::{Conflict, NotFound, PreconditionFailed, Unacceptable, UnsupportedMediaType};
use crate::openapi::schemas;
use crate::openapi::tags::MANAGE;
use crate::state::AppState;

const NO_LOCALIZATION: ApiError = ApiError::NotFound { what: "language" };

/// `PUT /manage/v1/passes/{type}/{serial}/localizations/{lang}`
///
/// The texts stand in place of all that the pass has of its own in the language; those of its type stay beside them.
///
/// # Errors
/// 400, 401, 404, 409 when the pass is retired, 412, 413, 415, 422 when the language or the texts are not acceptable, 503.
#[utoipa::path(
    put, path = "/manage/v1/passes/{type}/{serial}/localizations/{lang}", tag = MANAGE,
    operation_id = "putPassLocalization", summary = "Give a pass texts of its own in a language",
    params(IfMatch, Urgent), request_body = schemas::Localization,
    responses(Changed, NotFound, Conflict, PreconditionFailed, UnsupportedMediaType, Unacceptable),
)]
pub async fn put(change: Change, segments: Segments, request: Request) -> Result<Response, ApiError> {
    let language = language(&segments)?;
    let pass_type = change.own_pass_type().await?;
    let localization = read(request).await?;
    let command = PassCommand::PutLocalization { language, localization };
    let committed = change.dispatch(pass_type, command).await?;
    Ok(change.answer(&committed, localization_warnings(&committed)).await?.into_response())
}

/// `DELETE /manage/v1/passes/{type}/{serial}/localizations/{lang}`
///
/// # Errors
/// 401, 404, 409 when the pass is retired, 412, 422 when the language is not one, 503.
#[utoipa::path(
    delete, path = "/manage/v1/passes/{type}/{serial}/localizations/{lang}", tag = MANAGE,
    operation_id = "deletePassLocalization", summary = "Remove a pass's own texts in a language",
    params(IfMatch, Urgent), responses(Changed, NotFound, Conflict, PreconditionFailed, Unacceptable),
)]
pub async fn delete(change: Change, segments: Segments) -> Result<Response, ApiError> {
    let language = language(&segments)?;
    change.carry_out(PassCommand::RemoveLocalization { language }).await
}

/// `GET /manage/v1/passes/{type}/{serial}/localizations/{lang}`: the texts of the pass's own. The state has those that the pass shows.
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/manage/v1/passes/{type}/{serial}/localizations/{lang}", tag = MANAGE,
    operation_id = "getPassLocalization", summary = "Get a pass's own texts in a language",
    responses((status = 200, body = schemas::Localization, description = "The texts."), NotFound),
)]
pub async fn get(
    State(app): State<AppState>,
    integrator: Integrator,
    segments: Segments,
) -> Result<Response, ApiError> {
    let (_, document) = own_document(&app, &integrator, &segments).await?;
    answer(document.own_localizations, &segments)
}

/// The answer with the texts in the language that the path names.
///
/// # Errors
/// 404 when there are none.
pub fn answer(mut localizations: Localizations, segments: &Segments) -> Result<Response, ApiError> {
    let language = language(segments).map_err(|_| NO_LOCALIZATION)?;
    let localization = localizations.remove(&language).ok_or(NO_LOCALIZATION)?;
    Ok(Json(localization).into_response())
}

/// The language in the path. A fault has no pointer, since the language is not in the body.
///
/// # Errors
/// 422 when it is not one.
pub fn language(segments: &Segments) -> Result<Language, ApiError> {
    Language::parse(&segments.get("lang").unwrap_or_default()).map_err(|fault| ApiError::Unacceptable {
        errors: vec![Fault::new("unknown_language", "", fault.to_string())],
    })
}

/// Reads a body with the texts of one language.
///
/// # Errors
/// 400, 413, 415, 422 with every fault.
pub async fn read(request: Request) -> Result<Localization, ApiError> {
    let mut fields = Fields::of(json_body::read_json(request, limits::JSON_BYTES).await?)?;
    let localization = strings(&mut fields);
    fields.finish()?;
    Ok(localization)
}

/// Takes the member `localizations` of an order.
pub(super) fn in_order(fields: &mut Fields) -> Localizations {
    let mut read = Localizations::new();
    let languages = match fields.optional("localizations") {
        None => return read,
        Some(Value::Object(languages)) => languages,
        Some(_) => {
            let detail = "`localizations` must be an object of language and `{\"strings\": …}`";
            fields.fault("wrong_type", "/localizations", detail);
            return read;
        }
    };
    for (name, value) in languages {
        let pointer = format!("/localizations/{}", escape(&name));
        let language = match Language::parse(&name) {
            Ok(language) => language,
            Err(fault) => {
                fields.fault("unknown_language", &pointer, fault.to_string());
                continue;
            }
        };
        let Ok(mut inner) = Fields::of(value) else {
            fields.fault("wrong_type", &pointer, "a language must be an object with `strings`");
            continue;
        };
        let localization = strings(&mut inner);
        match inner.finish() {
            Err(ApiError::Unacceptable { errors }) => {
                for fault in errors {
                    fields.note(Fault { pointer: format!("{pointer}{}", fault.pointer), ..fault });
                }
            }
            _ => {
                read.insert(language, localization);
            }
        }
    }
    if let Err(fault) = localizations::check_size(&read) {
        fields.fault("too_many_localizations", "/localizations", fault.to_string());
    }
    read
}

/// Takes the member `strings`.
fn strings(fields: &mut Fields) -> Localization {
    let mut localization = Localization::default();
    let texts = match fields.required("strings") {
        None => return localization,
        Some(Value::Object(texts)) => texts,
        Some(_) => {
            fields.fault("wrong_type", "/strings", "`strings` must be an object of text and text");
            return localization;
        }
    };
    let sent = texts.len();
    for (key, text) in texts {
        match text {
            Value::String(text) => {
                localization.strings.insert(key, text);
            }
            _ => fields.fault("wrong_type", format!("/strings/{}", escape(&key)), "a text must be a string"),
        }
    }
    // What is no text has its own fault, and is not missing.
    let is_whole = localization.strings.len() == sent;
    let checked = if is_whole { localizations::check(&localization) } else { Ok(()) };
    if let Err(fault) = checked {
        let pointer = match &fault {
            LocalizationFault::Nul { key } => format!("/strings/{}", escape(key)),
            LocalizationFault::EmptyKey => "/strings/".to_owned(),
            LocalizationFault::Empty | LocalizationFault::TooMany => "/strings".to_owned(),
        };
        fields.fault("invalid", pointer, fault.to_string());
    }
    localization
}
