//! Errors as callers see them: `application/problem+json` (RFC 9457) with a stable code. Only this file maps an error to a status.

use std::error::Error;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use honoken_domain::brand_assets::BrandAssetsError;
use honoken_domain::job::JobError;
use honoken_domain::organization::Scope;
use honoken_domain::pass::{ContentFault, PassError};
use honoken_domain::pass_type::PassTypeError;
use honoken_domain::registration::RegistrationError;
use honoken_domain::uploaded_image::UploadedImageError;
use honoken_event_store::DispatchError;
use honoken_projections::QueryError;
use honoken_service::blobs::BlobError;
use honoken_service::built_passes::BuildFailure;
use honoken_service::permits::Overloaded;
use honoken_service::personalization::PersonalizationFailure;
use honoken_telemetry::error_chain;
use honoken_telemetry::metrics::AnonymousLine;
use honoken_telemetry::request::may_log;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::scopes;
use crate::openapi::schemas;

/// One fault of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Stable name of the rule.
    pub code: String,
    /// RFC 6901 pointer into the body.
    pub pointer: String,
    /// The fault, and the way to mend it.
    pub detail: String,
}

impl Fault {
    /// A fault at a place of the body.
    pub fn new(code: &str, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), pointer: pointer.into(), detail: detail.into() }
    }
}

/// An answer that is not a success: one variant per answer.
#[derive(Debug)]
pub enum ApiError {
    /// 400: the request cannot be read.
    Unreadable {
        /// The reason.
        detail: String,
        /// The place of each fault in the body, if one can be named.
        errors: Vec<Fault>,
    },
    /// 401 to a phone: one constant answer, whatever the reason.
    UnauthorizedDevice,
    /// 401 to an integrator.
    UnauthorizedKey,
    /// 401 to the sender of a command over NATS.
    UnauthorizedSender,
    /// 401 to an operator.
    UnauthorizedOperator,
    /// 403: not allowed here, for any caller.
    Forbidden {
        /// Stable name of the rule.
        code: &'static str,
        /// The reason, and what to do.
        detail: &'static str,
    },
    /// 403: the API key may not do this.
    MissingScope {
        /// The scopes of which one would do.
        needed: &'static [Scope],
    },
    /// 404: it does not exist, or it belongs to another organisation.
    NotFound {
        /// What was asked for.
        what: &'static str,
    },
    /// 404: no route has this path.
    NoSuchPath,
    /// 405, with the allowed methods.
    MethodNotAllowed,
    /// 408: the caller took too long to send its body.
    BodyTimeout,
    /// 409: the state does not allow it.
    Conflict {
        /// Stable name of the rule.
        code: &'static str,
        /// The reason.
        detail: String,
    },
    /// 409: the state does not allow a value of the body.
    ConflictAt {
        /// Stable name of the rule.
        code: &'static str,
        /// The place and the reason.
        fault: Fault,
    },
    /// 412: `If-Match` names another state.
    PreconditionFailed {
        /// The current tag is named in it.
        detail: String,
    },
    /// 413: the body is too large.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// 415: the body is of another type.
    UnsupportedMediaType,
    /// 415: the body is not a patch of a known kind.
    UnsupportedPatch,
    /// 422: readable, but not acceptable.
    Unacceptable {
        /// Every fault found.
        errors: Vec<Fault>,
    },
    /// 429: the caller sends too many requests.
    TooManyRequests {
        /// Seconds until the next request is allowed, at least one.
        retry_after: u64,
    },
    /// 500: an error inside the service.
    Internal(Box<dyn Error + Send + Sync>),
    /// 503: a store is unavailable; the caller may retry.
    Unavailable(Box<dyn Error + Send + Sync>),
    /// 503, for readiness only: the event log's store refused the last change, and has accepted none since.
    LogRefusesWrites,
    /// 503: the service is overloaded.
    Overloaded,
    /// 503: the request took too long.
    TimedOut,
}

/// The most faults that an answer names: a body may have tens of thousands, and a person fixes fewer at a time.
const FAULTS: usize = 100;

