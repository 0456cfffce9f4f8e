//! The operators that are stored: add, list, change and remove them.

use axum::Json;
use axum::extract::{Request, State};
use honoken_domain::rfc3339;
use honoken_office::operators::{Added, MOST_OPERATORS, NewOperator, OperatorRow, Role};
use honoken_service::operators::{LONGEST_PASSWORD, PasswordError};
use http::StatusCode;
use secrecy::SecretString;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extractors::json_body::{self, Fields};
use crate::extractors::path::Segments;
use crate::limits;
use crate::openapi::answers::Done;
use crate::openapi::problems::{Conflict, MissingRole, NotFound, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::ADMIN;
use crate::openapi::{examples, schemas};
use crate::state::{App, AppState};

const NO_OPERATOR: ApiError = ApiError::NotFound { what: "operator" };

/// An operator to be added.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOperator, example = examples::new_operator)]
struct Order {
    /// The name to log in with.
    #[schema(min_length = 1, max_length = 64, pattern = "^[^:]*$")]
    name: String,
    /// What the operator may do.
    #[schema(schema_with = schemas::role)]
    role: Role,
    /// The password, of which only the argon2 hash is stored: at least 12 characters; in `dev`, one.
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 1024)]
    password: SecretString,
}

/// What is to be changed of an operator.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OperatorChange, example = examples::operator_change)]
struct Change {
    /// What the operator may do from now on.
    #[schema(schema_with = schemas::optional_role, required = false)]
    role: Option<Role>,
    /// The password from now on: at least 12 characters; in `dev`, one.
    #[schema(value_type = Option<String>, format = Password, min_length = 1, max_length = 1024, required = false)]
    password: Option<SecretString>,
}

/// Every operator.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Operators, example = examples::operators)]
pub struct Operators {
    operators: Vec<Entry>,
}

/// An operator, without the password.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Operator, example = examples::operator)]
pub struct Entry {
    name: String,
    #[schema(schema_with = schemas::role)]
    role: &'static str,
    /// Null for the operator of the configuration.
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// Whether this is the operator of the configuration, which is not stored and cannot be changed here.
    configured: bool,
}

impl From<OperatorRow> for Entry {
    fn from(row: OperatorRow) -> Self {
        let created_at = Some(rfc3339::seconds(row.created_at));
        Self { name: row.name, role: row.role.as_str(), created_at, configured: false }
    }
}

/// `POST /admin/operators`
///
/// # Errors
/// 401, 403, 409 when the name is taken, 422, 503.
#[utoipa::path(
    post, path = "/operators", tag = ADMIN,
    operation_id = "addOperator", summary = "Add an operator", request_body = Order,
    responses((status = 201, body = Entry, description = "The operator."), Conflict, UnsupportedMediaType, Unacceptable),
)]
pub async fn add(
    State(app): State<AppState>,
    request: Request,
) -> Result<(StatusCode, Json<Entry>), ApiError> {
    let mut fields = Fields::of(json_body::read_json(request, limits::JSON_BYTES).await?)?;
    let name = fields.required("name");
    let name = fields.parse("name", name, parse_name);
    let role = fields.required("role");
    let role = fields.parse("role", role, |text| Role::parse(&text));
    let password = fields.required("password");
    let password = fields.parse("password", password, |text| parse_password(&app, text));
    fields.finish()?;
    let (Some(name), Some(role), Some(password)) = (name, role, password) else {
        return Err(ApiError::Internal("a field is missing without a fault".into()));
    };
    let Order { name, role, password } = Order { name, role, password };
    if is_configured(&app, &name) {
        return Err(name_taken());
    }
    let password_hash = app.operators.hash(&password).await?;
    let revision = app.ids.uuid();
    let at = app.clock.unix_seconds();
    let new = NewOperator { name: &name, role, password_hash: &password_hash, at, revision: &revision };
    match app.office.add_operator(new).await? {
        Added::New => {
            let created_at = Some(rfc3339::seconds(at));
            let entry = Entry { name, role: role.as_str(), created_at, configured: false };
            Ok((StatusCode::CREATED, Json(entry)))
        }
        Added::NameTaken => Err(name_taken()),
        Added::TooMany => Err(ApiError::Conflict {
            code: "too_many_operators",
            detail: format!("there are {MOST_OPERATORS} operators, which is the most: remove one first"),
        }),
    }
}

