//! APNs keys by name: install, list, show, try, revoke.

use std::error::Error;

use axum::Json;
use axum::extract::{Request, State};
use honoken_domain::apns_key::ApnsKeyError;
use honoken_domain::ids::{ApnsKeyId, KeyIdentifier, KeyRef, TeamIdentifier};
use honoken_domain::rfc3339;
use honoken_event_store::{DispatchError, Position};
use honoken_projections::apns_keys::ApnsKeyRow;
use honoken_pushers::ports::Credential;
use honoken_service::apns_keys::file::KeyFile;
use honoken_service::apns_keys::standing::{self, Standing};
use honoken_service::operations::apns_keys::{self, Change, InstallFailure, Order};
use honoken_service::push_credentials;
use honoken_service::pushing::trial::{NoTrial, Verdict};
use honoken_telemetry::error_chain;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::admin::certificates::sealing_keys;
use crate::auth::operator::Operator;
use crate::causes::Refusal;
use crate::damage::Damage;
use crate::error::ApiError;
use crate::extractors::json_body::{self, Fields};
use crate::extractors::path::Segments;
use crate::extractors::request_id::RequestId;
use crate::limits;
use crate::openapi::answers::Done;
use crate::openapi::problems::{Conflict, Damaged, NotFound, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::ADMIN;
use crate::openapi::{examples, schemas};
use crate::state::{App, AppState};

const NO_KEY: ApiError = ApiError::NotFound { what: "APNs key" };

/// An APNs key, as Apple gives it.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ApnsKeyOrder, example = examples::apns_key_order)]
#[expect(dead_code, reason = "the schema of what `put` reads")]
struct Documented {
    /// The developer team of the key.
    #[schema(schema_with = schemas::team_identifier)]
    team_id: String,
    /// Apple's id of the key; it is part of the name of its file.
    #[schema(schema_with = schemas::team_identifier)]
    key_id: String,
    /// The text of the `AuthKey_….p8` from Apple.
    p8: String,
    /// Whether the pass types of the team are pushed with it; without it they are.
    is_active: Option<bool>,
}

/// An APNs key, without its private key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApnsKey, example = examples::apns_key)]
pub struct ApnsKeyAnswer {
    key_ref: String,
    team_id: String,
    key_id: String,
    is_active: bool,
    /// Of several active keys of a team the one that was installed last is in use.
    #[schema(pattern = "^(in use|spare|unusable|revoked)$")]
    state: &'static str,
    /// Why it cannot be used, if it cannot.
    #[schema(required = true)]
    problem: Option<String>,
    /// SHA-256 of the public half.
    fingerprint: String,
    #[schema(format = DateTime, required = true)]
    installed_at: Option<String>,
    /// The number of the encryption key that it is sealed under.
    key_version: u32,
}

/// An APNs key after an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApnsKeyChange, example = examples::apns_key_change)]
pub struct ApnsKeyChange {
    #[serde(flatten)]
    #[schema(inline)]
    key: ApnsKeyAnswer,
    /// Whether the order has changed anything.
    changed: bool,
}

/// The APNs keys.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApnsKeys, example = examples::apns_keys)]
pub struct ApnsKeys {
    apns_keys: Vec<ApnsKeyAnswer>,
}

/// What APNs says about a key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApnsKeyTrial, example = examples::apns_key_trial)]
pub struct Trial {
    /// `unknown` when APNs was not reached, or could not say.
    #[schema(pattern = "^(taken|refused|unknown)$")]
    result: &'static str,
    /// APNs' reason, or what happened on the way there.
    #[schema(required = true)]
    reason: Option<String>,
    /// The pass type that it was tried for.
    pass_type_identifier: String,
}

impl From<Standing> for ApnsKeyAnswer {
    fn from(Standing { row, state, problem }: Standing) -> Self {
        let ApnsKeyRow { installation, installed_at, active, .. } = row;
        Self {
            key_ref: installation.name().to_string(),
            team_id: installation.team_identifier.to_string(),
            key_id: installation.key_identifier.to_string(),
            is_active: active,
            state,
            problem,
            fingerprint: installation.fingerprint.to_string(),
            installed_at: rfc3339::checked(installed_at),
            key_version: installation.private_key.key_version(),
        }
    }
}

/// `PUT /admin/apns-keys/{keyRef}`
///
/// Installs an APNs key under a name. The pass types of its team are pushed with it from then on, in place of their certificates. The private key is
/// sealed before it is stored, and is in no answer. With `"isActive": false` the key is known and not pushed with, which is what `DELETE` does too.
///
/// # Errors
/// 401, 409 `another_key`, `no_encryption_key`, 422, 503.
#[utoipa::path(
    put, path = "/apns-keys/{keyRef}", tag = ADMIN,
    operation_id = "putApnsKey", summary = "Install an APNs key",
    request_body = Documented,
    responses(
        (status = 200, body = ApnsKeyChange, description = "The key is installed."),
        Conflict, UnsupportedMediaType, Unacceptable,
    ),
)]
pub async fn put(
    State(app): State<AppState>,
    operator: Operator,
    request_id: RequestId,
    segments: Segments,
    request: Request,
) -> Result<Json<ApnsKeyChange>, ApiError> {
    let key_ref = KeyRef::parse(segments.get("keyRef").unwrap_or_default())
        .map_err(|fault| ApiError::fault("invalid", "", fault.to_string()))?;
    let mut fields = Fields::of(json_body::read_json(request, limits::JSON_BYTES).await?)?;
    let team = fields.required("teamId");
    let team = fields.parse_id("teamId", team, TeamIdentifier::parse);
    let key = fields.required("keyId");
    let key = fields.parse_id("keyId", key, KeyIdentifier::parse);
    let file = fields.required("p8");
    let file = fields.parse("p8", file, |text| KeyFile::read(Zeroizing::new(text).as_bytes()));
    let is_active = fields.optional_bool("isActive").unwrap_or(true);
    fields.finish()?;
    let (Some(team_identifier), Some(key_identifier), Some(file)) = (team, key, file) else {
        return Err(ApiError::fault("required", "", "`teamId`, `keyId` and `p8` are required"));
    };
    let keys = sealing_keys(&app)?;
    let id = ApnsKeyId { team_identifier, key_identifier };
    let order = Order { key_ref: Some(key_ref), id: id.clone(), file, is_active };
    let metadata = app.metadata(operator.actor(), None, &request_id.0);
    let (change, position) = apns_keys::install(&app.operation(&metadata), keys, order).await?;
    let shown = all(&app).await?.into_iter().find(|standing| {
        standing.row.installation.id() == id && (change == Change::None || standing.row.position >= position)
    });
    let shown = shown.ok_or_else(|| {
        ApiError::Unavailable("the key is installed in the event log, but readers do not see it yet".into())
    })?;
    Ok(Json(ApnsKeyChange { key: shown.into(), changed: change != Change::None }))
}

