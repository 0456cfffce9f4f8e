//! The layer around every request: its id, its permit, its time limit, its log line, its metrics, and the answer when a handler panics.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use axum::routing;
use futures::FutureExt;
use futures::future::BoxFuture;
use honoken_service::{ids, limits as service_limits};
use honoken_telemetry::logging;
use honoken_telemetry::metrics::{AnonymousLine, Area, Metric, Metrics, RateLimit, Value};
use honoken_telemetry::request::{CurrentRequest, NO_ADDRESS, Timings};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use hyper::body::Body as _;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::error::ApiError;
use crate::extractors::request_id::RequestId;
use crate::layers::at_hand::{AtHand, BodyRoom};
use crate::layers::load_shedding::Admission;
use crate::layers::panics::after_panic;
use crate::layers::shortened_path::shortened_path;
use crate::server::framing::Refusal;
use crate::state::{App, AppState};
use crate::{limits, routes};

/// On the answers to the API keys of a test organisation.
pub const HONOKEN_TEST: HeaderName = HeaderName::from_static("honoken-test");

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives every request its id, its permit and its time limit, counts it, and logs one line when it is done. The line names the route, not
/// the path: a path holds serial numbers and device identifiers, which are secrets. Where nothing was found, it names the path as well, shortened.
///
/// One layer does all of it, because each layer costs every request a cloned service and an allocated future.
#[derive(Debug, Clone)]
pub struct Around(pub AppState);

impl Layer<routing::Route> for Around {
    type Service = Surrounded;

    fn layer(&self, route: routing::Route) -> Surrounded {
        Surrounded { app: self.0.clone(), route }
    }
}

/// A route with this layer around it.
#[derive(Debug, Clone)]
pub struct Surrounded {
    app: AppState,
    route: routing::Route,
}

impl Service<Request> for Surrounded {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let app = self.app.clone();
        let asked = Asked::of(&request);
        let id = sent_id(request.headers()).unwrap_or_else(|| ids::request_id(&*app.ids));
        let admission = app.permits.admission(asked.area);
        let peer = request.extensions().get().copied();
        app.rates.warn_of_unknown_proxy(request.headers(), peer);
        let client = app.rates.client(request.headers(), peer);
        let address = client.unwrap_or(NO_ADDRESS);
        let standing = app.rates.take_general(request.uri(), client);
        let current = CurrentRequest::new(id, address, app.anonymous_lines.clone());
        let body = body_room(&app, &request, asked.area, address);
        let standing = standing.map_or_else(OnceLock::new, OnceLock::from);
        let at_hand = Arc::new(AtHand { admission, body, standing, is_for_test: AtomicBool::new(false) });
        let refusal = request.extensions().get::<Refusal>().copied();
        // The future does nothing before it is first polled.
        let answer = self.route.call(request);
        let worked = at_hand.clone().scope({
            let current = current.clone();
            async move {
                let in_flight = app.in_flight.count(asked.area);
                let refusal = refusal.map_or(Ok(()), |refusal| Err(ApiError::from(refusal)));
                let allowed = refusal
                    .and_then(|()| app.rates.check_standing(RateLimit::General, at_hand.standing.get()));
                let mut response = match allowed {
                    Ok(()) => answered(&app, &at_hand.admission, &current, answer).await,
                    Err(refused) => refused.into_response(),
                };
                drop(in_flight);
                if let Some(standing) = at_hand.standing.get() {
                    standing.add_to(response.headers_mut());
                }
                if at_hand.is_for_test.load(Ordering::Relaxed) {
                    response.headers_mut().insert(HONOKEN_TEST, HeaderValue::from_static("true"));
                }
                asked.ends(&app, &current, response.status());
                // `sent_id` lets only visible ASCII through, and a UUID is nothing else.
                if let Ok(value) = HeaderValue::from_str(current.id()) {
                    response.headers_mut().insert(X_REQUEST_ID, value);
                }
                Ok(response)
            }
        });
        Box::pin(current.scope(worked))
    }
}

fn body_room(app: &App, request: &Request, area: Area, client: IpAddr) -> Option<BodyRoom> {
    let has_body = !request.body().is_end_stream();
    has_body.then(|| BodyRoom::new(app.bodies.of(area).clone(), client))
}

