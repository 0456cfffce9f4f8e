//! Certificates by name: install, renew, list, show, revoke.

use std::error::Error;

use axum::Json;
use axum::extract::{Request, State};
use honoken_domain::certificate::CertificateError;
use honoken_domain::ids::CertRef;
use honoken_domain::sealed::SealingKeys;
use honoken_event_store::{DispatchError, Position};
use honoken_service::encryption_keys::HOW_TO_SET;
use honoken_service::install::NotForPasses;
use honoken_service::limits::VISIBLE;
use honoken_service::operations::certificates::{self, Change, InstallFailure, Order};
use honoken_telemetry::error_chain;
use http::{StatusCode, Uri};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::certificate_answer::{CertificateAnswer, CertificateChange};
use crate::admin::certificate_body::{CertificateBody, Documented};
use crate::auth::operator::Operator;
use crate::causes::Refusal;
use crate::damage::Damage;
use crate::error::ApiError;
use crate::extractors::json_body;
use crate::extractors::paging::Paging;
use crate::extractors::path::Segments;
use crate::extractors::request_id::RequestId;
use crate::limits;
use crate::openapi::answers::Done;
use crate::openapi::examples;
use crate::openapi::problems::{Conflict, Damaged, NotFound, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::ADMIN;
use crate::state::{App, AppState};

pub(super) const NO_CERTIFICATE: ApiError = ApiError::NotFound { what: "certificate" };

/// A page of certificates.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CertificateList, example = examples::certificates)]
pub struct Certificates {
    certs: Vec<CertificateAnswer>,
    /// The value of `cursor` for the next page; none after the last.
    next: Option<String>,
}

/// `PUT /admin/certs/{certRef}`
///
/// Installs a certificate under a name, or renews it. Phones are served without a pause: requests in flight finish with the previous one. The private
/// key is sealed before it is stored, and is in no answer. After `POST …/csr` leave out `signerKey`: the key is here.
///
/// With `organization` the pass type of the certificate is given to that organisation, and names this certificate.
///
/// # Errors
/// 401, 409 `needs_force`, `another_pass_type`, `no_encryption_key`, 422 that names the file, 503.
#[utoipa::path(
    put, path = "/certs/{certRef}", tag = ADMIN,
    operation_id = "putCertificate", summary = "Install or renew a certificate",
    request_body = Documented,
    responses(
        (status = 200, body = CertificateChange, description = "The certificate signs, if its pass type names it."),
        Conflict, UnsupportedMediaType, Unacceptable,
    ),
)]
pub async fn put(
    State(app): State<AppState>,
    operator: Operator,
    request_id: RequestId,
    segments: Segments,
    request: Request,
) -> Result<Json<CertificateChange>, ApiError> {
    let cert_ref = named_freely(&segments)?;
    let body = CertificateBody::read(json_body::read_json(request, limits::JSON_BYTES).await?)?;
    let keys = sealing_keys(&app)?;
    let named = app.read_model.named_certificate(&cert_ref).await?;
    let given = body.credential(named.as_ref(), keys)?;
    let metadata = app.metadata(operator.actor(), None, &request_id.0);
    let order = Order {
        cert_ref: Some(cert_ref),
        given,
        team: body.team_id.clone(),
        enhanced: body.enhanced(),
        takeover: body.takeover(),
        description: body.description.filter(|text| !text.is_empty()),
        organization: body.organization,
    };
    let installed = certificates::install(&app.operation(&metadata), keys, order).await?;
    follow(&app, installed.position).await;
    let certificate = CertificateAnswer::new(&installed.named, Some(keys), app.clock.unix_seconds());
    let changed = installed.change != Change::None || installed.is_assigned;
    Ok(Json(CertificateChange::new(certificate, changed)))
}

/// `GET /admin/certs?cursor=&limit=`
///
/// The order is that of the names.
///
/// # Errors
/// 401, 422 that names the parameter, 503.
#[utoipa::path(
    get, path = "/certs", tag = ADMIN,
    operation_id = "listCertificates", summary = "List the certificates",
    params(
        ("cursor" = Option<String>, Query, description = "The `next` of the previous page."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "The number of entries on a page; 100 by default."),
    ),
    responses((status = 200, body = Certificates, description = "A page of certificates; `next` is null on the last one."), Unacceptable),
)]
pub async fn list(State(app): State<AppState>, uri: Uri) -> Result<Json<Certificates>, ApiError> {
    let paging = Paging::of(&uri)?;
    let entries = app.read_model.named_certificates(&paging.after, paging.entries()).await?;
    let (entries, next) = paging.page(entries, |named| named.cert_ref.to_string());
    let now = app.clock.unix_seconds();
    let answer = |named| CertificateAnswer::new(named, app.keys.as_ref(), now);
    Ok(Json(Certificates { certs: entries.iter().map(answer).collect(), next }))
}