/// `GET /admin/apns-keys`
///
/// By team, the newest key of each first; revoked ones too.
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    get, path = "/apns-keys", tag = ADMIN,
    operation_id = "listApnsKeys", summary = "List the APNs keys",
    responses((status = 200, body = ApnsKeys, description = "The keys, without their private keys.")),
)]
pub async fn list(State(app): State<AppState>) -> Result<Json<ApnsKeys>, ApiError> {
    let apns_keys = all(&app).await?.into_iter().map(ApnsKeyAnswer::from).collect();
    Ok(Json(ApnsKeys { apns_keys }))
}

/// `GET /admin/apns-keys/{keyRef}`
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/apns-keys/{keyRef}", tag = ADMIN,
    operation_id = "getApnsKey", summary = "Get an APNs key",
    responses((status = 200, body = ApnsKeyAnswer, description = "The key, without its private key."), NotFound),
)]
pub async fn get(State(app): State<AppState>, segments: Segments) -> Result<Json<ApnsKeyAnswer>, ApiError> {
    let row = row(&app, &segments).await?;
    let shown =
        all(&app).await?.into_iter().find(|shown| shown.row.installation.id() == row.installation.id());
    Ok(Json(shown.ok_or(NO_KEY)?.into()))
}

/// `DELETE /admin/apns-keys/{keyRef}`
///
/// Nothing is pushed with the key any more. The pass types of its team are pushed with another key of the team, or with their certificates. Only Apple
/// can revoke it everywhere.
///
/// # Errors
/// 401, 404, 409 `stream_damaged`, 503.
#[utoipa::path(
    delete, path = "/apns-keys/{keyRef}", tag = ADMIN,
    operation_id = "revokeApnsKey", summary = "Stop pushing with an APNs key", responses(Done, NotFound, Damaged),
)]
pub async fn delete(
    State(app): State<AppState>,
    operator: Operator,
    request_id: RequestId,
    segments: Segments,
) -> Result<StatusCode, ApiError> {
    let row = row(&app, &segments).await?;
    let metadata = app.metadata(operator.actor(), None, &request_id.0);
    apns_keys::revoke(&app.operation(&metadata), &row.installation.id()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /admin/apns-keys/{keyRef}/test`
///
/// Asks APNs about the key, with a push to a device that does not exist: no phone is woken. `taken`: APNs takes the key for a pass type of its team.
///
/// # Errors
/// 401, 404, 409 when the key is revoked or does not open, its team has no pass type here, or this service sends no pushes, 503.
#[utoipa::path(
    post, path = "/apns-keys/{keyRef}/test", tag = ADMIN,
    operation_id = "testApnsKey", summary = "Ask APNs whether it takes a key",
    responses((status = 200, body = Trial, description = "What APNs says."), NotFound, Conflict),
)]
pub async fn test(State(app): State<AppState>, segments: Segments) -> Result<Json<Trial>, ApiError> {
    let ApnsKeyRow { installation, active, .. } = row(&app, &segments).await?;
    if !active {
        let detail = "the APNs key is revoked: install it again to push with it".to_owned();
        return Err(ApiError::Conflict { code: "revoked", detail });
    }
    let key = push_credentials::open(app.keys.as_ref(), &installation)
        .map_err(|fault| ApiError::Conflict { code: "unusable_key", detail: error_chain(&fault) })?;
    let team = &installation.team_identifier;
    let pass_type = app.read_model.pass_type_of_team(team).await?.ok_or_else(|| ApiError::Conflict {
        code: "no_pass_type",
        detail: format!(
            "no pass type here is of team {team}, so there is nothing that could be pushed with the key"
        ),
    })?;
    let verdict = app.trials.of(&Credential::Key(key.into()), pass_type.clone()).await?;
    let (result, reason) = match verdict {
        Verdict::Taken => ("taken", None),
        Verdict::Refused(reason) => ("refused", Some(reason)),
        Verdict::Unknown(reason) => ("unknown", Some(reason)),
    };
    Ok(Json(Trial { result, reason, pass_type_identifier: pass_type.to_string() }))
}

async fn all(app: &App) -> Result<Vec<Standing>, ApiError> {
    let rows = app.read_model.apns_keys_changed_after(Position(0)).await?;
    Ok(standing::of(rows, app.keys.as_ref()))
}

/// The key of the name in the path.
async fn row(app: &App, segments: &Segments) -> Result<ApnsKeyRow, ApiError> {
    let key_ref = KeyRef::parse(segments.get("keyRef").unwrap_or_default()).map_err(|_| NO_KEY)?;
    let rows = app.read_model.apns_keys_changed_after(Position(0)).await?;
    apns_keys::of_name(rows, &key_ref).ok_or(NO_KEY)
}

impl Refusal for ApnsKeyError {
    fn into_api_error(self) -> ApiError {
        let detail = self.to_string();
        match self {
            Self::Unknown => NO_KEY,
            // It was replaced at the same moment.
            Self::AnotherInstalled { .. } => ApiError::Conflict { code: "another_installed", detail },
        }
    }

    fn of_damaged(id: &str, cause: Box<dyn Error + Send + Sync>) -> ApiError {
        let damage = Damage::of(format!("the APNs key {id}"), cause);
        ApiError::Damaged(damage.or(", or install another key of the team and revoke this one at Apple"))
    }
}

impl From<InstallFailure> for ApiError {
    fn from(failure: InstallFailure) -> Self {
        match failure {
            InstallFailure::AnotherKey { .. } => {
                Self::Conflict { code: "another_key", detail: failure.to_string() }
            }
            InstallFailure::ApnsKey(DispatchError::Refused(refusal)) => refusal.into_api_error(),
            InstallFailure::ApnsKey(fault) => fault.into(),
            InstallFailure::Query(fault) => fault.into(),
        }
    }
}

impl From<NoTrial> for ApiError {
    fn from(failure: NoTrial) -> Self {
        match failure {
            NoTrial::NotSent(why) => Self::Conflict { code: "nothing_is_pushed", detail: why.to_owned() },
            NoTrial::Configuration(_) => Self::Internal(failure.into()),
        }
    }
}
