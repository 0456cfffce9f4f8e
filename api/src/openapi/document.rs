//! The document: the parts that many routes share, and the route that serves it.

use std::sync::OnceLock;

use axum::Extension;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use honoken_domain::organization::Scope;
use http::{HeaderValue, Method, header};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, Content, InfoBuilder, LicenseBuilder, Object, OpenApi, OpenApiBuilder, Ref, RefOr,
    ServerBuilder, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::auth::scopes;
use crate::error::{Fault, Problem};
use crate::layers::rate_limits::is_without_general_limit;
use crate::openapi::tags::{ADMIN, DEVICE, MANAGE, RUNNING};
use crate::openapi::{answers, parameters, problems};

const TOKEN: &str = "authenticationToken";
const API_KEY: &str = "apiKey";
const OPERATOR: &str = "operator";

/// Builds the document. The router passes it in, since this file cannot know the routes.
#[derive(Debug, Clone, Copy)]
pub struct Source(pub fn() -> OpenApi);

/// `GET /openapi.json`
///
/// Generated from the handlers of this build.
#[utoipa::path(
    get, path = "/openapi.json", tag = RUNNING,
    operation_id = "openapi", summary = "This document",
    responses((status = 200, description = "An OpenAPI 3.1 document.", content_type = "application/json", body = Object, example = json!({"openapi": "3.1.0"}))),
)]
pub async fn handler(Extension(Source(document)): Extension<Source>) -> Response {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let document =
        DOCUMENT.get_or_init(|| document().to_json().expect("a document of plain values is JSON").into());
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], document.clone()).into_response()
}

/// The document without any route.
pub fn empty() -> OpenApi {
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Honoken")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(include_str!("description.md")))
                .license(Some(
                    LicenseBuilder::new()
                        .name("MIT OR Apache-2.0")
                        .identifier(Some("MIT OR Apache-2.0"))
                        .build(),
                ))
                .build(),
        )
        // Relative to the address of the document, whatever path a proxy shows it under.
        .servers(Some([ServerBuilder::new().url(".").build()]))
        .tags(Some([
            tag(DEVICE, include_str!("device.md")),
            tag(
                MANAGE,
                "The requests of integrators, with `Authorization: Bearer <API key>`; a key acts for one organisation.",
            ),
            tag(
                ADMIN,
                "The requests of operators, with Basic credentials. The same routes exist below `/api/admin`. Where `HONOKEN_ADMIN_SIGNING_KEY` is set, each request is also signed (RFC 9421; docs/operating.md has the details, and `honoken admin` signs).",
            ),
            tag(RUNNING, "Health, metrics and this document, without credentials."),
        ]))
        .components(Some(components()))
        .build()
}

fn tag(name: &str, description: &str) -> utoipa::openapi::Tag {
    TagBuilder::new().name(name).description(Some(description)).build()
}

fn components() -> Components {
    let mut components = Components::new();
    for (name, response) in problems::all() {
        components.responses.insert(name.to_owned(), response.into());
    }
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.schemas.insert(Fault::name().into_owned(), Fault::schema());
    answers::schemas(&mut components);
    components.headers.insert(TEST.to_owned(), test_header().into());
    components.headers.insert(REQUEST_ID.to_owned(), request_id_header().into());
    for (name, description, example) in [
        (
            "RateLimit",
            "Where the caller stands under a limit in a window of time (`RATE_LIMIT_GENERAL`, `RATE_LIMIT_PASSKIT`), where one is set: the requests that are left, and the seconds until the window ends.",
            "\"passkit\";r=9;t=60",
        ),
        (
            "RateLimit-Policy",
            "The limit itself, where one is set: the requests of a window, and its length in seconds.",
            "\"passkit\";q=10;w=60",
        ),
    ] {
        components.headers.insert(name.to_owned(), text_header(description, example).into());
    }
    components.parameters.insert(REQUEST_ID.to_owned(), parameters::request_id().into());
    for parameter in parameters::in_paths() {
        components.parameters.insert(parameter.name.clone(), parameter.into());
    }
    let token = ApiKeyValue::with_description(
        "Authorization",
        "`ApplePass` followed by the `authenticationToken` of the pass (`AndroidPass` is understood, too).",
    );
    components.add_security_scheme(TOKEN, SecurityScheme::ApiKey(ApiKey::Header(token)));
    components.add_security_scheme(
        API_KEY,
        http(
            HttpAuthScheme::Bearer,
            "An API key of the organisation. Where an operation names a scope, the key needs it.",
        ),
    );
    components
        .add_security_scheme(OPERATOR, http(HttpAuthScheme::Basic, "Name and password of the operator."));
    components
}

fn http(scheme: HttpAuthScheme, description: &str) -> SecurityScheme {
    SecurityScheme::Http(HttpBuilder::new().scheme(scheme).description(Some(description)).build())
}

const REQUEST_ID: &str = "X-Request-Id";

const TEST: &str = "Honoken-Test";

fn test_header() -> utoipa::openapi::header::Header {
    HeaderBuilder::new()
        .schema(Some(Object::with_type(Type::String)))
        .description(Some(
            "`true` when the key is that of a test organisation; otherwise there is no such header.",
        ))
        .build()
}

