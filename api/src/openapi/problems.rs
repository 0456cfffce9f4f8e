//! Error answers, as types for `responses(…)`. Their examples are the bodies that [`ApiError`] really sends.

use std::collections::BTreeMap;

use honoken_domain::organization::Scope;
use http::HeaderMap;
use utoipa::IntoResponses;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, Object, Ref, RefOr, Response, ResponseBuilder, Type};

use crate::damage::Damage;
use crate::error::{ApiError, Fault, KeyFault};

/// Declares the answers, and [`all`] of them for the components of the document.
macro_rules! problems {
    ($($name:ident: $error:expr, $description:literal;)*) => {
        $(
            #[doc = $description]
            #[derive(Debug)]
            pub struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    let error: ApiError = $error;
                    let component = Ref::new(concat!("#/components/responses/", stringify!($name)));
                    BTreeMap::from([(error.status().as_u16().to_string(), component.into())])
                }
            }
        )*

        /// Every such answer, by the name of its type.
        pub fn all() -> Vec<(&'static str, Response)> {
            vec![$((stringify!($name), response($description, &$error))),*]
        }
    };
}

problems! {
    Unreadable: ApiError::unreadable("json", "", "the body is not acceptable JSON: expected value at line 1 column 1"),
        "The request cannot be read: broken JSON, a key twice, U+0000 outside the message of a barcode, a number outside of RFC 8785's range, nesting beyond 64 levels.";
    UnauthorizedDevice: ApiError::UnauthorizedDevice,
        "Wrong, missing or malformed token, unknown pass type or unknown serial number: one answer, which does not tell the cases apart.";
    UnauthorizedKey: ApiError::UnauthorizedKey(KeyFault::Missing), "The API key is missing, stands without `Bearer`, or is unknown; `detail` tells which.";
    UnauthorizedOperator: ApiError::UnauthorizedOperator, "The operator's credentials are missing or wrong. Or `signature_required`, where `HONOKEN_ADMIN_SIGNING_KEY` is set: the request is not signed as it has to be; `detail` names the fault.";
    MissingScope: ApiError::MissingScope { needed: &[Scope::PassesWrite] },
        "`missing_scope`: the API key may not do this; `detail` names the scope that would do.";
    CrossSite: ApiError::CROSS_SITE, "`cross_site`: a browser sent the request for a page of another site. Or `missing_role`: the operator's role does not allow it.";
    MissingRole: ApiError::MISSING_OWNER, "`missing_role`: the operator's role does not allow it.";
    NotInProduction: ApiError::NOT_IN_PRODUCTION, "`not_in_production`: `ENVIRONMENT` is `production`, where phones are woken for changes alone. Or `cross_site`: a browser sent the request for a page of another site. Or `missing_role`: the operator's role does not allow it.";
    NotFound: ApiError::NO_PASS, "The resource does not exist, or it belongs to another organisation.";
    BodyTimeout: ApiError::BodyTimeout, "The body did not arrive in 20 seconds.";
    Conflict: ApiError::Conflict { code: "already_issued", detail: "a pass with this serial number was already issued".into() },
        "The state of the resource does not allow it; `code` names the reason.";
    Damaged: ApiError::Damaged(Damage::of("the organisation club".to_owned(), "the event at position 7 is not readable".into())),
        "`stream_damaged`: an event on which the change would be decided cannot be read; `detail` names it, and what an operator has to do.";
    PreconditionFailed: ApiError::PreconditionFailed { detail: "the state has another tag".into() },
        "`If-Match` names another state than the current one.";
    TooLarge: ApiError::TooLarge { limit: crate::limits::JSON_BYTES }, "The body is too large; `detail` names the limit.";
    UnsupportedMediaType: ApiError::UnsupportedMediaType, "The body is of another content type.";
    FormInsteadOfFile: ApiError::FormInsteadOfFile, "The body is a form (`multipart/form-data`); the bytes of the file are expected.";
    UnsupportedPatch: ApiError::UnsupportedPatch, "The body is not a patch of a type that `Accept-Patch` names.";
    Unacceptable: ApiError::fault("required", "/passTypeIdentifier", "`passTypeIdentifier` is missing"),
        "The body can be read and is not acceptable: `errors` names every fault by its pointer.";
    UnacceptableImage: ApiError::QuotaExceeded(Fault::new("quota_exceeded", "", "the image needs 20480 bytes, and your organisation has 4096 left")),
        "The image, its name or a parameter is not acceptable: `errors` names every fault. Or `quota_exceeded`: the organisation has no room for the image; `detail` says how much it has, needs and may have.";
    TooManyRequests: ApiError::TooManyRequests { retry_after: 1 },
        "The organisation or this client address sends too many requests (`RateLimit` and `RateLimit-Policy` name the limit of the address), or this client sent too many wrong credentials. Come back after `Retry-After` seconds.";
    TooManyRegistrations: ApiError::TooManyRequests { retry_after: 1 },
        "The device registers and unregisters too often, too many devices of this pass or too many registrations of this device come from one address, or the address sent too many wrong tokens. Come back after `Retry-After` seconds.";
    TooManyDownloads: ApiError::TooManyRequests { retry_after: 1 },
        "Too many downloads of this pass come from one address (`RATE_LIMIT_PASSKIT`), or the address sent too many wrong tokens. Come back after `Retry-After` seconds.";
    TooManyPersonalizations: ApiError::TooManyRequests { retry_after: 1 },
        "Too many requests to enrol a person come from one address. Come back after `Retry-After` seconds.";
    TooManyVisits: ApiError::TooManyRequests { retry_after: 1 },
        "Too many files come from one address. Come back after `Retry-After` seconds.";
    Internal: ApiError::Internal("".into()), "A fault of the service. The answer does not describe it; the log output does, under the request's id.";
    Unavailable: ApiError::Unavailable("".into()), "The data store is unavailable, the service is overloaded, or the request took too long: come back after `Retry-After` seconds. `no_certificate`, without that header: no certificate signs passes of the type, and `detail` says what to do. `no_projector`: no process fills the read model.";
    NotReady: ApiError::LogRefusesWrites, "The process cannot do its work. `code` is `log_refuses_writes` while the event log refuses every change, for example because its disk is full; `no_projector` while no process fills the read model; else `unavailable`.";
}

