//! The API keys of an organisation: make, list, rotate and revoke them.

use std::error::Error;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use honoken_domain::ids::{Digest, OrganizationId, UnixSeconds};
use honoken_domain::organization::{Organization, OrganizationCommand, OrganizationError, Scope, Scopes};
use honoken_domain::rfc3339;
use honoken_event_store::Committed;
use honoken_projections::organizations::ApiKeyRow;
use honoken_service::{ids, limits as service_limits};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::auth::operator::Operator;
use crate::causes::Refusal;
use crate::damage::Damage;
use crate::error::{ApiError, Fault};
use crate::extractors::json_body::{self, Fields};
use crate::extractors::path::Segments;
use crate::extractors::request_id::RequestId;
use crate::limits;
use crate::openapi::answers::Done;
use crate::openapi::problems::{Conflict, Damaged, NotFound, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::ADMIN;
use crate::openapi::{examples, schemas};
use crate::state::{App, AppState};

pub(super) const NO_ORGANIZATION: ApiError = ApiError::NotFound { what: "organisation" };
const NO_KEY: ApiError = ApiError::NotFound { what: "API key" };

/// What a new key is for.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey, rename_all = "camelCase", example = examples::new_api_key)]
struct NewKey {
    /// The purpose of the key, in the operator's words.
    #[schema(min_length = 1, max_length = 256)]
    label: String,
    /// What its holder may do. Without it: everything but `passes:import` and `passes:erase`.
    #[schema(schema_with = schemas::optional_scopes, required = false)]
    scopes: Scopes,
    /// The moment from which on the key is refused. Without it the key does not end by itself.
    #[schema(value_type = Option<String>, format = DateTime, required = false)]
    expires_at: Option<UnixSeconds>,
}

/// How a key is replaced.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RotateApiKey, rename_all = "camelCase", example = examples::rotate_api_key)]
struct Rotation {
    /// Seconds for which the old key still works.
    #[schema(value_type = Option<i64>, default = 86_400, minimum = 0, maximum = 31_536_000, required = false)]
    overlap_seconds: i64,
}

/// A key that was made: the only answer that has it.
#[derive(Serialize, ToSchema)]
#[schema(as = MadeApiKey, example = examples::made_api_key)]
struct Made {
    /// The name of the key in lists, addresses and events.
    id: String,
    /// The key itself. It is stored nowhere.
    key: String,
}

/// The keys of an organisation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeys, example = examples::api_keys)]
pub struct Keys {
    keys: Vec<Entry>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiKey)]
struct Entry {
    /// The beginning of the key's SHA-256; events name it as `api-key:…`.
    id: String,
    label: String,
    #[schema(schema_with = schemas::scopes)]
    scopes: Vec<&'static str>,
    #[schema(format = DateTime)]
    created_at: String,
    /// The moment from which on it is refused.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The last use, to the hour.
    #[schema(format = DateTime)]
    last_used: Option<String>,
    revoked: bool,
}

/// `POST /admin/organizations/{organization}/keys`
///
/// The answer has the key itself, which is shown this once.
///
/// # Errors
/// 401, 404, 409 when the organisation has too many keys, 422, 503.
#[utoipa::path(
    post, path = "/organizations/{organization}/keys", tag = ADMIN,
    operation_id = "createApiKey", summary = "Make an API key for an organisation", request_body = NewKey,
    responses((status = 201, body = Made, description = "The key."), NotFound, Conflict, UnsupportedMediaType, Unacceptable),
)]
pub async fn create(
    State(app): State<AppState>,
    operator: Operator,
    request_id: RequestId,
    segments: Segments,
    request: Request,
) -> Result<Response, ApiError> {
    let organization_id = organization(&segments)?;
    let NewKey { label, scopes, expires_at } =
        order(json_body::read_json(request, limits::JSON_BYTES).await?, app.clock.unix_seconds())?;
    let made = Made::new(&app);
    let key_digest = made.digest();
    let add = OrganizationCommand::AddApiKey { key_digest, label, scopes, expires_at };
    let committed = dispatch(&app, &organization_id, add, &operator, &request_id).await?;
    // A key that readers do not see yet works a moment later, and it can be shown only now.
    app.projector.shows(&committed, service_limits::VISIBLE).await;
    Ok(made.into_response())
}

