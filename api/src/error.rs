//! Errors as callers see them: `application/problem+json` (RFC 9457) with a stable code. Only this file gives an error its status;
//! [`crate::causes`] says which answer a failure of a lower room gets.

use std::error::Error;

use axum::response::{IntoResponse, Response};
use honoken_domain::ids::PassTypeIdentifier;
use honoken_domain::organization::Scope;
use honoken_domain::pass::ContentFault;
use honoken_service::permits::Overloaded;
use honoken_telemetry::error_chain;
use honoken_telemetry::metrics::AnonymousLine;
use honoken_telemetry::request::may_log;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::scopes;
use crate::auth::signing::SignatureFault;
use crate::damage::Damage;
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

/// What is wrong with the API key of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// There is no header `Authorization`.
    Missing,
    /// The header does not begin with `Bearer`.
    NotBearer,
    /// The key is none that is valid.
    Unknown,
}

impl KeyFault {
    fn detail(self) -> &'static str {
        match self {
            Self::Missing => {
                "The request has no API key: send `Authorization: Bearer` with an API key of your organisation."
            }
            Self::NotBearer => {
                "The header `Authorization` must begin with `Bearer ` and go on with an API key of your organisation; it has another form."
            }
            Self::Unknown => {
                "The API key is unknown, revoked or expired: send `Authorization: Bearer` with a valid API key of your organisation."
            }
        }
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
    UnauthorizedKey(KeyFault),
    /// 401 to the sender of a command over NATS.
    UnauthorizedSender,
    /// 401 to an operator.
    UnauthorizedOperator,
    /// 401 to an operator whose request is not signed as it has to be.
    SignatureRequired(SignatureFault),
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
    /// 409: an event of the pass cannot be read, so the pass stands still. The cause is logged.
    PassParked(Box<dyn Error + Send + Sync>),
    /// 409: likewise for a stream that is no pass's.
    Damaged(Damage),
    /// 409: the state does not allow values of the body, or parts of the resource.
    ConflictAt {
        /// Stable name of the rule.
        code: &'static str,
        /// Each place and its reason.
        errors: Vec<Fault>,
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
    /// 415: the body is a form, where the bytes of a file are expected.
    FormInsteadOfFile,
    /// 415: the body is not the form of a page.
    NotAForm,
    /// 415: the body is not a patch of a known kind.
    UnsupportedPatch,
    /// 422: readable, but not acceptable.
    Unacceptable {
        /// Every fault found.
        errors: Vec<Fault>,
    },
    /// 422: an organisation has no room for more.
    QuotaExceeded(Fault),
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
    /// 503 to integrators and operators: no certificate signs passes of this type.
    NoCertificate {
        /// The type.
        pass_type_identifier: PassTypeIdentifier,
        /// The reason, and what to do.
        why: String,
    },
    /// 503 to phones in the same case, without the reason: an operator has to act, so they need not come back soon.
    CannotSign(Box<dyn Error + Send + Sync>),
    /// 503: no process fills the read model, so nothing that was changed becomes visible.
    NoProjector,
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

/// Likewise where an operator has to act first.
const RETRY_AFTER_OPERATOR: HeaderValue = HeaderValue::from_static("300");

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

    /// 409 for a change that an operator has to mean.
    pub fn needs_force(refusal: &dyn Error) -> Self {
        let detail = format!("{refusal}; send `\"force\": true` if this is meant");
        Self::Conflict { code: "needs_force", detail }
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

    /// 403 for the keys of an organisation that an operator has disabled.
    pub const ORGANIZATION_DISABLED: Self = Self::Forbidden {
        code: "organization_disabled",
        detail: "The organisation of this API key is disabled. Its passes are served to phones as they are; ask the operator of this service to enable it.",
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

    /// The same answer to a phone, which learns nothing about certificates.
    #[must_use]
    pub fn for_phone(self) -> Self {
        match self {
            Self::NoCertificate { why, .. } => Self::CannotSign(why.into()),
            // A status that Apple's protocol does not have; the request may succeed once an operator has acted.
            Self::PassParked(cause) => Self::CannotSign(cause),
            Self::Damaged(damage) => Self::CannotSign(damage.into()),
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
                | Self::NoProjector
                | Self::Overloaded
                | Self::TimedOut
        )
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unreadable { .. } => StatusCode::BAD_REQUEST,
            Self::UnauthorizedDevice
            | Self::UnauthorizedKey(_)
            | Self::UnauthorizedSender
            | Self::UnauthorizedOperator
            | Self::SignatureRequired(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } | Self::MissingScope { .. } => StatusCode::FORBIDDEN,
            Self::NotFound { .. } | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict { .. } | Self::ConflictAt { .. } | Self::PassParked(_) | Self::Damaged(_) => {
                StatusCode::CONFLICT
            }
            Self::PreconditionFailed { .. } => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType
            | Self::FormInsteadOfFile
            | Self::NotAForm
            | Self::UnsupportedPatch => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unacceptable { .. } | Self::QuotaExceeded(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable(_)
            | Self::LogRefusesWrites
            | Self::NoCertificate { .. }
            | Self::CannotSign(_)
            | Self::NoProjector
            | Self::Overloaded
            | Self::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The body that would have been read, in a sentence.
    fn wanted_body(&self) -> String {
        match self {
            Self::FormInsteadOfFile => {
                "The body is a form. Send the bytes of the file alone, like `curl --data-binary @logo.png -H 'Content-Type: image/png'`, not `curl -F`.".into()
            }
            Self::NotAForm => {
                "Send a form, `Content-Type: multipart/form-data`, with the file in the field `pass`. Programs have `POST /manage/v1/lint`.".into()
            }
            Self::UnsupportedPatch => {
                format!("Send a patch as one of the types that the header `Accept-Patch` names: {PATCH_TYPES}.")
            }
            _ => "Send JSON with `Content-Type: application/json`.".into(),
        }
    }

    /// The stable code, title and sentence.
    fn words(&self) -> (&'static str, &'static str, String) {
        match self {
            Self::Unreadable { detail, .. } => ("unreadable", "The request cannot be read", detail.clone()),
            Self::UnauthorizedDevice => (
                "unauthorized",
                "Unauthorized",
                "Send `Authorization: ApplePass` with the authentication token of this pass.".into(),
            ),
            Self::UnauthorizedKey(fault) => ("unauthorized", "Unauthorized", fault.detail().into()),
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
            Self::SignatureRequired(fault) => (
                "signature_required",
                "Signature required",
                format!("Requests of operators have to be signed here (RFC 9421), as `honoken admin` does: {fault}."),
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
            Self::ConflictAt { code, errors } => (code, "Conflict", one_after_another(errors)),
            Self::PassParked(_) => (
                "pass_parked",
                "The pass stands still",
                "An event of this pass cannot be read, so it is served as it was and cannot be changed. An operator can retry the event or skip it (`/admin/projections/wallet/parked`), and after a skip repair the pass (`POST /admin/passes/{type}/{serial}/repair`).".into(),
            ),
            Self::Damaged(damage) => ("stream_damaged", "The event log is damaged here", damage.detail()),
            Self::PreconditionFailed { detail } => ("precondition_failed", "Precondition failed", detail.clone()),
            Self::TooLarge { limit } => {
                ("too_large", "Body too large", format!("The limit is {limit} bytes."))
            }
            Self::UnsupportedMediaType | Self::FormInsteadOfFile | Self::NotAForm | Self::UnsupportedPatch => {
                ("unsupported_media_type", "Unsupported media type", self.wanted_body())
            }
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
            Self::QuotaExceeded(fault) => ("quota_exceeded", "Quota exceeded", fault.detail.clone()),
            Self::TooManyRequests { retry_after } => (
                "too_many_requests",
                "Too many requests",
                format!("Rate limit exceeded. Try again after {retry_after} seconds."),
            ),
            Self::Internal(_)
            | Self::Unavailable(_)
            | Self::LogRefusesWrites
            | Self::NoCertificate { .. }
            | Self::CannotSign(_)
            | Self::NoProjector
            | Self::Overloaded
            | Self::TimedOut => self.words_of_failure(),
        }
    }

    /// The same for a 5xx. They reveal nothing internal.
    fn words_of_failure(&self) -> (&'static str, &'static str, String) {
        match self {
            Self::Unavailable(_) => {
                ("unavailable", "Unavailable", "The data store is unavailable. Try again after `Retry-After` seconds.".into())
            }
            Self::LogRefusesWrites => (
                "log_refuses_writes",
                "The event log refuses changes",
                "Reads are answered. Changes are refused until the data store accepts writes again, which is tested every second.".into(),
            ),
            Self::NoCertificate { pass_type_identifier, why } => (
                "no_certificate",
                "No certificate",
                format!("Passes of {pass_type_identifier} cannot be signed: {why}."),
            ),
            Self::CannotSign(_) => (
                "unavailable",
                "Unavailable",
                "The request cannot be carried out now. Try again after `Retry-After` seconds.".into(),
            ),
            Self::NoProjector => (
                "no_projector",
                "No projector",
                "No process fills the read model, so changes are kept and not visible yet: an operator has to start a process with the role `projector`.".into(),
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
            _ => {
                ("internal", "Internal error", "The request failed inside the service. No change is known to have been made.".into())
            }
        }
    }

    /// The additional header of the answer.
    pub fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::UnauthorizedDevice => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("ApplePass")))
            }
            Self::UnauthorizedKey(_) => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::UnauthorizedOperator | Self::SignatureRequired(_) => Some((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"honoken\", charset=\"UTF-8\""),
            )),
            Self::UnsupportedPatch => {
                Some((HeaderName::from_static("accept-patch"), HeaderValue::from_static(PATCH_TYPES)))
            }
            Self::Unavailable(_) | Self::LogRefusesWrites | Self::NoProjector | Self::TimedOut => {
                Some((header::RETRY_AFTER, RETRY_AFTER))
            }
            Self::CannotSign(_) => Some((header::RETRY_AFTER, RETRY_AFTER_OPERATOR)),
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
            Self::Unreadable { errors, .. }
            | Self::Unacceptable { errors }
            | Self::ConflictAt { errors, .. } => errors.get(..FAULTS).unwrap_or(errors),
            Self::QuotaExceeded(fault) => std::slice::from_ref(fault),
            _ => &[],
        };
        let r#type = format!("urn:honoken:problem:{code}");
        Problem { r#type, title, status: self.status().as_u16(), code, detail, errors }
    }

    /// The body of the answer as JSON, for examples.
    pub fn as_json(&self) -> Value {
        serde_json::to_value(self.problem()).unwrap_or_default()
    }

    /// Logs the cause of an answer that does not tell it, once.
    pub fn log(&self) {
        let cause: &(dyn Error + 'static) = match self {
            Self::Internal(cause)
            | Self::Unavailable(cause)
            | Self::CannotSign(cause)
            | Self::PassParked(cause) => &**cause,
            Self::Damaged(damage) => damage,
            Self::NoCertificate { pass_type_identifier, why } => {
                if may_log(AnonymousLine::Error, 1) > 0 {
                    tracing::error!(pass.r#type = %pass_type_identifier, "could not sign a pass of {pass_type_identifier}: {why}");
                }
                return;
            }
            Self::NoProjector => {
                if may_log(AnonymousLine::Error, 1) > 0 {
                    tracing::error!(
                        "could not answer a request: no process fills the read model; start one with the role projector"
                    );
                }
                return;
            }
            _ => return,
        };
        if may_log(AnonymousLine::Error, 1) > 0 {
            tracing::error!(error = error_chain(cause), "could not answer a request");
        }
    }
}

fn one_after_another(faults: &[Fault]) -> String {
    let details: Vec<&str> = faults.iter().map(|fault| fault.detail.as_str()).collect();
    details.join("; ")
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
