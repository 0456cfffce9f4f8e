//! A pass as it was at a moment, from the event log: its state, and its file.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use honoken_domain::content::Content;
use honoken_domain::ids::PassId;
use honoken_domain::images::Images;
use honoken_domain::localizations::Localizations;
use honoken_domain::pass::Pass;
use honoken_domain::personalization::PersonalizationForm;
use honoken_domain::rfc3339;
use honoken_event_store::{EventLog, Moment, Past, Position};
use honoken_projections::passes::{PassDocument, PassRow};
use http::{HeaderValue, Uri, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answers::{file_name, update_tag};
use crate::auth::integrator::Integrator;
use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::extractors::query::{self, Parameters};
use crate::layers::load_shedding::Admission;
use crate::manage::state::own_document;
use crate::openapi::answers::UnsignedFile;
use crate::openapi::problems::{Conflict, NotFound, Unacceptable};
use crate::openapi::tags::MANAGE;
use crate::openapi::{examples, schemas};
use crate::state::{App, AppState};

/// The state of a pass as it was. It contains everything that the `etag` is made of.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = examples::past_state)]
struct PastState {
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
    #[schema(value_type = schemas::Content)]
    content: Content,
    /// The images that ended up in the pass, its own or not.
    #[schema(schema_with = schemas::images)]
    assets: Images,
    /// The texts in other languages that ended up in the pass, its own or not. Present only if there were any.
    #[serde(skip_serializing_if = "Localizations::is_empty")]
    #[schema(schema_with = schemas::localizations, required = false)]
    localizations: Localizations,
    /// The form of a rewards programme. Present only if it was in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>, required = false)]
    personalization: Option<PersonalizationForm>,
    etag: String,
    #[schema(format = DateTime)]
    updated_at: String,
    update_tag: String,
    /// The position of the event that led to this state.
    position: u64,
}

/// `GET /manage/v1/passes/{type}/{serial}/at?position=` or `?time=`
///
/// The state is folded from the events of the pass; the read model is not asked for it.
///
/// # Errors
/// 401, 404 also for a moment before the pass was issued, 409 when an event cannot be read that the state rests on, 422 that names the parameter, 503.
#[utoipa::path(
    get, path = "/manage/v1/passes/{type}/{serial}/at", tag = MANAGE,
    operation_id = "pastPassState", summary = "Get the state of a pass as it was",
    description = "Give `position` or `time`. Without them it is the newest state, also where readers do not see it yet.",
    params(
        ("position" = Option<u64>, Query, description = "A position of the event log: the state with the event there, or the last one of the pass before it.", minimum = 1),
        ("time" = Option<String>, Query, description = "An RFC 3339 time: the state with the last event that was recorded no later.", format = DateTime),
    ),
    responses(
        (status = 200, body = PastState, description = "The state as it was."),
        NotFound, Conflict, Unacceptable,
    ),
)]
pub async fn handler(
    State(app): State<AppState>,
    integrator: Integrator,
    segments: Segments,
    uri: Uri,
) -> Result<Response, ApiError> {
    let (id, _) = own_document(&app, &integrator, &segments).await?;
    let moment = moment(&app, &uri).await?;
    let found = app.dispatcher.past_of_pass(&id, moment).await?.ok_or(ApiError::NO_PASS)?;
    let state = state(&app, &id, found).ok_or(ApiError::NO_PASS)?;
    Ok(Json(state).into_response())
}

