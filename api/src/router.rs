//! Every route, in one list. Paths and methods stand above the handlers; `crate::openapi` says how to add one.

use std::sync::Arc;

use axum::{Extension, Router, middleware};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::operator;
use crate::error::ApiError;
use crate::layers::audit::{self, Actions};
use crate::layers::{around, cross_site};
use crate::openapi::document;
use crate::operations::{docs, health, home, inspect, metrics};
use crate::state::AppState;
use crate::{admin, device, manage};

/// The service. Give it requests whose path has been through [`strip_prefix`](crate::routes::strip_prefix).
pub fn router(app: AppState) -> Router {
    let routes =
        if app.options.admin_is_elsewhere { Router::from(open()) } else { list(guarded_operator(&app)) };
    let routes =
        if app.options.metrics_are_elsewhere { routes } else { routes.merge(Router::from(metrics())) };
    finished(routes, app)
}

/// The routes on the separate address for operators.
pub fn admin_alone(app: AppState) -> Router {
    let operator = guarded_operator(&app);
    let routes = Router::from(health()).nest("/admin", operator.clone()).nest("/api/admin", operator);
    finished(routes, app)
}

/// The operator's routes behind the checks that all of them have.
fn guarded_operator(app: &AppState) -> Router<AppState> {
    let actions = Arc::new(Actions::of(&mut operator().into_openapi()));
    Router::from(operator())
        .route_layer(middleware::from_fn(operator::require_role))
        .route_layer(middleware::from_fn_with_state(app.clone(), cross_site::refuse))
        .route_layer(middleware::from_fn_with_state((app.clone(), actions), audit::note))
        .route_layer(middleware::from_fn_with_state(app.clone(), operator::require_operator))
}

/// All routes except the metrics, without layers.
fn list(operator: Router<AppState>) -> Router<AppState> {
    Router::from(open()).nest("/admin", operator.clone()).nest("/api/admin", operator)
}

/// The documentation of these routes, from the same lines.
pub fn documented() -> OpenApi {
    let routes = OpenApiRouter::with_openapi(document::empty()).merge(open()).merge(metrics());
    let routes = routes.nest("/admin", operator());
    document::complete(routes.into_openapi())
}

/// The routes whose handlers authenticate their callers themselves.
fn open() -> OpenApiRouter<AppState> {
    let device = OpenApiRouter::default()
        .routes(routes!(device::register::handler, device::unregister::handler))
        .routes(routes!(device::list::handler))
        .routes(routes!(device::get_pass::handler))
        .routes(routes!(device::personalize::handler))
        .routes(routes!(device::log::handler));

    let manage = OpenApiRouter::default()
        .routes(routes!(manage::list::handler, manage::issue::handler))
        .routes(routes!(manage::state::handler, manage::change_metadata::handler, manage::retire::handler))
        .routes(routes!(manage::replace_content::handler, manage::patch_content::handler))
        .routes(routes!(manage::increment::handler))
        .routes(routes!(manage::void::handler))
        .routes(routes!(manage::reinstate::handler))
        .routes(routes!(manage::history::handler))
        .routes(routes!(manage::past::handler))
        .routes(routes!(manage::past::pkpass))
        .routes(routes!(manage::restore::handler))
        .routes(routes!(manage::import_registration::handler))
        .routes(routes!(
            manage::personalization::get,
            manage::personalization::put,
            manage::personalization::delete
        ))
        .routes(routes!(manage::pkpass::handler))
        .routes(routes!(manage::pkpasses::handler))
        .routes(routes!(manage::assets::get, manage::assets::put, manage::assets::delete))
        .routes(routes!(
            manage::localizations::get,
            manage::localizations::put,
            manage::localizations::delete
        ))
        .routes(routes!(manage::type_assets::get, manage::type_assets::put, manage::type_assets::delete))
        .routes(routes!(
            manage::type_localizations::get,
            manage::type_localizations::put,
            manage::type_localizations::delete
        ))
        .routes(routes!(manage::jobs::handler))
        .routes(routes!(manage::blobs::handler))
        .routes(routes!(manage::lint::handler));

    health()
        .routes(routes!(home::handler))
        .routes(routes!(document::handler))
        .routes(routes!(docs::page))
        .routes(routes!(docs::part))
        .routes(routes!(inspect::page, inspect::inspect))
        .merge(device)
        .merge(manage)
}

