//! The form of a rewards programme that Wallet offers with a pass, and the person who has filled it in.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use honoken_domain::organization::Scope;
use honoken_domain::pass::PassCommand;
use honoken_domain::personalization::{PersonalizationField, PersonalizationForm};
use honoken_pkpass::{Finding, Severity};
use honoken_service::personalization::Person;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::auth::integrator::Integrator;
use crate::error::ApiError;
use crate::extractors::json_body::{self, Fields};
use crate::extractors::path::Segments;
use crate::limits;
use crate::manage::change::Change;
use crate::manage::left_out;
use crate::openapi::answers::Changed;
use crate::openapi::parameters::{IfMatch, Urgent};
use crate::openapi::problems::{Conflict, NotFound, PreconditionFailed, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::MANAGE;
use crate::openapi::{examples, schemas};
use crate::state::AppState;

/// Characters of the longest description: it stands under the logo.
const DESCRIPTION: usize = 2000;

/// Characters of the longest terms.
const TERMS: usize = 64 * 1024;

const NO_FORM: ApiError = ApiError::NotFound { what: "form" };

/// The form.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PersonalizationForm, rename_all = "camelCase", example = examples::form)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct Body {
    /// What the person is asked for; at least one, none twice.
    #[schema(schema_with = schemas::personalization_fields)]
    required_personalization_fields: Vec<String>,
    /// The text under the logo.
    #[schema(min_length = 1, max_length = 2000)]
    description: String,
    /// The text that the person agrees to; links are HTML.
    #[schema(min_length = 1, max_length = 65536, required = false)]
    terms_and_conditions: Option<String>,
}

/// The form of a pass, with the person who has filled it in.
#[derive(Debug, ToSchema)]
#[schema(as = Personalization, rename_all = "camelCase", example = examples::personalization)]
#[expect(dead_code, reason = "describes the answer, which is a form with one more member")]
struct AnswerShape {
    /// What the person is asked for.
    #[schema(schema_with = schemas::personalization_fields)]
    required_personalization_fields: Vec<String>,
    /// The text under the logo.
    description: String,
    /// The text that the person agrees to; links are HTML.
    #[schema(required = false, nullable = false)]
    terms_and_conditions: Option<String>,
    /// Once a person has filled in the form, for a key with the scope `passes:write`: what the form asked for, by Apple's names. Null when the data
    /// was destroyed.
    #[schema(value_type = Option<std::collections::BTreeMap<String, serde_json::Value>>, required = false)]
    person: Option<Person>,
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    form: PersonalizationForm,
    /// Null when the data was destroyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<Value>,
}

/// `GET /manage/v1/passes/{type}/{serial}/personalization`
///
/// The form of a pass. Once a person has filled it in, the answer also has the person, for a key with the scope `passes:write`.
///
/// # Errors
/// 401, 404 when the pass has no form, 503.
#[utoipa::path(
    get, path = "/manage/v1/passes/{type}/{serial}/personalization", tag = MANAGE,
    operation_id = "getPersonalization", summary = "Get the form of a pass and the person who has filled it in",
    responses((status = 200, body = AnswerShape, description = "The form, and the person once there is one."), NotFound),
)]
pub async fn get(
    State(app): State<AppState>,
    integrator: Integrator,
    segments: Segments,
) -> Result<Response, ApiError> {
    let id = segments.pass().ok_or(ApiError::NO_PASS)?;
    let row = app.read_model.personalization(&id).await?;
    let row = row.filter(|row| row.organization_id == integrator.organization_id).ok_or(NO_FORM)?;
    let may_see = integrator.require(&[Scope::PassesWrite]).is_ok();
    let person = match row.enrolled.filter(|_| may_see) {
        Some(enrolled) => {
            let person = app.personalizations.open(&id, &enrolled.token, &enrolled.person).await?;
            Some(person.map_or(Value::Null, |person| json!(person)))
        }
        None => None,
    };
    Ok(Json(Answer { form: row.form, person }).into_response())
}

/// `PUT /manage/v1/passes/{type}/{serial}/personalization`
///
/// Gives the pass a form that Wallet offers to its owner. The logo of the form is the image `personalizationLogo.png`. The form is in the file
/// while the pass has a logo and `nfc`, its certificate may sign passes with NFC, and no person has filled it in; else a warning says what is
/// missing.
///
/// # Errors
/// 400, 401, 404, 409 when the pass is retired, 412, 413, 415, 422 with pointers, 503.
#[utoipa::path(
    put, path = "/manage/v1/passes/{type}/{serial}/personalization", tag = MANAGE,
    operation_id = "putPersonalization", summary = "Give a pass the form of a rewards programme",
    params(IfMatch, Urgent), request_body = Body,
    responses(Changed, NotFound, Conflict, PreconditionFailed, UnsupportedMediaType, Unacceptable),
)]
pub async fn put(change: Change, request: Request) -> Result<Response, ApiError> {
    let pass_type = change.own_pass_type().await?;
    let form = read(json_body::read_json(request, limits::JSON_BYTES).await?)?;
    let committed = change.dispatch(pass_type, PassCommand::SetPersonalization(form)).await?;
    let mut warnings: Vec<Finding> = left_out::of_form(&committed.aggregate).into_iter().collect();
    if committed.aggregate.enrolment().is_some() {
        warnings.push(already_enrolled());
    }
    Ok(change.answer(&committed, warnings).await?.into_response())
}