/// `GET /admin/organizations/{organization}/keys`
///
/// Lists every key, revoked ones too, the oldest first. The keys themselves are stored nowhere.
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/organizations/{organization}/keys", tag = ADMIN,
    operation_id = "listApiKeys", summary = "List the API keys of an organisation",
    responses((status = 200, body = Keys, description = "The keys."), NotFound),
)]
pub async fn list(State(app): State<AppState>, segments: Segments) -> Result<Json<Keys>, ApiError> {
    let organization_id = organization(&segments)?;
    app.read_model.organization_name(&organization_id).await?.ok_or(NO_ORGANIZATION)?;
    let rows = app.read_model.api_keys_of(&organization_id).await?;
    let uses = app.office.key_uses().await?;
    let entry = |row: ApiKeyRow| Entry {
        id: row.id().to_owned(),
        scopes: row.scopes.names().collect(),
        created_at: rfc3339::seconds(row.added_at),
        expires_at: row.expires_at.map(rfc3339::seconds),
        last_used: uses.get(&row.key_digest).copied().map(rfc3339::seconds),
        revoked: row.revoked,
        label: row.label,
    };
    Ok(Json(Keys { keys: rows.into_iter().map(entry).collect() }))
}

/// `DELETE /admin/organizations/{organization}/keys/{key}`
///
/// Revokes a key for ever. Once this is answered, no process takes the key any more.
///
/// # Errors
/// 401, 404, 409 `stream_damaged`, 503 when the key is revoked and some process may not know it yet.
#[utoipa::path(
    delete, path = "/organizations/{organization}/keys/{key}", tag = ADMIN,
    operation_id = "revokeApiKey", summary = "Revoke an API key", responses(Done, NotFound, Damaged),
)]
pub async fn revoke(
    State(app): State<AppState>,
    operator: Operator,
    request_id: RequestId,
    segments: Segments,
) -> Result<StatusCode, ApiError> {
    let row = key(&app, &segments).await?;
    let revoke = OrganizationCommand::RevokeApiKey { key_digest: row.key_digest };
    let committed = dispatch(&app, &row.organization_id, revoke, &operator, &request_id).await?;
    if app.projector.shows(&committed, service_limits::VISIBLE).await {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::Unavailable(
            "the key is revoked in the event log, but readers do not see it yet".into(),
        ))
    }
}

/// `POST /admin/organizations/{organization}/keys/{key}/rotate`
///
/// Makes another key with the same label and scopes. The old one ends after the overlap, unless it ends before. A key that was made to end gets a
/// successor with the same lifetime. The body may be left out.
///
/// # Errors
/// 401, 404, 409 when the key is revoked or has ended, 422, 503.
#[utoipa::path(
    post, path = "/organizations/{organization}/keys/{key}/rotate", tag = ADMIN,
    operation_id = "rotateApiKey", summary = "Replace an API key", request_body = Rotation,
    responses((status = 201, body = Made, description = "The new key."), NotFound, Conflict, UnsupportedMediaType, Unacceptable),
)]
pub async fn rotate(
    State(app): State<AppState>,
    operator: Operator,
    request_id: RequestId,
    segments: Segments,
    request: Request,
) -> Result<Response, ApiError> {
    let row = key(&app, &segments).await?;
    let body = json_body::read_json_or_nothing(request, limits::JSON_BYTES).await?;
    let mut fields = Fields::of(body.unwrap_or_else(|| Value::Object(Map::new())))?;
    let overlap_seconds = fields.optional_integer("overlapSeconds", 0..=LONGEST_OVERLAP);
    fields.finish()?;
    let Rotation { overlap_seconds } = Rotation { overlap_seconds: overlap_seconds.unwrap_or(USUAL_OVERLAP) };
    let (made, now) = (Made::new(&app), app.clock.unix_seconds());
    let lifetime = row.expires_at.map(|end| end.0.saturating_sub(row.added_at.0));
    let rotate = OrganizationCommand::RotateApiKey {
        key_digest: row.key_digest,
        new_digest: made.digest(),
        new_expires_at: lifetime.map(|seconds| UnixSeconds(now.0.saturating_add(seconds))),
        now,
        ends_at: UnixSeconds(now.0.saturating_add(overlap_seconds)),
    };
    let committed = dispatch(&app, &row.organization_id, rotate, &operator, &request_id).await?;
    app.projector.shows(&committed, service_limits::VISIBLE).await;
    Ok(made.into_response())
}

/// Seconds for which a key that was rotated still works: a day.
const USUAL_OVERLAP: i64 = 24 * 60 * 60;

