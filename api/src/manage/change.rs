//! The steps of every change: check the owner of the pass type, dispatch the command, wait until readers see it, answer.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use honoken_domain::content::Content;
use honoken_domain::ids::{ETag, PassId};
use honoken_domain::images::Images;
use honoken_domain::pass::{Circumstances, Pass, PassCommand, PassError, PassEvent, PassKind, Precondition};
use honoken_domain::rfc3339;
use honoken_event_store::{Committed, DispatchError, EventLog, Metadata};
use honoken_pkpass::image::{ImageFile, PngHeader};
use honoken_pkpass::{Finding, lint_images, lint_localizations};
use honoken_projections::pass_types::PassTypeRow;
use honoken_service::{content_rules, limits};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

use crate::answers::headers::etag;
use crate::answers::update_tag;
use crate::auth::integrator::Integrator;
use crate::error::{ApiError, Fault};
use crate::extractors::path::Segments;
use crate::extractors::query::Parameters;
use crate::extractors::request_id::RequestId;
use crate::manage::left_out;
use crate::manage::scale::{self, SCALE};
use crate::openapi::examples;
use crate::openapi::schemas::{self, Warning};
use crate::state::AppState;

/// The query parameter that asks for pushes at once.
const URGENT: &str = "urgent";

/// The answer to every change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = examples::change_answer)]
pub struct ChangeAnswer {
    pass_type_identifier: String,
    serial_number: String,
    etag: String,
    #[schema(format = DateTime)]
    updated_at: String,
    update_tag: String,
    position: u64,
    /// Whether the command changed what phones get.
    changed: bool,
    /// Whether readers see the change already.
    projected: bool,
    /// Parts that a phone would ignore or show otherwise than meant.
    #[schema(value_type = Vec<Warning>)]
    warnings: Vec<Finding>,
    /// After an increment: the number as the increment left it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64, required = false)]
    value: Option<Number>,
    /// With `scale=auto`: the images that were made, by file name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::images, required = false)]
    assets: Option<Images>,
}

/// A change to a pass, from the request to its result. As an extractor it reads everything but the body: the integrator, the pass in the
/// path, `If-Match`, and `urgent`.
#[derive(Debug)]
pub struct Change {
    /// The service.
    pub app: AppState,
    /// The integrator.
    pub integrator: Integrator,
    /// The id of the request.
    pub request_id: RequestId,
    /// The pass.
    pub id: PassId,
    /// The state that the caller expects.
    pub precondition: Precondition,
    /// Whether pushes are sent at once, however recent the last ones were.
    pub urgent: bool,
}

impl FromRequestParts<AppState> for Change {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let integrator = Integrator::from_request_parts(parts, app).await?;
        let mut parameters = Parameters::of(&parts.uri, &[URGENT])?;
        Self::read(parts, app, integrator, &mut parameters).await
    }
}

/// A change whose image may be asked for at every scale.
#[derive(Debug)]
pub struct ImageChange {
    /// The change.
    pub change: Change,
    /// Whether every scale is to be made of the image.
    pub scaled: bool,
}

impl FromRequestParts<AppState> for ImageChange {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let integrator = Integrator::from_request_parts(parts, app).await?;
        let mut parameters = Parameters::of(&parts.uri, &[URGENT, SCALE])?;
        let scaled = scale::is_auto(&mut parameters)?;
        let change = Change::read(parts, app, integrator, &mut parameters).await?;
        Ok(Self { change, scaled })
    }
}

impl Change {
    async fn read(
        parts: &mut Parts,
        app: &AppState,
        integrator: Integrator,
        parameters: &mut Parameters,
    ) -> Result<Self, ApiError> {
        let Ok(segments) = Segments::from_request_parts(parts, app).await;
        Ok(Self {
            app: app.clone(),
            integrator,
            request_id: RequestId::at_hand(),
            id: segments.pass().ok_or(ApiError::NO_PASS)?,
            precondition: if_match(&parts.headers),
            urgent: parameters.take_flag(URGENT)?,
        })
    }

    /// Carries a command out on a pass of a type that belongs to the caller.
    ///
    /// # Errors
    /// The refusal of the pass, or 503.
    pub async fn dispatch(
        &self,
        pass_type: PassTypeRow,
        command: PassCommand,
    ) -> Result<Committed<Pass>, ApiError> {
        Ok(self.try_dispatch(pass_type, command).await?)
    }

