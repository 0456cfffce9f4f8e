//! Around every request: its id, its turn, its time limit, its log line, its place in the metrics, and what happens when a handler panics.

use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use prometheus::{IntCounter, IntGauge};
use tokio::time::Instant;
use tower_http::catch_panic::ResponseForPanic;
use tracing::Instrument;

use crate::app::AppState;
use crate::error::ApiError;
use crate::metrics::{Area, Metric, Metrics, Route, Value};
use crate::{ids, limits, logging, router};

/// The id of a request: the caller's if it is acceptable, else a fresh one. It goes into the answer, the log and every event.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

impl RequestId {
    /// The id that [`around`] has given to this request.
    pub fn of(parts: &Parts) -> Self {
        parts.extensions.get().cloned().unwrap_or_else(|| Self(String::new()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a request spent its time on, as far as it is known, in microseconds. Each wait is in one of them only; the rest is reading, and answering.
#[derive(Debug, Default)]
struct Times([AtomicU64; 4]);

/// What a request may spend its time on.
#[derive(Debug, Clone, Copy)]
pub enum Spent {
    /// Waiting for its turn.
    Waiting,
    /// Waiting for its own body.
    Body,
    /// Deciding commands and appending their events.
    Log,
    /// Waiting for a pass to be built and signed.
    Building,
}

tokio::task_local! {
    static TIMES: Arc<Times>;
}

/// Notes what the request at hand has spent time on. Elsewhere it is noted nowhere.
pub fn note(spent: Spent, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    // Work that is no request's has nowhere to note it.
    let _ = TIMES.try_with(|times| times.0[spent as usize].fetch_add(micros, Ordering::Relaxed));
}

/// Notes how long something takes that the request at hand waits for.
pub async fn timed<T>(spent: Spent, wait: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let outcome = wait.await;
    note(spent, started.elapsed());
    outcome
}

/// Gives the request its id, its turn and its time, counts it, and logs one line when it is done. The line names the route, not the path: a path
/// holds serial numbers, and device identifiers, which are secrets.
pub async fn around(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = sent_id(request.headers()).unwrap_or_else(|| ids::request_id(&*app.ids));
    let method = request.method().clone();
    let (mut parts, body) = request.into_parts();
    let route = Route::of(parts.extensions.get::<MatchedPath>());
    let area = Area::of(route.as_str());
    parts.extensions.insert(RequestId(id.clone()));

    let span = tracing::info_span!("api.request", request.id = id);
    let in_flight = app.in_flight.one_more(area);
    let times = Arc::new(Times::default());
    let answered = async {
        parts.extensions.insert(app.gates.admit(area).await?);
        let answer = tokio::time::timeout(limits::REQUEST, next.run(Request::from_parts(parts, body))).await;
        answer.map_err(|_| ApiError::TimedOut)
    };
    let answered = TIMES.scope(times.clone(), answered).instrument(span.clone()).await;
    let mut response = span.in_scope(|| answered.unwrap_or_else(IntoResponse::into_response));
    drop(in_flight);

    let done = Done { method, route, area, status: response.status(), duration: started.elapsed() };
    done.count(&app.metrics);
    span.in_scope(|| done.log(&id, &times, app.sample_success_rate));
    // `sent_id` lets only visible ASCII through, and a UUID is nothing else.
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

/// How many requests there are in each area, kept at hand since every request changes it twice.
#[derive(Debug, Clone)]
pub struct InFlight([IntGauge; Area::NAMES.len()]);

impl InFlight {
    /// None yet.
    pub fn of(metrics: &Metrics) -> Self {
        let areas = [Area::Device, Area::Manage, Area::Admin, Area::Service];
        Self(areas.map(|area| metrics.gauge(Metric::RequestsInFlight, &[area.into()])))
    }

    fn one_more(&self, area: Area) -> Counted {
        let gauge = self.0[area as usize].clone();
        gauge.inc();
        Counted(gauge)
    }
}

/// Counted while it lives, also when the caller goes away and the request is dropped.
struct Counted(IntGauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A request that has been answered.
struct Done {
    method: Method,
    route: Route,
    area: Area,
    status: StatusCode,
    duration: Duration,
}

impl Done {
    fn count(&self, metrics: &Metrics) {
        let (area, route, status) =
            (self.area.into(), Value::route(&self.route), Value::status(&self.status));
        metrics.count(Metric::Requests, &[area, route, status]);
        metrics.observe(Metric::RequestDuration, &[area, route], self.duration);
        if let Some(metric) = self.of_device() {
            metrics.count(metric, &[status]);
        }
    }

    /// What phones do, by Apple's names for it.
    fn of_device(&self) -> Option<Metric> {
        if self.area != Area::Device {
            return None;
        }
        match (&self.method, self.route.as_str()) {
            (&Method::GET | &Method::HEAD, router::LIST) => Some(Metric::DevicePolls),
            (&Method::GET | &Method::HEAD, router::PASS) => Some(Metric::DeviceDownloads),
            (&Method::POST, router::REGISTRATION) => Some(Metric::DeviceRegistrations),
            (&Method::DELETE, router::REGISTRATION) => Some(Metric::DeviceUnregistrations),
            _ => None,
        }
    }

    fn log(&self, id: &str, times: &Times, sample_success_rate: f64) {
        let (method, route, status) = (&self.method, self.route.as_str(), self.status.as_u16());
        let duration_ms = u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX);
        if self.duration > limits::SLOW {
            let [waiting, body, log, building] =
                times.0.each_ref().map(|micros| micros.load(Ordering::Relaxed) / 1000);
            tracing::warn!(
                http.method = %method, http.route = route, http.status = status, duration_ms,
                waiting_ms = waiting, body_ms = body, log_ms = log, building_ms = building,
                "slow request: {method} {route} {status}"
            );
        } else if self.status.as_u16() >= 400 || logging::is_sampled(id, sample_success_rate) {
            tracing::info!(http.method = %method, http.route = route, http.status = status, duration_ms, "{method} {route} {status}");
        }
    }
}

fn sent_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let acceptable = (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    acceptable.then(|| id.to_owned())
}

/// The answer when a handler panics: the process goes on, the log says where, and it is counted.
#[derive(Debug, Clone)]
pub struct AfterPanic(IntCounter);

impl AfterPanic {
    /// Counts there.
    pub fn new(metrics: &Metrics) -> Self {
        Self(metrics.counter(Metric::RequestsPanicked, &[]))
    }
}

impl ResponseForPanic for AfterPanic {
    type ResponseBody = Body;

    fn response_for_panic(&mut self, panic: Box<dyn Any + Send>) -> Response {
        self.0.inc();
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        ApiError::Internal(format!("a handler panicked: {message}").into()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::routing::get;
    use honoken_projections::Part;
    use http_body_util::BodyExt;
    use serde_json::Value as Json;
    use tempfile::TempDir;
    use tower::ServiceExt;

    use super::*;
    use crate::app::{App, Stores};
    use crate::built_passes::BuiltPasses;
    use crate::clock::SystemClock;
    use crate::config::Config;
    use crate::folder::Folder;
    use crate::ids::SystemIds;
    use crate::place::Place;
    use crate::signers::Signers;

    async fn app(folder: &TempDir) -> AppState {
        let config = Config::default();
        let open = || Ok(Arc::new(Folder::open(folder.path())?));
        let place = Place::of(&config, folder.path(), open).unwrap();
        let metrics = Metrics::new(&config.identity);
        let stores = Stores::open(&place, folder.path(), Part::Run, &SystemIds, metrics).await.unwrap();
        let (blobs, load) = (stores.blobs.clone(), config.load);
        let built_passes =
            BuiltPasses::new(Signers::default(), blobs, "https://example.com", load, &stores.metrics);
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds));
        Arc::new(App::new(&stores, built_passes, None, clock, ids, &config))
    }

    /// No request is known to make a handler panic, so this is one that always does.
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
        app.gates.admit(Area::Device).await.expect("its turn was given back");
    }
}