/// `GET /admin/operators`
///
/// # Errors
/// 401, 403, 503.
#[utoipa::path(
    get, path = "/operators", tag = ADMIN,
    operation_id = "listOperators", summary = "List the operators",
    responses((status = 200, body = Operators, description = "The operators, without their passwords."), MissingRole),
)]
pub async fn list(State(app): State<AppState>) -> Result<Json<Operators>, ApiError> {
    let configured = app.options.admin.as_ref().map(|admin| Entry {
        name: admin.username.clone(),
        role: Role::Owner.as_str(),
        created_at: None,
        configured: true,
    });
    let stored = app.office.operators().await?.into_iter();
    // One who was stored before the same name was configured cannot log in with the stored password alone, and is still listed.
    Ok(Json(Operators { operators: configured.into_iter().chain(stored.map(Entry::from)).collect() }))
}

/// `PATCH /admin/operators/{operator}`
///
/// Holds from the next request on, in every process.
///
/// # Errors
/// 401, 403, 404, 422, 503.
#[utoipa::path(
    patch, path = "/operators/{operator}", tag = ADMIN,
    operation_id = "changeOperator", summary = "Change the role or the password of an operator", request_body = Change,
    responses((status = 200, body = Entry, description = "The operator."), NotFound, UnsupportedMediaType, Unacceptable),
)]
pub async fn change(
    State(app): State<AppState>,
    segments: Segments,
    request: Request,
) -> Result<Json<Entry>, ApiError> {
    let name = segments.get("operator").ok_or(NO_OPERATOR)?;
    let mut fields = Fields::of(json_body::read_json(request, limits::JSON_BYTES).await?)?;
    let role = fields.optional("role");
    let role = fields.parse("role", role, |text| Role::parse(&text));
    let password = fields.optional("password");
    let password = fields.parse("password", password, |text| parse_password(&app, text));
    fields.finish()?;
    let Change { role, password } = Change { role, password };
    let password_hash = match &password {
        Some(password) => Some(app.operators.hash(password).await?),
        None => None,
    };
    let revision = app.ids.uuid();
    let is_there = app.office.change_operator(&name, role, password_hash.as_deref(), &revision).await?;
    let row = if is_there { app.office.operator(&name).await? } else { None };
    Ok(Json(row.ok_or(NO_OPERATOR)?.into()))
}

/// `DELETE /admin/operators/{operator}`
///
/// Holds from the next request on, in every process.
///
/// # Errors
/// 401, 403, 404, 503.
#[utoipa::path(
    delete, path = "/operators/{operator}", tag = ADMIN,
    operation_id = "removeOperator", summary = "Remove an operator", responses(Done, NotFound),
)]
pub async fn remove(State(app): State<AppState>, segments: Segments) -> Result<StatusCode, ApiError> {
    let name = segments.get("operator").ok_or(NO_OPERATOR)?;
    if app.office.remove_operator(&name).await? { Ok(StatusCode::NO_CONTENT) } else { Err(NO_OPERATOR) }
}

fn parse_name(text: String) -> Result<String, &'static str> {
    let is_one = (1..=64).contains(&text.chars().count())
        && !text.contains(':')
        && !text.chars().any(char::is_control)
        && text.trim() == text;
    if is_one {
        Ok(text)
    } else {
        Err("`name` must have 1 to 64 characters, without a colon, control characters, or spaces at its ends")
    }
}

fn parse_password(app: &App, text: String) -> Result<SecretString, String> {
    let fewest = app.options.fewest_password_characters;
    if text.chars().count() >= fewest && text.len() <= LONGEST_PASSWORD {
        Ok(text.into())
    } else {
        Err(format!(
            "`password` must have {fewest} characters at least, and {LONGEST_PASSWORD} bytes at most"
        ))
    }
}

fn is_configured(app: &App, name: &str) -> bool {
    app.options.admin.as_ref().is_some_and(|admin| admin.username == name)
}

fn name_taken() -> ApiError {
    ApiError::Conflict { code: "name_taken", detail: "another operator has this name".to_owned() }
}

impl From<PasswordError> for ApiError {
    fn from(fault: PasswordError) -> Self {
        match fault {
            PasswordError::Office(fault) => fault.into(),
            PasswordError::Hash(_) | PasswordError::Ended => Self::Internal(fault.into()),
        }
    }
}