    /// As [`Change::dispatch`], for a caller that answers some refusal differently.
    ///
    /// # Errors
    /// The refusal of the pass, or the reason why it could not be asked.
    pub async fn try_dispatch(
        &self,
        pass_type: PassTypeRow,
        command: PassCommand,
    ) -> Result<Committed<Pass>, DispatchError<PassError>> {
        let organization_id = self.integrator.organization_id.clone();
        let actor = self.integrator.actor.clone();
        let metadata = self.app.metadata(actor, Some(organization_id.as_str()), &self.request_id.0);
        let metadata = Metadata { urgent: self.urgent, ..metadata };
        let circumstances = Circumstances {
            now: self.app.clock.unix_seconds(),
            organization_id,
            default_images: pass_type.default_images,
            default_localizations: pass_type.default_localizations,
            allows_nfc: pass_type.allows_nfc,
            precondition: self.precondition.clone(),
            rules: content_rules::refusals,
        };
        self.app.dispatcher.dispatch::<Pass>(&self.id.to_string(), command, &circumstances, &metadata).await
    }

    /// The type of the pass, if it belongs to the caller and readers see the pass. Readers do not see it while the read model is a moment
    /// behind or an event of the pass is parked; then the aggregate decides whether it exists.
    ///
    /// # Errors
    /// 404 when the type does not exist or belongs to another organisation, or no such pass was issued.
    pub async fn own_pass_type(&self) -> Result<PassTypeRow, ApiError> {
        let head = *self.app.log.head().borrow();
        let progress = self.app.projector.progress().borrow().clone();
        let is_not_visible_yet = progress.position < head || progress.holds_up::<Pass>(&self.id.to_string());
        let found = self.app.read_model.pass_type_of(&self.id).await?;
        found
            .filter(|(pass_type, _)| pass_type.organization_id == self.integrator.organization_id)
            .filter(|(_, kind)| kind.is_some() || is_not_visible_yet)
            .map(|(pass_type, _)| pass_type)
            .ok_or(ApiError::NO_PASS)
    }

    /// Waits until readers see the change, and returns its answer.
    ///
    /// # Errors
    /// 500 when the aggregate has no tag, which no event can cause.
    pub async fn answer(
        &self,
        committed: &Committed<Pass>,
        warnings: Vec<Finding>,
    ) -> Result<ChangeAnswer, ApiError> {
        let (Some(etag), Some(updated_at)) = (committed.aggregate.etag(), committed.aggregate.updated_at())
        else {
            return Err(ApiError::Internal("a pass without a tag".into()));
        };
        let projected = self.app.projector.shows(committed, limits::VISIBLE).await;
        Ok(ChangeAnswer {
            pass_type_identifier: self.id.pass_type_identifier.to_string(),
            serial_number: self.id.serial_number.to_string(),
            etag: etag.to_string(),
            updated_at: rfc3339::seconds(updated_at),
            update_tag: update_tag::render(self.app.log.epoch(), committed.position),
            position: committed.position.0,
            changed: committed.events.iter().any(PassEvent::is_seen),
            projected,
            warnings,
            value: None,
            assets: None,
        })
    }

    /// Carries out a command that needs only the pass, and answers it.
    ///
    /// # Errors
    /// 404, the refusal of the pass, or 503.
    pub async fn carry_out(&self, command: PassCommand) -> Result<Response, ApiError> {
        let pass_type = self.own_pass_type().await?;
        let committed = self.dispatch(pass_type, command).await?;
        Ok(self.answer(&committed, Vec::new()).await?.into_response())
    }
}

impl ChangeAnswer {
    /// The answer to an increment.
    #[must_use]
    pub fn with_value(self, value: Option<Number>) -> Self {
        Self { value, ..self }
    }

    /// The answer to an image of which every scale was made.
    #[must_use]
    pub fn with_assets(self, assets: Option<Images>) -> Self {
        Self { assets, ..self }
    }

    /// The answer to a repeated order that has changed the pass before.
    #[must_use]
    pub fn with_change(self) -> Self {
        Self { changed: true, ..self }
    }