/// The most of them: a year.
const LONGEST_OVERLAP: i64 = 365 * 24 * 60 * 60;

impl Made {
    fn new(app: &App) -> Self {
        let key = format!("honoken_{}", ids::secret(&*app.ids));
        let id = Digest::of(key.as_bytes()).as_str()[..ApiKeyRow::ID_DIGITS].to_owned();
        Self { id, key }
    }

    fn digest(&self) -> Digest {
        Digest::of(self.key.as_bytes())
    }
}

impl IntoResponse for Made {
    fn into_response(self) -> Response {
        let no_store = HeaderValue::from_static("no-store");
        (StatusCode::CREATED, [(header::CACHE_CONTROL, no_store)], Json(self)).into_response()
    }
}

fn order(body: Value, now: UnixSeconds) -> Result<NewKey, ApiError> {
    let mut fields = Fields::of(body)?;
    let label = fields.required("label");
    let label = fields.parse("label", label, |text| {
        let is_one =
            !text.trim().is_empty() && text.chars().count() <= 256 && !text.chars().any(char::is_control);
        if is_one { Ok(text) } else { Err("`label` must have 1 to 256 characters and no control characters") }
    });
    let scopes = scopes(&mut fields);
    let expires_at = fields.optional("expiresAt");
    let expires_at = fields.parse("expiresAt", expires_at, |text| match rfc3339::parse(&text) {
        Some(end) if end > now => Ok(end),
        Some(_) => Err("`expiresAt` must be in the future"),
        None => Err("`expiresAt` must be a moment as RFC 3339 writes it, like 2027-03-01T19:30:00+01:00"),
    });
    fields.finish()?;
    Ok(NewKey { label: label.unwrap_or_default(), scopes, expires_at })
}

fn scopes(fields: &mut Fields) -> Scopes {
    let Some(value) = fields.optional("scopes") else { return Scopes::default() };
    let Some(names) = value.as_array().filter(|names| !names.is_empty()) else {
        let detail =
            "`scopes` must be an array that names one scope at least; without it the key has the usual ones";
        fields.fault("invalid", "/scopes", detail);
        return Scopes::default();
    };
    let mut found = Vec::new();
    for (place, name) in names.iter().enumerate() {
        match Scope::parse(name.as_str().unwrap_or_default()) {
            Ok(scope) => found.push(scope),
            Err(fault) => fields.note(Fault::new("invalid", format!("/scopes/{place}"), fault.to_string())),
        }
    }
    Scopes::of(found)
}

/// The organisation in the path.
pub(super) fn organization(segments: &Segments) -> Result<OrganizationId, ApiError> {
    OrganizationId::parse(segments.get("organization").unwrap_or_default()).map_err(|_| NO_ORGANIZATION)
}

/// The key in the path.
async fn key(app: &App, segments: &Segments) -> Result<ApiKeyRow, ApiError> {
    let organization_id = organization(segments)?;
    let id = segments.get("key").unwrap_or_default();
    let rows = app.read_model.api_keys_of(&organization_id).await?;
    rows.into_iter().find(|row| row.id() == id).ok_or(NO_KEY)
}

async fn dispatch(
    app: &App,
    organization_id: &OrganizationId,
    command: OrganizationCommand,
    operator: &Operator,
    request_id: &RequestId,
) -> Result<Committed<Organization>, ApiError> {
    let id = organization_id.as_str();
    let metadata = app.metadata(operator.actor(), Some(id), &request_id.0);
    Ok(app.dispatcher.dispatch::<Organization>(id, command, &(), &metadata).await?)
}

impl Refusal for OrganizationError {
    fn into_api_error(self) -> ApiError {
        let detail = self.to_string();
        match self {
            Self::Unknown => NO_ORGANIZATION,
            Self::UnknownKey => NO_KEY,
            Self::AlreadyCreated => ApiError::Conflict { code: "already_created", detail },
            Self::TooManyKeys => ApiError::Conflict { code: "too_many_keys", detail },
            Self::KeyExpired => ApiError::Conflict { code: "key_expired", detail },
            Self::KeyRevoked => ApiError::Conflict { code: "key_revoked", detail },
        }
    }

    fn of_damaged(id: &str, cause: Box<dyn Error + Send + Sync>) -> ApiError {
        ApiError::Damaged(Damage::of(format!("the organisation {id}"), cause))
    }
}
