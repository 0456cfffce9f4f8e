//! Keys that are made here and their requests, a pass to try a certificate with, and certificates that every process reads again.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use honoken_domain::ids::{PassTypeIdentifier, TeamIdentifier};
use honoken_service::operations::certificates;
use honoken_service::operations::requests::{self, RequestFailure};
use honoken_service::operations::test_pass::{self, TestPassFailure};
use honoken_telemetry::error_chain;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::certificates::{NO_CERTIFICATE, existing, follow, named_freely, sealing_keys};
use crate::auth::operator::Operator;
use crate::error::ApiError;
use crate::extractors::json_body::{self, Fields};
use crate::extractors::path::Segments;
use crate::extractors::request_id::RequestId;
use crate::limits;
use crate::openapi::answers::Done;
use crate::openapi::examples;
use crate::openapi::problems::{Conflict, NotFound, Unacceptable, UnsupportedMediaType};
use crate::openapi::schemas;
use crate::openapi::schemas::PassBytes;
use crate::openapi::tags::ADMIN;
use crate::state::AppState;

/// The pass type and the team that a certificate is requested for.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CertificateRequestOrder, example = examples::certificate_request_order)]
struct RequestOrder {
    /// The pass type identifier, as registered with Apple.
    #[schema(schema_with = schemas::pass_type_identifier)]
    pass_type_identifier: PassTypeIdentifier,
    /// The developer team.
    #[schema(schema_with = schemas::team_identifier)]
    team_id: TeamIdentifier,
}

/// A certificate signing request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CertificateRequest, example = examples::certificate_request)]
pub struct RequestAnswer {
    /// The request, PEM: upload it at Apple.
    csr: String,
}

/// `POST /admin/certs/{certRef}/csr`
///
/// Makes a private key, which is sealed here and never travels, and the request that Apple turns into a certificate. Then install the certificate with
/// `PUT /admin/certs/{certRef}`, without `signerKey`. Asked again while the key waits, the request is for the same key.
///
/// # Errors
/// 401, 409 `another_pass_type`, `no_encryption_key`, 422, 503.
#[utoipa::path(
    post, path = "/certs/{certRef}/csr", tag = ADMIN,
    operation_id = "requestCertificate", summary = "Make a key and the request for its certificate",
    request_body = RequestOrder,
    responses(
        (status = 200, body = RequestAnswer, description = "The request."),
        Conflict, UnsupportedMediaType, Unacceptable,
    ),
)]
pub async fn csr(
    State(app): State<AppState>,
    operator: Operator,
    request_id: RequestId,
    segments: Segments,
    request: Request,
) -> Result<Json<RequestAnswer>, ApiError> {
    let cert_ref = named_freely(&segments)?;
    let mut fields = Fields::of(json_body::read_json(request, limits::JSON_BYTES).await?)?;
    let pass_type = fields.required("passTypeIdentifier");
    let pass_type = fields.parse_id("passTypeIdentifier", pass_type, PassTypeIdentifier::parse);
    let team = fields.required("teamId");
    let team = fields.parse_id("teamId", team, TeamIdentifier::parse);
    fields.finish()?;
    let (Some(pass_type_identifier), Some(team_id)) = (pass_type, team) else {
        return Err(ApiError::fault("required", "", "`passTypeIdentifier` and `teamId` are required"));
    };
    let order = RequestOrder { pass_type_identifier, team_id };
    let metadata = app.metadata(operator.actor(), None, &request_id.0);
    let (context, keys) = (app.operation(&metadata), sealing_keys(&app)?);
    let RequestOrder { pass_type_identifier, team_id } = &order;
    let csr = requests::request(&context, keys, &cert_ref, pass_type_identifier, team_id).await?;
    Ok(Json(RequestAnswer { csr }))
}

/// `POST /admin/certs/{certRef}/test`
///
/// A pass that is signed with the certificate and issued to nobody: put it on a phone to see whether that takes it. It is stored nowhere.
///
/// # Errors
/// 401, 404, 409 when the certificate was revoked or cannot sign now, 503.
#[utoipa::path(
    post, path = "/certs/{certRef}/test", tag = ADMIN,
    operation_id = "testCertificate", summary = "Get a pass that is signed with a certificate",
    responses(
        (status = 200, description = "The pass.", content_type = "application/vnd.apple.pkpass", body = PassBytes),
        NotFound, Conflict,
    ),
)]
pub async fn test(State(app): State<AppState>, segments: Segments) -> Result<Response, ApiError> {
    let named = app.read_model.named_certificate(&existing(&segments)?).await?;
    let row = named.and_then(|named| named.installed).ok_or(NO_CERTIFICATE)?;
    let now = app.clock.unix_seconds();
    let file = test_pass::build(row, app.keys.clone(), &*app.ids, now).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.apple.pkpass")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"test.pkpass\"")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, file).into_response())
}

/// `POST /admin/invalidate/certs/{certRef}`
///
/// Every process reads the certificate from the read model again. A certificate that was installed, renewed or revoked here is read without that.
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    post, path = "/invalidate/certs/{certRef}", tag = ADMIN,
    operation_id = "invalidateCertificate", summary = "Let every process read a certificate again",
    responses(Done, NotFound),
)]
pub async fn invalidate(
    State(app): State<AppState>,
    operator: Operator,
    request_id: RequestId,
    segments: Segments,
) -> Result<StatusCode, ApiError> {
    let cert_ref = existing(&segments)?;
    let metadata = app.metadata(operator.actor(), None, &request_id.0);
    let told = certificates::invalidate(&app.operation(&metadata), &cert_ref).await?;
    follow(&app, told.ok_or(NO_CERTIFICATE)?.position).await;
    Ok(StatusCode::NO_CONTENT)
}

impl From<RequestFailure> for ApiError {
    fn from(failure: RequestFailure) -> Self {
        match failure {
            RequestFailure::AnotherPassType(_) => {
                Self::Conflict { code: "another_pass_type", detail: failure.to_string() }
            }
            RequestFailure::OpenSsl(_) | RequestFailure::Died => Self::Internal(failure.into()),
            RequestFailure::Certificate(fault) => fault.into(),
            RequestFailure::Query(fault) => fault.into(),
        }
    }
}

impl From<TestPassFailure> for ApiError {
    fn from(failure: TestPassFailure) -> Self {
        let detail = error_chain(&failure);
        match failure {
            TestPassFailure::Revoked => Self::Conflict { code: "revoked", detail },
            TestPassFailure::Unusable(_) | TestPassFailure::CannotSign(_) => {
                Self::Conflict { code: "cannot_sign", detail }
            }
            TestPassFailure::Build(_) | TestPassFailure::Died => Self::Internal(failure.into()),
        }
    }
}