/// `GET /admin/certs/{certRef}`
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    get, path = "/certs/{certRef}", tag = ADMIN,
    operation_id = "getCertificate", summary = "Get a certificate",
    responses((status = 200, body = CertificateAnswer, description = "The certificate, without its key."), NotFound),
)]
pub async fn get(
    State(app): State<AppState>,
    segments: Segments,
) -> Result<Json<CertificateAnswer>, ApiError> {
    let named = app.read_model.named_certificate(&existing(&segments)?).await?.ok_or(NO_CERTIFICATE)?;
    Ok(Json(CertificateAnswer::new(&named, app.keys.as_ref(), app.clock.unix_seconds())))
}

/// `DELETE /admin/certs/{certRef}`
///
/// The certificate signs nothing any more, at once and also if it is in use; a key that waits under the name is destroyed. Passes are kept, and phones
/// come back for them later. Only Apple can revoke the certificate everywhere.
///
/// # Errors
/// 401, 404, 409 `stream_damaged`, 503.
#[utoipa::path(
    delete, path = "/certs/{certRef}", tag = ADMIN,
    operation_id = "revokeCertificate", summary = "Revoke a certificate", responses(Done, NotFound, Damaged),
)]
pub async fn delete(
    State(app): State<AppState>,
    operator: Operator,
    request_id: RequestId,
    segments: Segments,
) -> Result<StatusCode, ApiError> {
    let cert_ref = existing(&segments)?;
    let metadata = app.metadata(operator.actor(), None, &request_id.0);
    match certificates::revoke(&app.operation(&metadata), &cert_ref).await? {
        Some(revoked) => follow(&app, revoked.position).await,
        // One that was revoked before is as it should be.
        None => drop(app.read_model.named_certificate(&cert_ref).await?.ok_or(NO_CERTIFICATE)?),
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Waits until this process signs as the event log says; other processes follow within a moment.
pub(super) async fn follow(app: &App, position: Position) {
    app.built_passes.signers().reach(position, VISIBLE).await;
}

/// The name in the path, for a certificate that may be new.
pub(super) fn named_freely(segments: &Segments) -> Result<CertRef, ApiError> {
    let text = segments.get("certRef").unwrap_or_default();
    CertRef::parse(text).map_err(|fault| ApiError::fault("invalid", "", fault.to_string()))
}

/// The name in the path, for a certificate that is there.
pub(super) fn existing(segments: &Segments) -> Result<CertRef, ApiError> {
    CertRef::parse(segments.get("certRef").unwrap_or_default()).map_err(|_| NO_CERTIFICATE)
}

/// The keys that seal what an operator sends.
///
/// # Errors
/// 409 when this process has none.
pub(super) fn sealing_keys(app: &App) -> Result<&SealingKeys, ApiError> {
    app.keys.as_ref().ok_or_else(|| ApiError::Conflict {
        code: "no_encryption_key",
        detail: format!("private keys cannot be sealed, since the encryption key is missing: {HOW_TO_SET}"),
    })
}

/// The remedy for a certificate, whose name is free to choose.
const INSTALL_ANEW: &str = ", or install the certificate under another name (`PUT /admin/certs/{certRef}`) and give that name to the pass type (`PUT /admin/pass-types/{type}`)";

impl Refusal for CertificateError {
    fn into_api_error(self) -> ApiError {
        let detail = self.to_string();
        match &self {
            Self::Unknown | Self::NotRequested => NO_CERTIFICATE,
            Self::AnotherTeam { .. } | Self::EndsEarlier { .. } => ApiError::needs_force(&self),
            Self::AnotherPassType { .. } => ApiError::Conflict { code: "another_pass_type", detail },
            // It was renewed at the same moment, and its key is sealed.
            Self::AnotherInstalled { .. } => ApiError::Conflict { code: "another_installed", detail },
        }
    }

    fn of_damaged(id: &str, cause: Box<dyn Error + Send + Sync>) -> ApiError {
        ApiError::Damaged(Damage::of(format!("the certificate {id}"), cause).or(INSTALL_ANEW))
    }
}

impl From<InstallFailure> for ApiError {
    fn from(failure: InstallFailure) -> Self {
        let told = error_chain(&failure);
        match failure {
            InstallFailure::CannotSign(_) => Self::fault("cannot_sign", "", told),
            InstallFailure::NotForPasses(NotForPasses::Unreadable(_)) => Self::Internal(failure.into()),
            InstallFailure::NotForPasses(_) => Self::fault("unusable_certificate", "", failure.to_string()),
            InstallFailure::OtherTeam { .. } => Self::fault("other_team", "/teamId", told),
            InstallFailure::UnknownOrganization(_) => {
                Self::fault("unknown_organization", "/organization", told)
            }
            InstallFailure::Certificate(DispatchError::Refused(refusal)) => refusal.into_api_error(),
            InstallFailure::Certificate(fault) => fault.into(),
            InstallFailure::PassType(fault) => fault.into(),
            InstallFailure::Query(fault) => fault.into(),
        }
    }
}