/// The known kinds of patch (RFC 5789 section 3.1).
const PATCH_TYPES: &str = "application/merge-patch+json, application/json-patch+json, application/json";

/// Seconds after which a caller may retry.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Likewise under overload: time for the waiting requests to be served.
const RETRY_AFTER_LOAD: HeaderValue = HeaderValue::from_static("5");

impl ApiError {
    /// 422 with a single fault.
    pub fn fault(code: &str, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Unacceptable { errors: vec![Fault::new(code, pointer, detail)] }
    }

    /// 400 with the place in the body, empty for the body itself.
    pub fn unreadable(code: &str, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Unreadable { errors: vec![Fault::new(code, pointer, detail.clone())], detail }
    }

    /// 404 for a pass.
    pub const NO_PASS: Self = Self::NotFound { what: "pass" };

    /// 403 for a push without a change.
    pub const NOT_IN_PRODUCTION: Self = Self::Forbidden {
        code: "not_in_production",
        detail: "Phones punish a service that wakes them without a change, so this call is refused in production. Set ENVIRONMENT to another name to try it.",
    };

    /// 403 for a request that a page of another site made a browser send.
    pub const CROSS_SITE: Self = Self::Forbidden {
        code: "cross_site",
        detail: "A browser sent this request for a page of another site. Behind a proxy, let the proxy pass `Host` on, or set HONOKEN_PUBLIC_URL to the address that browsers see.",
    };

    /// 403 for an operator who may only read.
    pub const MISSING_ROLE: Self = Self::Forbidden {
        code: "missing_role",
        detail: "A viewer reads and changes nothing: this needs an operator with the role `operator` or `owner`.",
    };

    /// 403 for an operator who may do everything but this.
    pub const MISSING_OWNER: Self = Self::Forbidden {
        code: "missing_role",
        detail: "Operators are the business of owners: this needs an operator with the role `owner`.",
    };

    /// The same answer for a body that holds the faulty value at this pointer.
    #[must_use]
    pub fn below(self, root: &str) -> Self {
        match self {
            Self::Unacceptable { mut errors } => {
                for fault in &mut errors {
                    fault.pointer.insert_str(0, root);
                }
                Self::Unacceptable { errors }
            }
            other => other,
        }
    }

