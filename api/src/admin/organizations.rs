//! Organisations: make them on purpose, list them, rename, disable and limit them.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use honoken_domain::ids::OrganizationId;
use honoken_domain::organization::{Organization, OrganizationChange};
use honoken_projections::organizations::OrganizationRow;
use honoken_service::operations::organizations;
use http::{StatusCode, Uri};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::admin::keys::organization;
use crate::auth::operator::Operator;
use crate::error::ApiError;
use crate::extractors::json_body::{self, Fields};
use crate::extractors::paging::Paging;
use crate::extractors::path::Segments;
use crate::extractors::request_id::RequestId;
use crate::limits;
use crate::openapi::problems::{Conflict, Damaged, NotFound, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::ADMIN;
use crate::openapi::{examples, schemas};
use crate::state::AppState;

/// A new organisation.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrganizationOrder, example = examples::organization_order)]
#[expect(dead_code, reason = "the schema of what `post` reads")]
struct Documented {
    /// Its name in this service.
    #[schema(schema_with = schemas::organization_id)]
    id: String,
    /// Its name for people: the `organizationName` of passes whose content names no other.
    #[schema(schema_with = schemas::name_for_people)]
    name: String,
    /// Whether it is for trying: the same rules hold, nothing is pushed to Apple for it, and the answers to its keys carry `Honoken-Test: true`. It
    /// stays one for ever.
    #[schema(default = false)]
    test: Option<bool>,
}

/// What is to be different about an organisation; what is left out stays.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = OrganizationChange, example = examples::organization_change)]
#[expect(dead_code, reason = "the schema of what `patch` reads")]
struct DocumentedChange {
    /// Its name for operators. Passes whose content names no `organizationName` keep the first name.
    #[schema(schema_with = schemas::optional_name_for_people, required = false)]
    name: String,
    /// Whether its API keys get 403 `organization_disabled` and nothing is pushed for it; phones are served.
    disabled: Option<bool>,
    /// The most bytes that the images have in all which it has uploaded; `null` for no limit.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    image_bytes: Option<i64>,
}

/// An organisation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Organization, example = examples::organization)]
pub struct OrganizationAnswer {
    id: String,
    /// Its name for operators.
    name: String,
    /// Whether it is for trying: nothing is pushed to Apple for it.
    test: bool,
    disabled: bool,
    /// The most bytes that the images have in all which it has uploaded; `null` for no limit.
    #[schema(required = true)]
    image_bytes: Option<u64>,
}

/// A page of organisations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationList, example = examples::organizations)]
pub struct Organizations {
    organizations: Vec<OrganizationAnswer>,
    /// The value of `cursor` for the next page; none after the last.
    next: Option<String>,
}

impl From<OrganizationRow> for OrganizationAnswer {
    fn from(row: OrganizationRow) -> Self {
        let OrganizationRow { organization_id, name, is_test, disabled, image_bytes } = row;
        Self { id: organization_id.to_string(), name, test: is_test, disabled, image_bytes }
    }
}

impl OrganizationAnswer {
    /// As a command has left it, whether the read model shows that already or not.
    fn of(id: &OrganizationId, organization: &Organization) -> Self {
        Self {
            id: id.to_string(),
            name: organization.shown_name().unwrap_or_default().to_owned(),
            test: organization.is_test(),
            disabled: organization.is_disabled(),
            image_bytes: organization.image_bytes(),
        }
    }
}

/// `POST /admin/organizations`
///
/// No other call makes an organisation, so a mistyped id never does. Repeated with the same name it changes nothing.
///
/// # Errors
/// 401, 409 `already_created` under another name or as one of the other kind, 422, 503.
#[utoipa::path(
    post, path = "/organizations", tag = ADMIN,
    operation_id = "createOrganization", summary = "Make an organisation",
    request_body = Documented,
    responses(
        (status = 201, body = OrganizationAnswer, description = "The organisation is new."),
        (status = 200, body = OrganizationAnswer, description = "It existed already, under the same name and of the same kind."),
        Conflict, UnsupportedMediaType, Unacceptable,
    ),
)]
pub async fn post(
    State(app): State<AppState>,
    operator: Operator,
    request_id: RequestId,
    request: Request,
) -> Result<Response, ApiError> {
    let mut fields = Fields::of(json_body::read_json(request, limits::JSON_BYTES).await?)?;
    let id = fields.required("id");
    let id = fields.parse_id("id", id, OrganizationId::parse);
    let name = fields.required("name");
    let name = fields.parse("name", name, named);
    let test = fields.optional_bool("test").unwrap_or(false);
    fields.finish()?;
    let (Some(id), Some(name)) = (id, name) else {
        return Err(ApiError::fault("required", "", "`id` and `name` are required"));
    };
    let metadata = app.metadata(operator.actor(), Some(id.as_str()), &request_id.0);
    let created = organizations::create(&app.operation(&metadata), &id, &name, test).await?;
    let status = if created.events.is_empty() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(OrganizationAnswer::of(&id, &created.aggregate))).into_response())
}