    /// The answer to an order that issued the pass.
    pub fn created(self) -> Response {
        let location =
            format!("/manage/v1/passes/{}/{}", self.pass_type_identifier, path_segment(&self.serial_number));
        let mut response = (StatusCode::CREATED, self).into_response();
        if let Ok(location) = HeaderValue::try_from(location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

impl IntoResponse for ChangeAnswer {
    fn into_response(self) -> Response {
        ([(header::ETAG, etag(&self.etag))], Json(self)).into_response()
    }
}

/// All characters except the unreserved ones of RFC 3986 section 2.3.
const NOT_UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn path_segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, &NOT_UNRESERVED).to_string()
}

/// Whether the command issued the pass.
pub fn is_issue(events: &[PassEvent]) -> bool {
    events.iter().any(|event| matches!(event, PassEvent::Issued(_)))
}

/// Reads `If-Match` (RFC 9110 section 13.1.1). Weak tags and anything malformed match no state, so such a change is refused with 412.
pub fn if_match(headers: &HeaderMap) -> Precondition {
    let values: Vec<&str> =
        headers.get_all(header::IF_MATCH).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    let mut tags = values.iter().flat_map(|value| value.split(',')).map(str::trim);
    if values.is_empty() {
        return Precondition::None;
    }
    if tags.clone().any(|tag| tag == "*") {
        return Precondition::Any;
    }
    let unquoted = |tag: &str| ETag::parse(tag.strip_prefix('"')?.strip_suffix('"')?).ok();
    Precondition::OneOf(tags.by_ref().filter_map(unquoted).collect())
}

/// Everything in a pass as it is now that a phone would ignore or show otherwise than intended, or that is left out of its file; pointers are
/// into the content.
pub fn warnings(committed: &Committed<Pass>) -> Vec<Finding> {
    let shown = committed.aggregate.shown();
    let mut warnings = shown.map_or_else(Vec::new, |(kind, content)| content_rules::warnings(kind, content));
    warnings.extend(localization_warnings(committed));
    warnings.extend(left_out::of(&committed.aggregate, ""));
    warnings
}

/// Everything about the images of its own that a phone does not show, or shows otherwise. Their sizes are compared where they are at hand.
pub fn image_warnings(committed: &Committed<Pass>, sizes: &BTreeMap<ImageFile, PngHeader>) -> Vec<Finding> {
    let aggregate = &committed.aggregate;
    let (Some((kind, _)), Some(own)) = (aggregate.shown(), aggregate.own_images()) else {
        return Vec::new();
    };
    let mut warnings = own_image_warnings(kind, own, sizes);
    if aggregate.open_form().is_some() {
        warnings.retain(|warning| !left_out::is_about_form_logo(warning));
    }
    warnings
}

/// The same for images that a pass of this kind would have.
pub fn own_image_warnings(
    kind: PassKind,
    own: &Images,
    sizes: &BTreeMap<ImageFile, PngHeader>,
) -> Vec<Finding> {
    let files = own.keys().filter_map(|file| ImageFile::parse(file).ok());
    let measured = files.map(|file| {
        let size = sizes.get(&file).copied();
        (file, size)
    });
    lint_images(kind, &measured.collect())
}

/// Everything about the texts in other languages of a pass as it is now that a phone does not show.
pub fn localization_warnings(committed: &Committed<Pass>) -> Vec<Finding> {
    let aggregate = &committed.aggregate;
    let form = aggregate.open_form().into_iter();
    let form: Vec<&str> = form.flat_map(|(form, _)| form.texts()).collect();
    match (aggregate.shown(), aggregate.shown_localizations()) {
        (Some((kind, content)), Some(texts)) => lint_localizations(kind, content.as_map(), &form, texts),
        _ => Vec::new(),
    }
}

/// Checks the content of an order. Returns the faults that refuse it and the warnings for the answer, with pointers below `root`.
pub fn lint(kind: PassKind, content: &Content, root: &str) -> (Vec<Fault>, Vec<Finding>) {
    let below = |pointer: &str| format!("{root}{pointer}");
    let faults = content_rules::refusals(kind, content).into_iter().map(|fault| {
        let pointer = below(&fault.pointer);
        Fault { pointer, ..fault.into() }
    });
    let warnings = content_rules::warnings(kind, content).into_iter().map(|finding| {
        let pointer = below(&finding.pointer);
        Finding { pointer, ..finding }
    });
    (faults.collect(), warnings.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sent: &[&str], expected: &Precondition) {
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append(header::IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        assert_eq!(if_match(&headers), *expected, "{sent:?}");
    }

    #[test]
    fn if_match_names_states_by_strong_tags() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let etag = |text: &str| ETag::parse(text).unwrap();
        check(&[], &Precondition::None);
        check(&["*"], &Precondition::Any);
        check(&[&format!("\"{a}\"")], &Precondition::OneOf(vec![etag(&a)]));
        check(&[&format!("\"{a}\", \"{b}\"")], &Precondition::OneOf(vec![etag(&a), etag(&b)]));
        check(&[&format!("\"{a}\""), &format!("\"{b}\"")], &Precondition::OneOf(vec![etag(&a), etag(&b)]));
        check(&[&format!("W/\"{a}\"")], &Precondition::OneOf(vec![]));
        check(&["nonsense"], &Precondition::OneOf(vec![]));
        check(&[""], &Precondition::OneOf(vec![]));
    }
}