/// The answer of the handler, or the answer in its place: too many requests wait, it takes too long, or the handler panics.
async fn answered(
    app: &AppState,
    admission: &Admission,
    current: &CurrentRequest,
    answer: impl Future<Output = Result<Response, Infallible>>,
) -> Response {
    if let Err(overloaded) = admission.acquire().await {
        return ApiError::from(overloaded).into_response();
    }
    let deadline = current.start(Instant::now(), service_limits::REQUEST);
    match tokio::time::timeout_at(deadline, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(panic)) => after_panic(&app.panicked, &*panic).into_response(),
        Err(_) => ApiError::TimedOut.into_response(),
    }
}

/// The route of a request as the router names it. Routes are a closed set, unlike the paths that callers send.
struct Route(Option<MatchedPath>);

impl Route {
    /// `/v1/passes/{type}/{serial}`; `-` for none.
    fn as_str(&self) -> &str {
        self.0.as_ref().map_or("-", MatchedPath::as_str)
    }
}

/// The method, route and area of a request, without its content.
struct Asked {
    started: Instant,
    method: Method,
    route: Route,
    uri: Uri,
    area: Area,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let route = Route(request.extensions().get::<MatchedPath>().cloned());
        let area = Area::of(route.as_str());
        Self {
            started: Instant::now(),
            method: request.method().clone(),
            route,
            uri: request.uri().clone(),
            area,
        }
    }

    /// The metric for what a phone does, by Apple's names.
    fn of_device(&self) -> Option<Metric> {
        if self.area != Area::Device {
            return None;
        }
        match (&self.method, self.route.as_str()) {
            (&Method::GET | &Method::HEAD, routes::LIST) => Some(Metric::DevicePolls),
            (&Method::GET | &Method::HEAD, routes::PASS) => Some(Metric::DeviceDownloads),
            (&Method::POST, routes::REGISTRATION) => Some(Metric::DeviceRegistrations),
            (&Method::DELETE, routes::REGISTRATION) => Some(Metric::DeviceUnregistrations),
            _ => None,
        }
    }

    fn ends(self, app: &AppState, current: &CurrentRequest, status: StatusCode) {
        let done = Done { duration: self.started.elapsed(), asked: self, status };
        done.count(&app.metrics);
        done.log(current, app.options.sample_success_rate);
    }
}

/// A request that has been answered.
struct Done {
    asked: Asked,
    status: StatusCode,
    duration: Duration,
}

impl Done {
    fn count(&self, metrics: &Metrics) {
        let (area, route, status) =
            (self.asked.area.into(), Value::route(self.asked.route.as_str()), Value::status(&self.status));
        metrics.count(Metric::Requests, &[area, route, status]);
        metrics.observe(Metric::RequestDuration, &[area, route], self.duration);
        if let Some(metric) = self.asked.of_device() {
            metrics.count(metric, &[status]);
        }
    }

    fn log(&self, current: &CurrentRequest, sample_success_rate: f64) {
        let (method, route, status) = (&self.asked.method, self.asked.route.as_str(), self.status.as_u16());
        let duration_ms = u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX);
        let is_slow = self.duration > limits::SLOW;
        let is_wanted = is_slow || status >= 400 || logging::is_sampled(current.id(), sample_success_rate);
        if !is_wanted || current.may_log(AnonymousLine::Request, 1) == 0 {
            return;
        }
        if is_slow {
            let Timings { waiting_ms, body_ms, log_ms, building_ms } = current.timings();
            tracing::warn!(
                http.method = %method, http.route = route, http.status = status, duration_ms,
                waiting_ms, body_ms, log_ms, building_ms,
                "slow request: {method} {route} {status}"
            );
        } else if self.status == StatusCode::NOT_FOUND {
            let path = shortened_path(self.asked.uri.path());
            tracing::info!(
                http.method = %method, http.route = route, http.path = path, http.status = status, duration_ms,
                "{method} {path} {status}"
            );
        } else {
            tracing::info!(http.method = %method, http.route = route, http.status = status, duration_ms, "{method} {route} {status}");
        }
    }
}