/// `GET /admin/organizations?cursor=&limit=`
///
/// The order is that of the ids.
///
/// # Errors
/// 401, 422 that names the parameter, 503.
#[utoipa::path(
    get, path = "/organizations", tag = ADMIN,
    operation_id = "listOrganizations", summary = "List the organisations",
    params(
        ("cursor" = Option<String>, Query, description = "The `next` of the previous page."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "The number of entries on a page; 100 by default."),
    ),
    responses((status = 200, body = Organizations, description = "A page of organisations; `next` is null on the last one."), Unacceptable),
)]
pub async fn list(State(app): State<AppState>, uri: Uri) -> Result<Json<Organizations>, ApiError> {
    let paging = Paging::of(&uri)?;
    let entries = app.read_model.organizations(&paging.after, paging.entries()).await?;
    let (entries, next) = paging.page(entries, |row| row.organization_id.to_string());
    Ok(Json(Organizations {
        organizations: entries.into_iter().map(OrganizationAnswer::from).collect(),
        next,
    }))
}

/// `PATCH /admin/organizations/{organization}`
///
/// Disabled, the organisation's API keys get 403 `organization_disabled`, and pushes of its passes come to their end unsent; phones are served with
/// the passes as they are. Enabled again, everything works as before.
///
/// # Errors
/// 401, 404, 409 `stream_damaged`, 422, 503.
#[utoipa::path(
    patch, path = "/organizations/{organization}", tag = ADMIN,
    operation_id = "changeOrganization", summary = "Rename, disable or limit an organisation",
    request_body = DocumentedChange,
    responses(
        (status = 200, body = OrganizationAnswer, description = "The organisation as it is now."),
        NotFound, Damaged, UnsupportedMediaType, Unacceptable,
    ),
)]
pub async fn patch(
    State(app): State<AppState>,
    operator: Operator,
    request_id: RequestId,
    segments: Segments,
    request: Request,
) -> Result<Json<OrganizationAnswer>, ApiError> {
    let id = organization(&segments)?;
    let mut fields = Fields::of(json_body::read_json(request, limits::JSON_BYTES).await?)?;
    let name = fields.optional("name");
    let name = fields.parse("name", name, named);
    let disabled = fields.optional_bool("disabled");
    let image_bytes = image_bytes(&mut fields);
    fields.finish()?;
    let change = OrganizationChange { name, disabled, image_bytes };
    let metadata = app.metadata(operator.actor(), Some(id.as_str()), &request_id.0);
    let changed = organizations::change(&app.operation(&metadata), &id, change).await?;
    Ok(Json(OrganizationAnswer::of(&id, &changed.aggregate)))
}

fn named(text: String) -> Result<String, String> {
    let is_one = organizations::is_a_name(&text);
    if is_one { Ok(text) } else { Err(format!("`name` {}", organizations::NAME_RULE)) }
}

/// The largest whole number that JSON numbers hold exactly (RFC 8785).
const MOST_BYTES: u64 = (1 << 53) - 1;

#[expect(clippy::option_option, reason = "an absent field and a `null` are two things")]
fn image_bytes(fields: &mut Fields) -> Option<Option<u64>> {
    let value = fields.nullable("imageBytes")?;
    let bytes = value.as_ref().and_then(Value::as_u64).filter(|bytes| *bytes <= MOST_BYTES);
    if bytes.is_none() && value.is_some() {
        let detail =
            format!("`imageBytes` must be a whole number from 0 to {MOST_BYTES}, or null for no limit");
        fields.fault("invalid", "/imageBytes", detail);
    }
    Some(bytes)
}
