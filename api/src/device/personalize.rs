//! Enrol the person who has filled in the form of a pass: 200 with the signature over the phone's token.
//! <https://developer.apple.com/documentation/walletpasses/personalize>

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use honoken_domain::ids::{Digest, PassId};
use honoken_domain::pass::{Circumstances, Pass, PassCommand, Precondition};
use honoken_domain::personalization::Enrolment;
use honoken_pkpass::PersonalizationToken;
use honoken_projections::personalization::PersonalizationRow;
use honoken_service::personalization::Person;
use honoken_service::{content_rules, limits as service_limits};
use honoken_telemetry::request::caller_is_known;
use http::header;
use serde_json::Value;
use utoipa::ToSchema;

use crate::device::register::not_visible;
use crate::error::ApiError;
use crate::extractors::client::Client;
use crate::extractors::json_body::{self, Fields};
use crate::extractors::path::Segments;
use crate::extractors::request_id::RequestId;
use crate::limits;
use crate::openapi::examples;
use crate::openapi::problems::{TooManyPersonalizations, UnauthorizedDevice};
use crate::openapi::schemas::SignatureBytes;
use crate::openapi::tags::DEVICE;
use crate::state::{App, AppState};

/// The actor of the event.
const ACTOR: &str = "device:personalization";

/// The filled-in form. Other members are ignored, as Apple may add some.
#[derive(Debug, ToSchema)]
#[schema(as = FilledInForm, rename_all = "camelCase", example = examples::filled_in_form)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct Body {
    /// The token that is signed, as it is.
    #[schema(min_length = 1, max_length = 512, pattern = "^[A-Za-z0-9+/=_.-]+$")]
    personalization_token: String,
    /// The person, by Apple's names. Members that the form did not ask for are not kept.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    required_personalization_info: BTreeMap<String, String>,
}

/// What a phone sent.
struct FilledIn {
    token: PersonalizationToken,
    person: BTreeMap<String, String>,
}

/// `POST /v1/passes/{type}/{serial}/personalize`
///
/// Apple: <https://developer.apple.com/documentation/walletpasses/personalize>
///
/// The answer is the detached signature (CMS, DER) over the UTF-8 text of the token, made with the certificate of the pass type. From then on
/// the pass is served without the form. The same token again gets the same answer. Everything else is one constant 401: a pass without a form, an
/// unknown pass, one with which a person has enrolled, or a body that no phone sends.
///
/// # Errors
/// 401, 408, 429 when too many requests come from one address, 503.
#[utoipa::path(
    post, path = "/v1/passes/{type}/{serial}/personalize", tag = DEVICE,
    operation_id = "personalizePass", summary = "Enrol the person who has filled in the form of a pass",
    request_body = Body,
    responses(
        (status = 200, body = SignatureBytes, content_type = "application/octet-stream", description = "The signature over the token."),
        UnauthorizedDevice, TooManyPersonalizations,
    ),
)]
pub async fn handler(
    State(app): State<AppState>,
    segments: Segments,
    request_id: RequestId,
    Client(client): Client,
    request: Request,
) -> Result<Response, ApiError> {
    app.rates.check_personalization(client)?;
    // Whether a name can exist is clear from the request alone, so nothing is looked up for one that cannot.
    let id = segments.pass().ok_or(ApiError::UnauthorizedDevice)?;
    let filled_in = match json_body::read(request, limits::PERSONALIZATION_BYTES).await {
        Ok(body) => filled_in(&body),
        Err(ApiError::TooLarge { .. } | ApiError::Unreadable { .. }) => None,
        Err(fault) => return Err(fault),
    };
    // Looked up whatever the body says, so that all refusals take the same work.
    let row = app.read_model.personalization(&id).await?;
    let (Some(filled_in), Some(row)) = (filled_in, row) else { return Err(ApiError::UnauthorizedDevice) };
    let token = Digest::of(filled_in.token.as_str().as_bytes());
    let is_open = row.enrolled.as_ref().is_none_or(|enrolled| enrolled.token == token);
    if row.retired || !is_open {
        return Err(ApiError::UnauthorizedDevice);
    }
    caller_is_known();
    let enrolment = enrolment(&app, &id, &row, filled_in, token).await?;
    enrol(&app, &id, row, enrolment, &request_id).await
}

