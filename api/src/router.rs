//! Every route, in one list.

use axum::extract::Request;
use axum::routing::{get, post, put};
use axum::{Router, middleware};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::AppState;
use crate::error::ApiError;
use crate::{admin, auth, device, health, manage, path, request_context};

/// The service. Give it requests whose path has been through [`strip_prefix`].
pub fn router(app: AppState) -> Router {
    let device = Router::new()
        .route(
            "/v1/devices/{device}/registrations/{type}/{serial}",
            post(device::register::handler).delete(device::unregister::handler),
        )
        .route("/v1/devices/{device}/registrations/{type}", get(device::list::handler))
        .route("/v1/passes/{type}/{serial}", get(device::get_pass::handler))
        .route("/v1/log", post(device::log::handler));

    let manage = Router::new()
        .route("/manage/v1/passes", get(manage::list::handler).post(manage::issue::handler))
        .route("/manage/v1/passes/{type}/{serial}", get(manage::state::handler))
        .route("/manage/v1/passes/{type}/{serial}/content", put(manage::replace_content::handler))
        .route("/manage/v1/passes/{type}/{serial}/void", post(manage::void::handler))
        .route("/manage/v1/passes/{type}/{serial}/reinstate", post(manage::reinstate::handler))
        .route("/manage/v1/passes/{type}/{serial}/pkpass", get(manage::pkpass::handler))
        .route(
            "/manage/v1/passes/{type}/{serial}/assets/{file}",
            get(manage::assets::get).put(manage::assets::put).delete(manage::assets::delete),
        )
        .route(
            "/manage/v1/pass-types/{type}/assets/{file}",
            get(manage::type_assets::get).put(manage::type_assets::put).delete(manage::type_assets::delete),
        )
        .route("/manage/v1/jobs/{id}", get(manage::jobs::handler))
        .route("/manage/v1/blobs", post(manage::blobs::handler));

    let operator = Router::new()
        .route(
            "/brand-assets/{file}",
            get(admin::brand_assets::get).put(admin::brand_assets::put).delete(admin::brand_assets::delete),
        )
        .route("/jobs/{id}", get(admin::jobs::handler))
        .route("/projections", get(admin::projections::list))
        .route("/projections/{projection}/parked", get(admin::parked::list))
        .route("/projections/{projection}/parked/{position}/retry", post(admin::parked::retry))
        .route("/projections/{projection}/parked/{position}/skip", post(admin::parked::skip))
        .route_layer(middleware::from_fn_with_state(app.clone(), auth::require_operator));

    finished(
        health().merge(device).merge(manage).nest("/admin", operator.clone()).nest("/api/admin", operator),
        app,
    )
}

/// What a process answers that does something else than answering.
pub fn health_alone(app: AppState) -> Router {
    finished(health(), app)
}

fn health() -> Router<AppState> {
    Router::new().route("/health/live", get(health::live)).route("/health/ready", get(health::ready))
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