/// The operator's routes, found below `/admin` and below `/api/admin`.
fn operator() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(admin::brand_assets::get, admin::brand_assets::put, admin::brand_assets::delete))
        .routes(routes!(admin::apns_keys::get, admin::apns_keys::put, admin::apns_keys::delete))
        .routes(routes!(admin::apns_keys::list))
        .routes(routes!(admin::apns_keys::test))
        .routes(routes!(admin::audit::list))
        .routes(routes!(admin::jobs::handler))
        .routes(routes!(admin::keys::create, admin::keys::list))
        .routes(routes!(admin::keys::revoke))
        .routes(routes!(admin::keys::rotate))
        .routes(routes!(admin::operators::add, admin::operators::list))
        .routes(routes!(admin::operators::change, admin::operators::remove))
        .routes(routes!(admin::certificates::get, admin::certificates::put, admin::certificates::delete))
        .routes(routes!(admin::certificates::list))
        .routes(routes!(admin::certificate_requests::csr))
        .routes(routes!(admin::certificate_requests::test))
        .routes(routes!(admin::certificate_requests::invalidate))
        .routes(routes!(admin::organizations::list, admin::organizations::post))
        .routes(routes!(admin::organizations::patch))
        .routes(routes!(admin::pass_types::put))
        .routes(routes!(admin::pass_types::list))
        .routes(routes!(admin::projections::list))
        .routes(routes!(admin::projections::rebuild))
        .routes(routes!(admin::projections::pause))
        .routes(routes!(admin::projections::resume))
        .routes(routes!(admin::projections::cancel))
        .routes(routes!(admin::projections::compare))
        .routes(routes!(admin::projections::switch))
        .routes(routes!(admin::projections::rollback))
        .routes(routes!(admin::projections::drop_kept))
        .routes(routes!(admin::parked::list))
        .routes(routes!(admin::parked::retry))
        .routes(routes!(admin::parked::skip))
        .routes(routes!(admin::repair::handler))
        .routes(routes!(admin::reseal::handler))
        .routes(routes!(admin::push::handler))
        .routes(routes!(admin::pushing::state))
        .routes(routes!(admin::pushing::pause_relay))
        .routes(routes!(admin::pushing::resume_relay))
        .routes(routes!(admin::pushing::pause_pusher))
        .routes(routes!(admin::pushing::resume_pusher))
        .routes(routes!(admin::messages::list))
        .routes(routes!(admin::messages::retry))
        .routes(routes!(admin::messages::delete))
}

/// The routes of a process without the role `api`.
pub fn health_alone(app: AppState) -> Router {
    let routes = if app.options.metrics_are_elsewhere { health() } else { health().merge(metrics()) };
    finished(routes.into(), app)
}

/// The routes on the separate address for metrics.
pub fn metrics_alone(app: AppState) -> Router {
    finished(metrics().into(), app)
}

fn metrics() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(metrics::handler))
}

fn health() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(health::live)).routes(routes!(health::ready))
}

/// Adds the layers around every route.
pub(crate) fn finished(routes: Router<AppState>, app: AppState) -> Router {
    routes
        .fallback(async || ApiError::NoSuchPath)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(Extension(document::Source(documented)))
        .layer(around::Around(app.clone()))
        .with_state(app)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use utoipa::openapi::HttpMethod;

    use super::*;
    use crate::routes::{LIST, PASS, REGISTRATION};

    #[test]
    fn the_reads_that_are_not_noted_are_operations_of_operators() {
        let mut document = operator().into_openapi();
        let reads: BTreeSet<String> = document
            .paths
            .paths
            .values_mut()
            .filter_map(|item| item.get.as_ref()?.operation_id.clone())
            .collect();
        for name in audit::HARMLESS {
            assert!(reads.contains(*name), "{name} is no read of operators");
        }
    }

    #[test]
    fn the_paths_that_are_counted_are_routes() {
        for path in [REGISTRATION, LIST, PASS] {
            assert!(described().contains_key(path), "{path}");
        }
    }

    /// The routes of a router, read from its debug output: first each route with its allowed methods, then the path of each route; after
    /// those the same for the fallback.
    fn answered(router: &Router<AppState>) -> BTreeMap<String, BTreeSet<String>> {
        let debugged = format!("{router:?}");
        let (debugged, _) = debugged.split_once("fallback_router").expect("routers have a fallback");
        let mut allowed = BTreeMap::new();
        let mut paths = BTreeMap::new();
        for route in debugged.split("RouteId(").skip(1) {
            let (id, told) = route.split_once("): ").unwrap_or_default();
            if let Some((_, header)) = told.split_once("allow_header: Bytes(b\"") {
                let methods = header.split('"').next().unwrap_or_default().split(',');
                allowed.insert(id, methods.map(str::to_owned).collect());
            } else if let Some(path) = told.strip_prefix('"') {
                paths.insert(id, path.split('"').next().unwrap_or_default().to_owned());
            }
        }
        assert!(paths.len() > 15, "the debugger is told something else now: {debugged}");
        paths.into_iter().map(|(id, path)| (path, allowed.remove(id).unwrap_or_default())).collect()
    }

    fn described() -> BTreeMap<String, BTreeSet<String>> {
        let mut document = documented();
        let paths = document.paths.paths.iter_mut();
        let with_methods = paths.map(|(path, item)| {
            let methods = document::operations(item).flat_map(|(method, _)| match method {
                HttpMethod::Get => vec!["GET".to_owned(), "HEAD".to_owned()],
                other => vec![serde_json::to_value(other).unwrap().as_str().unwrap().to_uppercase()],
            });
            (path.clone(), methods.collect())
        });
        with_methods.collect()
    }

    #[test]
    fn what_is_answered_is_described_and_what_is_described_is_answered() {
        let (aliases, answered): (BTreeMap<_, _>, BTreeMap<_, _>) =
            answered(&list(operator().into()).merge(Router::from(metrics())))
                .into_iter()
                .partition(|(path, _)| path.starts_with("/api/admin/"));
        assert_eq!(answered, described());
        let operator = answered.into_iter().filter(|(path, _)| path.starts_with("/admin/"));
        let below_api: BTreeMap<_, _> =
            operator.map(|(path, methods)| (format!("/api{path}"), methods)).collect();
        assert_eq!(aliases, below_api, "the description says that these are the same");
    }
}