    /// Whether the same request may succeed later without any action.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::TooManyRequests { .. }
                | Self::Unavailable(_)
                | Self::LogRefusesWrites
                | Self::Overloaded
                | Self::TimedOut
        )
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unreadable { .. } => StatusCode::BAD_REQUEST,
            Self::UnauthorizedDevice
            | Self::UnauthorizedKey
            | Self::UnauthorizedSender
            | Self::UnauthorizedOperator => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } | Self::MissingScope { .. } => StatusCode::FORBIDDEN,
            Self::NotFound { .. } | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict { .. } | Self::ConflictAt { .. } => StatusCode::CONFLICT,
            Self::PreconditionFailed { .. } => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType | Self::UnsupportedPatch => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unacceptable { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable(_) | Self::LogRefusesWrites | Self::Overloaded | Self::TimedOut => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The stable code, title and sentence. Those of a 5xx reveal nothing internal.
    fn words(&self) -> (&'static str, &'static str, String) {
        match self {
            Self::Unreadable { detail, .. } => ("unreadable", "The request cannot be read", detail.clone()),
            Self::UnauthorizedDevice => (
                "unauthorized",
                "Unauthorized",
                "Send `Authorization: ApplePass` with the authentication token of this pass.".into(),
            ),
            Self::UnauthorizedKey => (
                "unauthorized",
                "Unauthorized",
                "Send `Authorization: Bearer` with an API key of your organisation.".into(),
            ),
            Self::UnauthorizedSender => (
                "unauthorized",
                "Unauthorized",
                "Send the header `Honoken-Api-Key` once, with an API key of your organisation.".into(),
            ),
            Self::UnauthorizedOperator => (
                "unauthorized",
                "Unauthorized",
                "Send Basic credentials of the operator.".into(),
            ),
            Self::Forbidden { code, detail } => (code, "Forbidden", (*detail).into()),
            Self::MissingScope { needed } => (
                "missing_scope",
                "Forbidden",
                format!(
                    "This needs an API key with the scope {}; `honoken keys create --scopes` makes one.",
                    scopes::named(needed)
                ),
            ),
            Self::NotFound { what } => {
                ("not_found", "Not found", format!("This {what} does not exist, or it belongs to another organisation."))
            }
            Self::NoSuchPath => (
                "not_found",
                "Not found",
                "No route has this path: phones use /v1, integrators /manage/v1, operators /admin."
                    .into(),
            ),
            Self::MethodNotAllowed => {
                ("method_not_allowed", "Method not allowed", "The header `Allow` names the methods of this path.".into())
            }
            Self::BodyTimeout => {
                ("body_timeout", "Body timeout", "The body of the request did not arrive in time; send it again.".into())
            }
            Self::Conflict { code, detail } => (code, "Conflict", detail.clone()),
            Self::ConflictAt { code, fault } => (code, "Conflict", fault.detail.clone()),
            Self::PreconditionFailed { detail } => ("precondition_failed", "Precondition failed", detail.clone()),
            Self::TooLarge { limit } => {
                ("too_large", "Body too large", format!("The limit is {limit} bytes."))
            }
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                "Unsupported media type",
                "Send JSON with `Content-Type: application/json`.".into(),
            ),
            Self::UnsupportedPatch => (
                "unsupported_media_type",
                "Unsupported media type",
                format!("Send a patch as one of the types that the header `Accept-Patch` names: {PATCH_TYPES}."),
            ),
            Self::Unacceptable { errors } => (
                "unacceptable",
                "The request cannot be accepted",
                match errors.as_slice() {
                    [one] => one.detail.clone(),
                    many if many.len() > FAULTS => {
                        format!("{} faults; see `errors` for the first {FAULTS}.", many.len())
                    }
                    many => format!("{} faults; see `errors`.", many.len()),
                },
            ),
            Self::TooManyRequests { retry_after } => (
                "too_many_requests",
                "Too many requests",
                format!("Rate limit exceeded. Try again after {retry_after} seconds."),
            ),
            Self::Internal(_) => {
                ("internal", "Internal error", "The request failed inside the service. No change is known to have been made.".into())
            }
            Self::Unavailable(_) => {
                ("unavailable", "Unavailable", "The data store is unavailable. Try again after `Retry-After` seconds.".into())
            }
            Self::LogRefusesWrites => (
                "log_refuses_writes",
                "The event log refuses changes",
                "Reads are answered. Changes are refused until the data store accepts writes again, which is tested every second.".into(),
            ),
            Self::Overloaded => (
                "overloaded",
                "Overloaded",
                "The service is working on as many requests as it can; this request has changed no data. Try again after `Retry-After` seconds.".into(),
            ),
            Self::TimedOut => (
                "timed_out",
                "Timed out",
                "The request took too long; a change may or may not have happened. Try again after `Retry-After` seconds.".into(),
            ),
        }
    }

    /// The additional header of the answer.
    pub fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::UnauthorizedDevice => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("ApplePass")))
            }
            Self::UnauthorizedKey => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::UnauthorizedOperator => Some((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"honoken\", charset=\"UTF-8\""),
            )),
            Self::UnsupportedPatch => {
                Some((HeaderName::from_static("accept-patch"), HeaderValue::from_static(PATCH_TYPES)))
            }
            Self::Unavailable(_) | Self::LogRefusesWrites | Self::TimedOut => {
                Some((header::RETRY_AFTER, RETRY_AFTER))
            }
            Self::Overloaded => Some((header::RETRY_AFTER, RETRY_AFTER_LOAD)),
            Self::TooManyRequests { retry_after } => {
                Some((header::RETRY_AFTER, HeaderValue::from(*retry_after)))
            }
            _ => None,
        }
    }

    fn problem(&self) -> Problem<'_> {
        let (code, title, detail) = self.words();
        let errors = match self {
            Self::Unreadable { errors, .. } | Self::Unacceptable { errors } => {
                errors.get(..FAULTS).unwrap_or(errors)
            }
            Self::ConflictAt { fault, .. } => std::slice::from_ref(fault),
            _ => &[],
        };
        let r#type = format!("urn:honoken:problem:{code}");
        Problem { r#type, title, status: self.status().as_u16(), code, detail, errors }
    }

    /// The body of the answer as JSON, for examples.
    pub fn as_json(&self) -> Value {
        serde_json::to_value(self.problem()).unwrap_or_default()
    }

    /// Logs the cause of a 5xx, once.
    pub fn log(&self) {
        let (Self::Internal(cause) | Self::Unavailable(cause)) = self else { return };
        if may_log(AnonymousLine::Error, 1) > 0 {
            tracing::error!(error = error_chain(&**cause), "could not answer a request");
        }
    }
}