/// The headers that tell a caller where it stands under a limit.
pub const RATE_LIMIT: [&str; 2] = ["RateLimit", "RateLimit-Policy"];

fn response(description: &str, error: &ApiError) -> Response {
    let problem = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .example(Some(error.as_json()))
        .build();
    let mut response =
        ResponseBuilder::new().description(description).content("application/problem+json", problem).build();
    let mut headers = HeaderMap::new();
    headers.extend(error.header());
    for name in headers.keys() {
        let header = HeaderBuilder::new().schema(Some(Object::with_type(Type::String)));
        let example = headers[name].to_str().unwrap_or_default();
        response.headers.insert(titled(name.as_str()), header.example(Some(example.into())).build().into());
    }
    let limits = if matches!(error, ApiError::TooManyRequests { .. }) { &RATE_LIMIT[..] } else { &[] };
    for name in limits.iter().chain(&["X-Request-Id"]) {
        let header = Ref::new(format!("#/components/headers/{name}"));
        response.headers.insert((*name).to_owned(), RefOr::Ref(header));
    }
    response
}

/// `retry-after` as people write it.
fn titled(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(1.min(word.len()));
        first.to_ascii_uppercase() + rest
    });
    let title = words.collect::<Vec<_>>().join("-");
    if title == "Www-Authenticate" { "WWW-Authenticate".to_owned() } else { title }
}

/// Adds an answer to an operation, unless it declares that status itself.
pub fn add<R: IntoResponses>(operation: &mut Operation) {
    for (status, response) in R::responses() {
        operation.responses.responses.entry(status).or_insert(response);
    }
}