fn text_header(description: &str, example: &str) -> utoipa::openapi::header::Header {
    HeaderBuilder::new()
        .schema(Some(Object::with_type(Type::String)))
        .description(Some(description))
        .example(Some(example.into()))
        .build()
}

fn request_id_header() -> utoipa::openapi::header::Header {
    HeaderBuilder::new()
        .schema(Some(Object::with_type(Type::String)))
        .description(Some("The id of the request: that of the header if it was acceptable, else a new one."))
        .build()
}

/// Adds to every operation the parts that all routes of its kind share.
pub fn complete(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            complete_operation(path, &method, operation);
        }
    }
    show_examples(&mut document);
    document
}

/// Shows the example of a schema wherever it is a body.
fn show_examples(document: &mut OpenApi) {
    let schemas =
        document.components.as_ref().map(|components| components.schemas.clone()).unwrap_or_default();
    let example = |content: &RefOr<Content>| {
        let RefOr::T(content) = content else { return None };
        let Some(RefOr::Ref(named)) = &content.schema else { return None };
        let schema = serde_json::to_value(schemas.get(named.ref_location.rsplit('/').next()?)?).ok()?;
        schema.get("example").cloned()
    };
    let show = |content: &mut RefOr<Content>| {
        let example = example(content);
        if let RefOr::T(content) = content
            && content.example.is_none()
        {
            content.example = example;
        }
    };
    for (_, item) in &mut document.paths.paths {
        for (_, operation) in operations(item) {
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                body.content.values_mut().for_each(show);
            }
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response {
                    response.content.values_mut().for_each(show);
                }
            }
        }
    }
}

/// The operations of a path.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Delete, &mut item.delete),
        (HttpMethod::Options, &mut item.options),
        (HttpMethod::Head, &mut item.head),
        (HttpMethod::Patch, &mut item.patch),
        (HttpMethod::Trace, &mut item.trace),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn complete_operation(path: &str, method: &HttpMethod, operation: &mut Operation) {
    // The `# Errors` section is for readers of the source; in the document every answer is listed by itself.
    let without_errors = |text: String| text.split("# Errors").next().map(str::trim_end).map(str::to_owned);
    operation.description =
        operation.description.take().and_then(without_errors).filter(|text| !text.is_empty());
    let named = path_parameters(path)
        .chain([REQUEST_ID])
        .map(|name| Ref::new(format!("#/components/parameters/{name}")));
    let declared = operation.parameters.take().unwrap_or_default();
    operation.parameters = Some(named.map(RefOr::<Parameter>::Ref).chain(declared).collect());

    let tagged = |name: &str| operation.tags.iter().flatten().any(|tag| tag == name);
    let (manages, operates) = (tagged(MANAGE), tagged(ADMIN));
    if manages {
        require_scopes(operation, scopes::needed(&http_method(method), path));
        problems::add::<problems::UnauthorizedKey>(operation);
    } else if operates {
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], _>(OPERATOR, [])]);
        problems::add::<problems::UnauthorizedOperator>(operation);
        if changes_something(method) {
            problems::add::<problems::CrossSite>(operation);
        }
    } else if operation.security.is_some() {
        problems::add::<problems::UnauthorizedDevice>(operation);
    }
    let is_limited = !is_without_general_limit(path);
    if is_limited {
        problems::add::<problems::TooManyRequests>(operation);
    }
    if operation.request_body.is_some() {
        problems::add::<problems::Unreadable>(operation);
        problems::add::<problems::BodyTimeout>(operation);
        problems::add::<problems::TooLarge>(operation);
    }
    problems::add::<problems::Internal>(operation);
    problems::add::<problems::Unavailable>(operation);
    let is_counted = is_limited || operation.operation_id.as_deref().is_some_and(is_under_passkit_limit);
    let limits = if is_counted { &problems::RATE_LIMIT[..] } else { &[] };
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let marks: &[&str] = if manages { &[REQUEST_ID, TEST] } else { &[REQUEST_ID] };
            for name in limits.iter().chain(marks) {
                let header = Ref::new(format!("#/components/headers/{name}"));
                response.headers.insert((*name).to_owned(), RefOr::Ref(header));
            }
        }
    }
}

/// Whether `RATE_LIMIT_PASSKIT` counts an operation.
fn is_under_passkit_limit(operation: &str) -> bool {
    ["registerDevice", "getPass"].contains(&operation)
}

/// Any key will do where no scope is needed; else a key with one of these.
fn require_scopes(operation: &mut Operation, needed: &[Scope]) {
    if needed.is_empty() {
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], _>(API_KEY, [])]);
        return;
    }
    operation.security =
        Some(needed.iter().map(|scope| SecurityRequirement::new(API_KEY, [scope.as_str()])).collect());
    let sentence = format!("Needs a key with the scope {}.", scopes::named(needed));
    operation.description = Some(match operation.description.take() {
        Some(description) => format!("{description}\n\n{sentence}"),
        None => sentence,
    });
    problems::add::<problems::MissingScope>(operation);
}

/// The method of a request.
pub fn http_method(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Trace => Method::TRACE,
    }
}

/// As `crate::layers::cross_site` decides.
fn changes_something(method: &HttpMethod) -> bool {
    !matches!(method, HttpMethod::Get | HttpMethod::Head | HttpMethod::Options | HttpMethod::Trace)
}

/// The names in braces.
fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}