/// `DELETE /manage/v1/passes/{type}/{serial}/personalization`
///
/// Takes the form away. The data of the person who has filled it in is destroyed and cannot be read any more, also where the pass is retired.
///
/// # Errors
/// 401, 404, 412, 422, 503; after a 503 the data may still be there, so repeat the request.
#[utoipa::path(
    delete, path = "/manage/v1/passes/{type}/{serial}/personalization", tag = MANAGE,
    operation_id = "deletePersonalization", summary = "Take the form of a pass away and destroy the data of its person",
    params(IfMatch, Urgent), responses(Changed, NotFound, PreconditionFailed, Unacceptable),
)]
pub async fn delete(change: Change) -> Result<Response, ApiError> {
    let pass_type = change.own_pass_type().await?;
    let committed = change.dispatch(pass_type, PassCommand::RemovePersonalization).await?;
    // Also when nothing changed: the request before may have ended in between.
    change.app.personalizations.destroy(&change.id).await?;
    Ok(change.answer(&committed, Vec::new()).await?.into_response())
}

fn already_enrolled() -> Finding {
    Finding {
        severity: Severity::Warning,
        code: "already_enrolled".into(),
        pointer: String::new(),
        detail: "a person has filled in the form of this pass, so it is not offered again; `DELETE` it first, which destroys the person's data"
            .to_owned(),
    }
}

fn read(body: Value) -> Result<PersonalizationForm, ApiError> {
    let mut fields = Fields::of(body)?;
    let asked = fields.required("requiredPersonalizationFields");
    let required_personalization_fields = asked_for(&mut fields, asked);
    let description = fields.required("description");
    let description =
        fields.parse("description", description, |text| text_of(text, "description", DESCRIPTION));
    let terms = fields.optional("termsAndConditions");
    let terms_and_conditions =
        fields.parse("termsAndConditions", terms, |text| text_of(text, "termsAndConditions", TERMS));
    fields.finish()?;
    match description {
        Some(description) => {
            Ok(PersonalizationForm { required_personalization_fields, description, terms_and_conditions })
        }
        // A missing description was recorded as a fault, and `finish` has refused the body.
        None => Err(ApiError::Internal("a faulty form was accepted".into())),
    }
}

fn text_of(text: String, name: &str, most: usize) -> Result<String, String> {
    let is_allowed = |c: char| !c.is_control() || "\n\r\t".contains(c);
    if !text.trim().is_empty() && text.chars().count() <= most && text.chars().all(is_allowed) {
        Ok(text)
    } else {
        Err(format!(
            "`{name}` must have 1 to {most} characters, and no control characters but tabs and line breaks"
        ))
    }
}

fn asked_for(fields: &mut Fields, value: Option<Value>) -> Vec<PersonalizationField> {
    const AT: &str = "/requiredPersonalizationFields";
    let names = match value {
        None => return Vec::new(),
        Some(Value::Array(names)) => names,
        Some(_) => {
            fields.fault("wrong_type", AT, "`requiredPersonalizationFields` must be an array of strings");
            return Vec::new();
        }
    };
    let known = PersonalizationField::ALL.map(PersonalizationField::as_str).join("`, `");
    if names.is_empty() {
        fields.fault("invalid", AT, format!("name at least one of `{known}`"));
    }
    let (mut asked, mut seen) = (Vec::new(), BTreeSet::new());
    for (index, name) in names.iter().enumerate() {
        let pointer = format!("{AT}/{index}");
        match name.as_str().and_then(PersonalizationField::parse) {
            Some(field) if seen.insert(field) => asked.push(field),
            Some(_) => fields.fault("invalid", pointer, "this field is named twice; remove one of them"),
            None => fields.fault("invalid", pointer, format!("must be one of `{known}`")),
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_is_read_as_apple_writes_it() {
        let form = json!({
            "requiredPersonalizationFields": ["PKPassPersonalizationFieldName", "PKPassPersonalizationFieldEmailAddress"],
            "description": "Join the club",
            "termsAndConditions": "<a href=\"https://example.com\">Terms</a>\nof the club"
        });
        assert_eq!(serde_json::to_value(read(form.clone()).unwrap()).unwrap(), form);
    }

    #[test]
    fn a_form_is_refused_with_the_place_and_the_remedy() {
        let name = "PKPassPersonalizationFieldName";
        let with = |fields: Value| json!({ "requiredPersonalizationFields": fields, "description": "d" });
        for (body, pointer) in [
            (with(json!([])), "/requiredPersonalizationFields"),
            (with(json!("x")), "/requiredPersonalizationFields"),
            (with(json!([name, "PKPassPersonalizationFieldShoeSize"])), "/requiredPersonalizationFields/1"),
            (with(json!([name, name])), "/requiredPersonalizationFields/1"),
            (with(json!([7])), "/requiredPersonalizationFields/0"),
            (json!({ "description": "d" }), "/requiredPersonalizationFields"),
            (json!({ "requiredPersonalizationFields": [name] }), "/description"),
            (json!({ "requiredPersonalizationFields": [name], "description": " " }), "/description"),
            (json!({ "requiredPersonalizationFields": [name], "description": "a\u{7}" }), "/description"),
            (
                json!({ "requiredPersonalizationFields": [name], "description": "x".repeat(2001) }),
                "/description",
            ),
            (
                json!({ "requiredPersonalizationFields": [name], "description": "d", "termsAndConditions": 1 }),
                "/termsAndConditions",
            ),
            (json!({ "requiredPersonalizationFields": [name], "description": "d", "logo": 1 }), "/logo"),
        ] {
            let Err(ApiError::Unacceptable { errors }) = read(body.clone()) else {
                panic!("accepted {body}")
            };
            assert_eq!(errors[0].pointer, pointer, "{body}");
        }
    }
}
