//! Every route, in one list. Paths and methods stand above the handlers; `crate::openapi` says how to add one.

use axum::extract::Request;
use axum::{Router, middleware};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::error::ApiError;
use crate::{admin, auth, device, health, manage, openapi, path, request_context};

/// The service. Give it requests whose path has been through [`strip_prefix`].
pub fn router(app: AppState) -> Router {
    let operator = Router::from(operator())
        .route_layer(middleware::from_fn_with_state(app.clone(), auth::require_operator));
    finished(Router::from(open()).nest("/admin", operator.clone()).nest("/api/admin", operator), app)
}

/// What is written about these routes: the same lines, read once more.
pub fn documented() -> OpenApi {
    let routes = OpenApiRouter::with_openapi(openapi::empty()).merge(open()).nest("/admin", operator());
    openapi::complete(routes.into_openapi())
}

/// The routes whose handlers see to their callers themselves.
fn open() -> OpenApiRouter<AppState> {
    let device = OpenApiRouter::default()
        .routes(routes!(device::register::handler, device::unregister::handler))
        .routes(routes!(device::list::handler))
        .routes(routes!(device::get_pass::handler))
        .routes(routes!(device::log::handler));

    let manage = OpenApiRouter::default()
        .routes(routes!(manage::issue::handler))
        .routes(routes!(manage::state::handler))
        .routes(routes!(manage::replace_content::handler))
        .routes(routes!(manage::void::handler))
        .routes(routes!(manage::reinstate::handler))
        .routes(routes!(manage::pkpass::handler))
        .routes(routes!(manage::assets::get, manage::assets::put, manage::assets::delete))
        .routes(routes!(manage::blobs::handler));

    health().routes(routes!(openapi::document)).merge(device).merge(manage)
}

/// The operator's routes, found below `/admin` and below `/api/admin`.
fn operator() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(admin::projections::list))
        .routes(routes!(admin::parked::list))
        .routes(routes!(admin::parked::retry))
        .routes(routes!(admin::parked::skip))
}

/// What a process answers that does something else than answering.
pub fn health_alone(app: AppState) -> Router {
    finished(health().into(), app)
}

fn health() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(health::live)).routes(routes!(health::ready))
}

/// What is around every route.
fn finished(routes: Router<AppState>, app: AppState) -> Router {
    routes
        .fallback(async || ApiError::NoSuchPath)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(
            ServiceBuilder::new()
                .layer(middleware::from_fn_with_state(app.clone(), request_context::around))
                .layer(CatchPanicLayer::custom(request_context::after_panic)),
        )
        .with_state(app)
}

/// Makes `/v1/…` of a device request under any prefix. It runs before the router, which matches the path as it is.
pub fn strip_prefix(mut request: Request) -> Request {
    if let Some(uri) = path::without_prefix(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}
