//! Pass types: who owns each, and which certificate signs its passes.

use axum::Json;
use axum::extract::{Request, State};
use honoken_domain::ids::{CertRef, OrganizationId, PassTypeIdentifier};
use honoken_projections::pass_types::OwnedPassType;
use honoken_service::install::Takeover;
use honoken_service::operations::pass_types::{self, AssignFailure, Order};
use http::Uri;
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::certificates::follow;
use crate::auth::operator::Operator;
use crate::error::ApiError;
use crate::extractors::json_body::{self, Fields};
use crate::extractors::paging::Paging;
use crate::extractors::path::Segments;
use crate::extractors::request_id::RequestId;
use crate::limits;
use crate::openapi::problems::{Conflict, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::ADMIN;
use crate::openapi::{examples, schemas};
use crate::state::AppState;

/// The owner of a pass type, and its certificate.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = PassTypeOrder, example = examples::pass_type_order)]
#[expect(dead_code, reason = "the schema of what `put` reads")]
struct Documented {
    #[schema(schema_with = schemas::organization_id)]
    organization: String,
    #[schema(schema_with = schemas::cert_ref)]
    cert_ref: String,
    /// Move it although it belongs to another organisation, or to another team: phones take no update from another team of the passes that they hold.
    force: Option<bool>,
}

/// A pass type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PassType, example = examples::pass_type)]
pub struct PassTypeAnswer {
    pass_type_identifier: String,
    organization: String,
    cert_ref: String,
    team_identifier: String,
}

/// A pass type after an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PassTypeChange, example = examples::pass_type_change)]
pub struct PassTypeChange {
    #[serde(flatten)]
    #[schema(inline)]
    pass_type: PassTypeAnswer,
    /// Whether the order has changed anything.
    changed: bool,
}

/// A page of pass types.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PassTypeList, example = examples::pass_types)]
pub struct PassTypes {
    pass_types: Vec<PassTypeAnswer>,
    /// The value of `cursor` for the next page; none after the last.
    next: Option<String>,
}

impl From<OwnedPassType> for PassTypeAnswer {
    fn from(row: OwnedPassType) -> Self {
        Self {
            pass_type_identifier: row.pass_type_identifier.to_string(),
            organization: row.organization_id.to_string(),
            cert_ref: row.cert_ref.to_string(),
            team_identifier: row.team_identifier.to_string(),
        }
    }
}

/// `PUT /admin/pass-types/{type}`
///
/// The organisation owns the pass type, with its passes, their histories and their tokens; the certificate signs from now on. Both exist already.
///
/// # Errors
/// 401, 409 `needs_force`, 422, 503.
#[utoipa::path(
    put, path = "/pass-types/{type}", tag = ADMIN,
    operation_id = "putPassType", summary = "Give a pass type to an organisation and name its certificate",
    request_body = Documented,
    responses(
        (status = 200, body = PassTypeChange, description = "The pass type belongs to the organisation."),
        Conflict, UnsupportedMediaType, Unacceptable,
    ),
)]
pub async fn put(
    State(app): State<AppState>,
    operator: Operator,
    request_id: RequestId,
    segments: Segments,
    request: Request,
) -> Result<Json<PassTypeChange>, ApiError> {
    let pass_type_identifier = PassTypeIdentifier::parse(segments.get("type").unwrap_or_default());
    let pass_type_identifier =
        pass_type_identifier.map_err(|fault| ApiError::fault("invalid", "", fault.to_string()))?;
    let mut fields = Fields::of(json_body::read_json(request, limits::JSON_BYTES).await?)?;
    let organization = fields.required("organization");
    let organization = fields.parse_id("organization", organization, OrganizationId::parse);
    let cert_ref = fields.required("certRef");
    let cert_ref = fields.parse_id("certRef", cert_ref, CertRef::parse);
    let force = fields.optional_bool("force").unwrap_or_default();
    fields.finish()?;
    let (Some(organization_id), Some(cert_ref)) = (organization, cert_ref) else {
        return Err(ApiError::fault("required", "", "`organization` and `certRef` are required"));
    };
    let takeover = if force { Takeover::Forced } else { Takeover::OfSuccessor };
    let order = Order { pass_type_identifier, organization_id, cert_ref, takeover };
    let metadata = app.metadata(operator.actor(), None, &request_id.0);
    let (team_identifier, changed) = pass_types::order(&app.operation(&metadata), order.clone()).await?;
    let position = app.projector.progress().borrow().position;
    follow(&app, position).await;
    let pass_type = PassTypeAnswer {
        pass_type_identifier: order.pass_type_identifier.to_string(),
        organization: order.organization_id.to_string(),
        cert_ref: order.cert_ref.to_string(),
        team_identifier: team_identifier.to_string(),
    };
    Ok(Json(PassTypeChange { pass_type, changed }))
}

/// `GET /admin/pass-types?cursor=&limit=`
///
/// The order is that of the identifiers.
///
/// # Errors
/// 401, 422 that names the parameter, 503.
#[utoipa::path(
    get, path = "/pass-types", tag = ADMIN,
    operation_id = "listPassTypes", summary = "List the pass types",
    params(
        ("cursor" = Option<String>, Query, description = "The `next` of the previous page."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "The number of entries on a page; 100 by default."),
    ),
    responses((status = 200, body = PassTypes, description = "A page of pass types; `next` is null on the last one."), Unacceptable),
)]
pub async fn list(State(app): State<AppState>, uri: Uri) -> Result<Json<PassTypes>, ApiError> {
    let paging = Paging::of(&uri)?;
    let entries = app.read_model.pass_types(&paging.after, paging.entries()).await?;
    let (entries, next) = paging.page(entries, |row| row.pass_type_identifier.to_string());
    Ok(Json(PassTypes { pass_types: entries.into_iter().map(PassTypeAnswer::from).collect(), next }))
}

impl From<AssignFailure> for ApiError {
    fn from(failure: AssignFailure) -> Self {
        let told = failure.to_string();
        match failure {
            AssignFailure::UnknownOrganization(_) => {
                Self::fault("unknown_organization", "/organization", told)
            }
            AssignFailure::UnknownCertificate(_) => Self::fault("unknown_certificate", "/certRef", told),
            AssignFailure::Revoked(_) => Self::fault("revoked", "/certRef", told),
            AssignFailure::OfAnotherType { .. } => Self::fault("another_pass_type", "/certRef", told),
            AssignFailure::PassType(fault) => fault.into(),
            AssignFailure::Query(fault) => fault.into(),
        }
    }
}