/// Signs the token and seals the person.
async fn enrolment(
    app: &App,
    id: &PassId,
    row: &PersonalizationRow,
    filled_in: FilledIn,
    token: Digest,
) -> Result<Enrolment, ApiError> {
    let FilledIn { token: text, person } = filled_in;
    let signature = app.personalizations.sign(id, text, app.clock.unix_seconds()).await?;
    let person = if let Some(enrolled) = &row.enrolled {
        // The pass knows this token, and answers as it did.
        enrolled.person.clone()
    } else {
        let person = Person::asked_for(&row.form, &person);
        app.personalizations.seal(id, &token, &person).await?
    };
    Ok(Enrolment { token, signature, person })
}

async fn enrol(
    app: &App,
    id: &PassId,
    row: PersonalizationRow,
    enrolment: Enrolment,
    request_id: &RequestId,
) -> Result<Response, ApiError> {
    let pass_type = app.read_model.pass_type(&id.pass_type_identifier).await?;
    // The form is there, so the type is: it is missing only while an event of it is parked.
    let pass_type =
        pass_type.ok_or_else(|| ApiError::Unavailable("the type of the pass is not projected".into()))?;
    let metadata = app.metadata(ACTOR.to_owned(), Some(row.organization_id.as_str()), &request_id.0);
    let circumstances = Circumstances {
        now: app.clock.unix_seconds(),
        organization_id: row.organization_id,
        default_images: pass_type.default_images,
        default_localizations: pass_type.default_localizations,
        allows_nfc: pass_type.allows_nfc,
        precondition: Precondition::None,
        rules: content_rules::refusals,
    };
    let command = PassCommand::Personalize(Box::new(enrolment));
    let dispatched =
        app.dispatcher.dispatch::<Pass>(&id.to_string(), command, &circumstances, &metadata).await;
    let committed = dispatched.map_err(|fault| match fault {
        honoken_event_store::DispatchError::Refused(_) => ApiError::UnauthorizedDevice,
        fault => ApiError::from(fault).for_phone(),
    })?;
    if !app.projector.shows(&committed, service_limits::VISIBLE).await {
        // The phone fetches the pass next, and would find it unchanged. After a 503 it comes back with the same token.
        return Err(not_visible(app, "the enrolment is on disk, but not visible yet").await);
    }
    let enrolment = committed.aggregate.enrolment();
    let signature =
        enrolment.ok_or_else(|| ApiError::Internal("an enrolled pass without an enrolment".into()))?;
    let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, signature.signature.as_der().to_vec()).into_response())
}

/// Reads what a phone sends: a token that is never a manifest, and short texts about the person.
fn filled_in(body: &[u8]) -> Option<FilledIn> {
    let mut fields = Fields::of(json_body::parse(body).ok()?).ok()?;
    let token = fields.optional("personalizationToken")?;
    let token = PersonalizationToken::parse(token.as_str()?).ok()?;
    let Value::Object(members) = fields.optional("requiredPersonalizationInfo")? else { return None };
    let mut person = BTreeMap::new();
    for (name, value) in members {
        match value {
            Value::String(text) if text.chars().count() <= limits::PERSON_CHARACTERS => {
                person.insert(name, text);
            }
            // A phone leaves a member out, or empty, where the person was not asked for it.
            Value::Null => {}
            _ => return None,
        }
    }
    Some(FilledIn { token, person })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Option<(String, usize)> {
        let filled_in = filled_in(body.to_string().as_bytes())?;
        Some((filled_in.token.as_str().to_owned(), filled_in.person.len()))
    }

    #[test]
    fn what_phones_send_is_read() {
        let info =
            json!({ "fullName": "Ada Lovelace", "emailAddress": "ada@example.com", "phoneNumber": null });
        let body =
            json!({ "personalizationToken": "QUJD+/==", "requiredPersonalizationInfo": info, "new": [1] });
        assert_eq!(read(&body), Some(("QUJD+/==".to_owned(), 2)));
    }

    #[test]
    fn what_no_phone_sends_is_refused() {
        let with = |token: Value, info: Value| json!({ "personalizationToken": token, "requiredPersonalizationInfo": info });
        assert!(read(&with(json!("t"), json!({}))).is_some());
        for body in [
            json!([]),
            json!({ "personalizationToken": "t" }),
            json!({ "requiredPersonalizationInfo": {} }),
            with(json!(7), json!({})),
            with(json!(""), json!({})),
            with(json!("{\"pass.json\":\"00\"}"), json!({})),
            with(json!("t"), json!("x")),
            with(json!("t"), json!({ "fullName": 7 })),
            with(json!("t"), json!({ "fullName": { "a": "b" } })),
            with(json!("t"), json!({ "fullName": "x".repeat(513) })),
        ] {
            assert!(read(&body).is_none(), "{body}");
        }
        assert!(filled_in(b"{").is_none());
    }
}