fn sent_id(headers: &HeaderMap) -> Option<String> {
    RequestId::sent(headers.get(X_REQUEST_ID)?.to_str().ok()?).map(|id| id.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use honoken_pkpass::reader::Trust;
    use honoken_projections::Part;
    use honoken_service::clock::SystemClock;
    use honoken_service::data_dir::Folder;
    use honoken_service::ids::SystemIds;
    use honoken_service::image_store::ImageOptions;
    use honoken_service::pushing::options;
    use honoken_service::rebuilds;
    use honoken_service::retention::RetentionDays;
    use honoken_service::service::{self, Roles};
    use honoken_service::storage::Storage;
    use honoken_service::stores::Stores;
    use honoken_telemetry::Identity;
    use honoken_telemetry::log_output::limits::LINES_ABOUT_ERRORS;
    use honoken_telemetry::metrics::LabelSets;
    use honoken_telemetry::request::caller_is_known;
    use http_body_util::BodyExt;
    use serde_json::Value as Json;
    use tempfile::TempDir;
    use tower::ServiceExt;

    use super::*;
    use crate::doctor;
    use crate::layers::{load_shedding, rate_limits};
    use crate::router;
    use crate::state::Options;

    async fn app(folder: &TempDir) -> AppState {
        let open = || Ok(Arc::new(Folder::open(folder.path())?));
        let storage = Storage::of(None, folder.path(), open).unwrap();
        let metrics = Metrics::new(&Identity::default(), &LabelSets::default());
        let times = rebuilds::times(Arc::new(SystemClock), RetentionDays::default());
        let (images, part) = (ImageOptions::default(), (Part::Run, times));
        let stores = Stores::open(&storage, folder.path(), &images, part, &SystemIds, metrics).await.unwrap();
        let options = service::Options {
            roles: Roles { projector: true, ..Roles::default() },
            keys: None,
            web_service_url: "https://example.com".to_owned(),
            builds_waiting: 1,
            pushing: options::Options::default(),
            apns: options::ApnsOptions::default(),
            not_sent: None,
            nats: None,
            service_name: "honoken".to_owned(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            retention: RetentionDays::default(),
        };
        let service = honoken_service::service::Service::start(stores, options).await.unwrap();
        let options = Options {
            admin: None,
            signing_key: None,
            fewest_password_characters: 12,
            load: load_shedding::Options::default(),
            rates: rate_limits::Options::default(),
            public_url: None,
            metrics_are_elsewhere: false,
            admin_is_elsewhere: false,
            doctor: doctor::Options { is_public: false, trust: Trust::apple() },
            is_production: false,
            first_steps: None,
            sample_success_rate: 1.0,
        };
        Arc::new(App::new(&service, options))
    }

    #[tokio::test]
    async fn errors_of_strangers_are_logged_so_often_and_those_of_known_callers_always() {
        let folder = TempDir::new().unwrap();
        let app = app(&folder).await;
        let strangers = get(async || ApiError::Unavailable("away".into()));
        let known = get(async || {
            caller_is_known();
            ApiError::Unavailable("away".into())
        });
        let paths = Router::new().route("/v1/log", strangers).route("/manage/v1/jobs", known);
        let router = router::finished(paths, app.clone());
        let left_out =
            |line: AnonymousLine| app.metrics.counter(Metric::LogOutputLeftOut, &[line.into()]).get();
        let most = LINES_ABOUT_ERRORS.of_an_address;
        for path in ["/v1/log", "/manage/v1/jobs"] {
            for _ in 0..most + 3 {
                let answer =
                    router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
                assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            }
            assert_eq!((left_out(AnonymousLine::Error), left_out(AnonymousLine::Request)), (3, 0), "{path}");
        }
    }

    /// No request is known to make a handler panic, so this handler always does.
    #[tokio::test]
    async fn a_panic_is_a_500_that_is_counted_and_says_nothing_about_the_inside() {
        let folder = TempDir::new().unwrap();
        let app = app(&folder).await;
        let panics = get(async || -> StatusCode { panic!("the inside") });
        let router = router::finished(Router::new().route("/v1/log", panics), app.clone());
        for number in 1..=2 {
            let request = Request::get("/v1/log").header(X_REQUEST_ID, "asked").body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(answer.headers()[X_REQUEST_ID], "asked");
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let problem: Json = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem["code"], "internal");
            assert!(!problem.to_string().contains("the inside"), "{problem}");
            assert_eq!(app.metrics.counter(Metric::RequestsPanicked, &[]).get(), number);
        }
        let in_flight = app.metrics.gauge(Metric::RequestsInFlight, &[Area::Device.into()]);
        assert_eq!(in_flight.get(), 0);
        app.permits.admission(Area::Device).acquire().await.expect("its turn was given back");
    }
}