/// `GET /manage/v1/passes/{type}/{serial}/at/pkpass?position=` or `?time=`
///
/// The files that the pass had, to be looked at. No phone takes the archive: it has no signature, and `pass.json` has neither `webServiceURL` nor
/// `authenticationToken`. The names of the organisation and of the team are those of today.
///
/// # Errors
/// Those of the state, and 409 `image_gone` for images that the store has no more.
#[utoipa::path(
    get, path = "/manage/v1/passes/{type}/{serial}/at/pkpass", tag = MANAGE,
    operation_id = "downloadPastPass", summary = "Get the files of a pass as it was, without a signature",
    description = "Give `position` or `time`. Without them it is the newest state, also where readers do not see it yet.",
    params(
        ("position" = Option<u64>, Query, description = "A position of the event log: the state with the event there, or the last one of the pass before it.", minimum = 1),
        ("time" = Option<String>, Query, description = "An RFC 3339 time: the state with the last event that was recorded no later.", format = DateTime),
    ),
    responses(UnsignedFile, NotFound, Conflict, Unacceptable),
)]
pub async fn pkpass(
    State(app): State<AppState>,
    integrator: Integrator,
    admission: Admission,
    segments: Segments,
    uri: Uri,
) -> Result<Response, ApiError> {
    admission.release();
    let _permit = app.built_passes.permits().acquire().await?;
    let (id, present) = own_document(&app, &integrator, &segments).await?;
    let moment = moment(&app, &uri).await?;
    let found = app.dispatcher.past_of_pass(&id, moment).await?.ok_or(ApiError::NO_PASS)?;
    let document = document(present, &found).ok_or(ApiError::NO_PASS)?;
    let file = app.built_passes.unsigned(&id, document).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (header::CONTENT_DISPOSITION, file_name::attachment(&id.serial_number, "zip")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, file).into_response())
}

/// The document of a pass with the parts that it had.
fn document(present: PassDocument, Past { aggregate: pass, position }: &Past<Pass>) -> Option<PassDocument> {
    let ((kind, content), (voided, retired)) = (pass.shown()?, pass.is_voided_and_retired()?);
    let row = PassRow { etag: pass.etag()?.clone(), updated_at: pass.updated_at()?, ..present.row };
    Some(PassDocument {
        row,
        kind,
        voided,
        retired,
        content: content.clone(),
        images: pass.shown_images()?.clone(),
        localizations: pass.shown_localizations()?.clone(),
        nfc_left_out: pass.leaves_out_nfc(),
        open_form: pass.open_form().map(|(form, _)| form.clone()),
        update_tag: *position,
        ..present
    })
}

/// The moment that is asked for.
async fn moment(app: &App, uri: &Uri) -> Result<Moment, ApiError> {
    let mut parameters = Parameters::of(uri, &["position", "time"])?;
    match (parameters.take("position"), parameters.take("time")) {
        (Some(text), None) => {
            let position = text.parse().ok().filter(|position| *position > 0).map(Position);
            let position = position.ok_or_else(|| query::fault("`position` must be a number from 1 on"))?;
            match end_before(app, position).await? {
                Some(end) => Err(query::fault(beyond(end))),
                None => Ok(Moment::Position(position)),
            }
        }
        (None, Some(text)) => {
            let time = rfc3339::parse_milliseconds(&text);
            let wrong = || query::fault("`time` must be an RFC 3339 time, such as 2026-11-21T10:00:00Z");
            Ok(Moment::Time(time.ok_or_else(wrong)?))
        }
        (None, None) => Ok(Moment::Position(*app.log.head().borrow())),
        (Some(_), Some(_)) => Err(query::fault("give `position` or `time`, not both")),
    }
}

/// The end of the event log, if a position is above it. Other processes write as well, so the event log itself is asked before a caller is refused.
///
/// # Errors
/// 503.
pub(super) async fn end_before(app: &App, position: Position) -> Result<Option<Position>, ApiError> {
    let end = *app.log.head().borrow();
    let is_within = position <= end || app.log.reaches(position).await?;
    Ok((!is_within).then_some(end))
}

/// The fault of such a position.
pub(super) fn beyond(end: Position) -> String {
    format!("`position` must not be above {end}, where the event log ends")
}

fn state(app: &App, id: &PassId, found: Past<Pass>) -> Option<PastState> {
    let Past { aggregate: pass, position } = found;
    let ((kind, content), (voided, retired)) = (pass.shown()?, pass.is_voided_and_retired()?);
    let form = pass.open_form().filter(|(_, is_in_file)| *is_in_file).map(|(form, _)| form.clone());
    Some(PastState {
        pass_type_identifier: id.pass_type_identifier.to_string(),
        serial_number: id.serial_number.to_string(),
        ticket_style: kind.style.as_str(),
        poster: kind.poster,
        voided,
        retired: retired.then_some(true),
        content: content.clone(),
        assets: pass.shown_images()?.clone(),
        localizations: pass.shown_localizations()?.clone(),
        personalization: form,
        etag: pass.etag()?.to_string(),
        updated_at: rfc3339::seconds(pass.updated_at()?),
        update_tag: update_tag::render(app.log.epoch(), position),
        position: position.0,
    })
}