/// The body of every answer that reports a failure (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem<'a> {
    /// `urn:honoken:problem:` and the code.
    r#type: String,
    /// The kind of the problem, for a person.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Stable name of the problem; programs may match on it.
    #[schema(schema_with = schemas::problem_code)]
    code: &'static str,
    /// The fault of this request, and the way to mend it.
    detail: String,
    /// The faults of the body, if there are any; the first hundred.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    #[schema(value_type = Vec<Fault>, required = false)]
    errors: &'a [Fault],
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let body = serde_json::to_vec(&self.problem()).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = self.header() {
            headers.insert(name, value);
        }
        response
    }
}

/// Maps an aggregate's refusal to an answer.
pub trait Refusal: Error + Send + Sync + 'static {
    /// The answer.
    fn into_api_error(self) -> ApiError;
}

impl From<Overloaded> for ApiError {
    fn from(_: Overloaded) -> Self {
        Self::Overloaded
    }
}

impl From<ContentFault> for Fault {
    fn from(fault: ContentFault) -> Self {
        Self { code: fault.code, pointer: fault.pointer, detail: fault.detail }
    }
}

impl Refusal for PassError {
    fn into_api_error(self) -> ApiError {
        let detail = self.to_string();
        match self {
            Self::Unknown => ApiError::NO_PASS,
            Self::AlreadyIssued => ApiError::Conflict { code: "already_issued", detail },
            Self::OtherToken => ApiError::Conflict { code: "issued_with_another_token", detail },
            Self::Retired => ApiError::Conflict { code: "retired", detail },
            Self::KeyReused | Self::OrderReused => {
                ApiError::Conflict { code: "idempotency_key_reused", detail }
            }
            Self::PreconditionFailed { .. } => ApiError::PreconditionFailed { detail },
            Self::MissingImage { one_of } => {
                let slot = one_of.first().map_or("icon", |slot| slot.as_str());
                ApiError::fault("missing_image", format!("/assets/{slot}.png"), detail)
            }
            // Only a phone can cause it, and every refusal to a phone is the same.
            Self::NoOpenForm => ApiError::UnauthorizedDevice,
            Self::NoPoster { .. } => ApiError::fault("no_poster", "/poster", detail),
            Self::UnacceptableContent { faults } => {
                ApiError::Unacceptable { errors: faults.into_iter().map(Fault::from).collect() }
            }
            Self::ContentNotAnObject => ApiError::fault("wrong_type", "", detail),
            Self::ContentTooLarge => ApiError::fault("content_too_large", "", detail),
            Self::StrayNul { pointer } => ApiError::fault("stray_nul", pointer, detail),
            Self::ContentTooDeep => ApiError::fault("content_too_deep", "", detail),
            Self::LocalizationsTooLarge(_) => ApiError::fault("too_many_localizations", "", detail),
            Self::PatchTestFailed { operation } => ApiError::ConflictAt {
                code: "patch_test_failed",
                fault: Fault::new("patch_test_failed", format!("/{operation}"), detail),
            },
            Self::PatchFailed { operation, member, .. } => {
                ApiError::fault("patch_failed", format!("/{operation}/{member}"), detail)
            }
            Self::NothingToIncrement => ApiError::fault("nothing_there", "/pointer", detail),
            Self::NotANumber => ApiError::fault("not_a_number", "/pointer", detail),
            Self::IncrementOutOfRange => ApiError::fault("out_of_range", "/by", detail),
        }
    }
}

impl Refusal for PassTypeError {
    fn into_api_error(self) -> ApiError {
        match &self {
            Self::Unknown => ApiError::NotFound { what: "pass type" },
            Self::AlreadyCreated => ApiError::Conflict { code: "already_created", detail: self.to_string() },
            Self::LocalizationsTooLarge(_) => ApiError::fault("too_many_localizations", "", self.to_string()),
        }
    }
}

impl Refusal for BrandAssetsError {
    fn into_api_error(self) -> ApiError {
        match self {}
    }
}

impl Refusal for UploadedImageError {
    fn into_api_error(self) -> ApiError {
        match self {}
    }
}

impl Refusal for JobError {
    /// Callers only start jobs, which is never refused.
    fn into_api_error(self) -> ApiError {
        ApiError::Internal(self.into())
    }
}

impl Refusal for RegistrationError {
    fn into_api_error(self) -> ApiError {
        match self {}
    }
}

impl<E: Refusal> From<DispatchError<E>> for ApiError {
    fn from(fault: DispatchError<E>) -> Self {
        match fault {
            DispatchError::Refused(refusal) => refusal.into_api_error(),
            DispatchError::Log(fault) => fault.into(),
            DispatchError::Conflict | DispatchError::OutcomeUnknown(_) => Self::Unavailable(fault.into()),
            DispatchError::Undecodable { .. } => Self::Internal(fault.into()),
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(fault: QueryError) -> Self {
        Self::Unavailable(fault.into())
    }
}

impl From<Arc<BuildFailure>> for ApiError {
    fn from(fault: Arc<BuildFailure>) -> Self {
        match &*fault {
            // The operator has to fix a missing or expired certificate; the phone retries.
            BuildFailure::Image(
                BlobError::Store(_) | BlobError::Folder(_) | BlobError::Unknown(_) | BlobError::Damaged(_),
            )
            | BuildFailure::NoCertificate(_)
            | BuildFailure::Certificate { .. } => Self::Unavailable(fault.into()),
            BuildFailure::Image(_) | BuildFailure::Build(_) | BuildFailure::Died => {
                Self::Internal(fault.into())
            }
        }
    }
}

impl From<PersonalizationFailure> for ApiError {
    fn from(fault: PersonalizationFailure) -> Self {
        match fault {
            // An operator has to mend it; the caller retries.
            PersonalizationFailure::NoCertificate
            | PersonalizationFailure::Certificate(_)
            | PersonalizationFailure::NoKeys
            | PersonalizationFailure::Sealed(_)
            | PersonalizationFailure::Vault(_) => Self::Unavailable(fault.into()),
            PersonalizationFailure::Signature(_) | PersonalizationFailure::Unreadable => {
                Self::Internal(fault.into())
            }
        }
    }
}

/// A blob error as the answer to an upload; `pointer` names the place in the body, empty for the body itself.
pub fn blob_error(fault: BlobError, pointer: &str) -> ApiError {
    match fault {
        BlobError::NotAPng(_) => ApiError::fault("not_a_png", pointer, fault.to_string()),
        BlobError::UnknownName(_) => ApiError::fault("unknown_image", pointer, fault.to_string()),
        BlobError::Damaged(digest) => ApiError::fault(
            "unknown_blob",
            pointer,
            format!(
                "the stored bytes of the image {digest} are damaged; send it to `POST /manage/v1/blobs` again"
            ),
        ),
        BlobError::Unknown(digest) => ApiError::fault(
            "unknown_blob",
            pointer,
            format!(
                "your organisation has uploaded no image with the digest {digest}; send it to `POST /manage/v1/blobs` first"
            ),
        ),
        BlobError::Died => ApiError::Internal(fault.into()),
        BlobError::Store(_) | BlobError::Folder(_) => ApiError::Unavailable(fault.into()),
    }
}
