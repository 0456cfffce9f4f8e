//! Around every request: its id, its turn, its time limit, its log line, its place in the metrics, and what happens when a handler panics.

use std::any::Any;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use axum::routing;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use hyper::body::Body as _;
use prometheus::{IntCounter, IntGauge};
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::app::{App, AppState};
use crate::budget::{Budget, Reservation};
use crate::error::ApiError;
use crate::load::Admission;
use crate::log_output::AnonymousLines;
use crate::metrics::{AnonymousLine, Area, Metric, Metrics, Route, Value};
use crate::server::framing::Refusal;
use crate::{ids, limits, logging, router};

/// The id of a request: the caller's if it is acceptable, else a fresh one. It goes into the answer, the log and every event.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

impl RequestId {
    /// That of the request at hand; empty where there is none.
    pub fn at_hand() -> Self {
        Self(with_id(|id| id.unwrap_or_default().to_owned()))
    }

    /// An id that somebody sent, if it is acceptable: 1 to 128 visible ASCII characters.
    pub fn sent(id: &str) -> Option<Self> {
        let acceptable = (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        acceptable.then(|| Self(id.to_owned()))
    }

    /// Works for a request that comes another way than over HTTP, and logs one line about it. A panic is an answer, too, and it takes no longer
    /// than any request.
    ///
    /// # Errors
    /// Those of the work, 500 when it panics, 503 when it takes too long.
    pub async fn works<T>(
        &self,
        app: &App,
        name: &'static str,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let caller = Caller::stranger(NO_ADDRESS, app);
        let at_hand = Arc::new(AtHand::new(self.0.clone(), Admission::default(), caller, None));
        AT_HAND
            .scope(at_hand.clone(), async {
                let started = Instant::now();
                let worked = tokio::time::timeout_at(
                    at_hand.begins_at(started),
                    AssertUnwindSafe(work).catch_unwind(),
                )
                .await;
                let outcome = match worked {
                    Ok(Ok(outcome)) => outcome,
                    Ok(Err(panic)) => Err(after_panic(&app.panicked, &*panic)),
                    Err(_) => Err(ApiError::TimedOut),
                };
                if let Err(fault) = &outcome {
                    fault.log();
                }
                let status = outcome.as_ref().map_or_else(ApiError::status, |_| StatusCode::OK).as_u16();
                let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                let is_wanted = status >= 400 || logging::is_sampled(&self.0, app.sample_success_rate);
                if is_wanted && may_cause(AnonymousLine::Request, 1) > 0 {
                    tracing::info!(command = name, http.status = status, duration_ms, "{name} {status}");
                }
                outcome
            })
            .await
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::at_hand())
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

/// What is known of a request wherever its work leads, without being handed on. It takes the place of a span, which would be made and written
/// for every request, and is read for the few that log something.
#[derive(Debug)]
struct AtHand {
    id: String,
    times: Times,
    admission: Admission,
    caller: Caller,
    /// Where the request has a body.
    body: Option<BodyRoom>,
    /// Since the work has begun.
    deadline: OnceLock<Instant>,
}

impl AtHand {
    fn new(id: String, admission: Admission, caller: Caller, body: Option<BodyRoom>) -> Self {
        Self { id, times: Times::default(), admission, caller, body, deadline: OnceLock::new() }
    }

    /// The work begins: when it has to have ended.
    fn begins_at(&self, now: Instant) -> Instant {
        *self.deadline.get_or_init(|| now + limits::REQUEST)
    }
}

/// Who asks, as far as the log output is concerned.
#[derive(Debug)]
struct Caller {
    address: IpAddr,
    /// Whether it has shown credentials that are right.
    is_known: AtomicBool,
    lines: Arc<AnonymousLines>,
}

/// Stands for the address of a request that did not come over a connection.
const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Caller {
    /// Somebody who has shown nothing yet.
    fn stranger(address: IpAddr, app: &App) -> Self {
        Self { address, is_known: AtomicBool::new(false), lines: app.anonymous_lines.clone() }
    }

    /// How many lines of this kind may be logged for it. Those of a caller who is known are not limited: their number is that of the requests
    /// of somebody who can be asked to stop.
    fn may_cause(&self, line: AnonymousLine, lines: usize) -> usize {
        if self.is_known.load(Ordering::Relaxed) {
            lines
        } else {
            self.lines.admit(line, self.address, lines)
        }
    }
}

/// Where there is room for a body, and what of it is taken.
#[derive(Debug)]
struct BodyRoom {
    budget: Arc<Budget>,
    client: IpAddr,
    reserved: Mutex<Option<Reservation>>,
}

tokio::task_local! {
    static AT_HAND: Arc<AtHand>;
}

/// Looks at the id of the request at hand. Work that is no request's has none.
pub fn with_id<T>(look: impl FnOnce(Option<&str>) -> T) -> T {
    let at_hand = AT_HAND.try_with(Arc::clone).ok();
    look(at_hand.as_ref().map(|at_hand| at_hand.id.as_str()))
}

/// The caller of the request at hand has shown credentials that are right.
pub fn caller_is_known() {
    // Work that is no request's has no caller.
    let _ = AT_HAND.try_with(|at_hand| at_hand.caller.is_known.store(true, Ordering::Relaxed));
}

/// How many of these lines the caller of the request at hand may cause; all of them where there is none.
pub fn may_cause(line: AnonymousLine, lines: usize) -> usize {
    AT_HAND.try_with(|at_hand| at_hand.caller.may_cause(line, lines)).unwrap_or(lines)
}

/// The turn of the request at hand.
pub fn admission() -> Admission {
    AT_HAND.try_with(|at_hand| at_hand.admission.clone()).unwrap_or_default()
}

/// When the request at hand has to have been answered. Work that is no request's has no such time.
pub fn deadline() -> Option<Instant> {
    AT_HAND.try_with(|at_hand| at_hand.deadline.get().copied()).ok().flatten()
}

/// Reserves memory for the body of the request at hand, until the request is answered.
///
/// # Errors
/// 503 when there is no room for too long.
pub async fn reserve_body(bytes: usize) -> Result<(), ApiError> {
    let Ok(at_hand) = AT_HAND.try_with(Arc::clone) else { return Ok(()) };
    let Some(room) = &at_hand.body else { return Ok(()) };
    let reservation = room.budget.clone().reserve(room.client, bytes).await.ok_or(ApiError::Overloaded)?;
    *room.reserved.lock().unwrap_or_else(PoisonError::into_inner) = Some(reservation);
    Ok(())
}

/// Notes what the request at hand has spent time on. Elsewhere it is noted nowhere.
pub fn note(spent: Spent, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    // Work that is no request's has nowhere to note it.
    let _ = AT_HAND.try_with(|at_hand| at_hand.times.0[spent as usize].fetch_add(micros, Ordering::Relaxed));
}

/// Notes how long something takes that the request at hand waits for.
pub async fn timed<T>(spent: Spent, wait: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let outcome = wait.await;
    note(spent, started.elapsed());
    outcome
}

/// Gives every request its id, its turn and its time, counts it, and logs one line when it is done. The line names the route, not the path: a path
/// holds serial numbers, and device identifiers, which are secrets.
///
/// One layer for all of it: each layer costs every request a service that is cloned and a future that is allocated.
#[derive(Debug, Clone)]
pub struct Around(pub AppState);

impl Layer<routing::Route> for Around {
    type Service = Surrounded;

    fn layer(&self, route: routing::Route) -> Surrounded {
        Surrounded { app: self.0.clone(), route }
    }
}

/// A route with everything around it.
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
        let admission = app.gates.before(asked.area);
        let peer = request.extensions().get().copied();
        app.rates.looks_for_a_proxy(request.headers(), peer);
        let address = app.rates.client(request.headers(), peer).unwrap_or(NO_ADDRESS);
        let caller = Caller::stranger(address, &app);
        let body = body_room(&app, &request, asked.area, address);
        let at_hand = Arc::new(AtHand::new(id, admission, caller, body));
        let refusal = request.extensions().get::<Refusal>().copied();
        // Nothing of it happens before it is first polled.
        let answer = self.route.call(request);
        Box::pin(AT_HAND.scope(at_hand.clone(), async move {
            let in_flight = app.in_flight.one_more(asked.area);
            let mut response = match refusal {
                None => answered(&app, &at_hand, answer).await,
                Some(refusal) => ApiError::from(refusal).into_response(),
            };
            drop(in_flight);
            asked.ends(&app, &at_hand, response.status());
            // `sent_id` lets only visible ASCII through, and a UUID is nothing else.
            if let Ok(value) = HeaderValue::from_str(&at_hand.id) {
                response.headers_mut().insert(X_REQUEST_ID, value);
            }
            Ok(response)
        }))
    }
}

fn body_room(app: &App, request: &Request, area: Area, client: IpAddr) -> Option<BodyRoom> {
    if request.body().is_end_stream() {
        return None;
    }
    Some(BodyRoom { budget: app.bodies.of(area).clone(), client, reserved: Mutex::new(None) })
}

/// The answer, or what is answered in its place: too many wait, it takes too long, or the handler panics.
async fn answered(
    app: &AppState,
    at_hand: &AtHand,
    answer: impl Future<Output = Result<Response, Infallible>>,
) -> Response {
    if let Err(overloaded) = at_hand.admission.steps_in().await {
        return overloaded.into_response();
    }
    let deadline = at_hand.begins_at(Instant::now());
    match tokio::time::timeout_at(deadline, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(panic)) => after_panic(&app.panicked, &*panic).into_response(),
        Err(_) => ApiError::TimedOut.into_response(),
    }
}

/// The answer when a handler panics: the process goes on, the log says where, and it is counted.
fn after_panic(panicked: &IntCounter, panic: &(dyn Any + Send)) -> ApiError {
    panicked.inc();
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    ApiError::Internal(format!("a handler panicked: {message}").into())
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

/// What a request is, without what it holds.
struct Asked {
    started: Instant,
    method: Method,
    route: Route,
    area: Area,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let route = Route::of(request.extensions().get::<MatchedPath>());
        let area = Area::of(route.as_str());
        Self { started: Instant::now(), method: request.method().clone(), route, area }
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

    fn ends(self, app: &AppState, at_hand: &AtHand, status: StatusCode) {
        let done = Done { duration: self.started.elapsed(), asked: self, status };
        done.count(&app.metrics);
        done.log(at_hand, app.sample_success_rate);
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
            (self.asked.area.into(), Value::route(&self.asked.route), Value::status(&self.status));
        metrics.count(Metric::Requests, &[area, route, status]);
        metrics.observe(Metric::RequestDuration, &[area, route], self.duration);
        if let Some(metric) = self.asked.of_device() {
            metrics.count(metric, &[status]);
        }
    }

    fn log(&self, at_hand: &AtHand, sample_success_rate: f64) {
        let (method, route, status) = (&self.asked.method, self.asked.route.as_str(), self.status.as_u16());
        let duration_ms = u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX);
        let is_slow = self.duration > limits::SLOW;
        let is_wanted = is_slow || status >= 400 || logging::is_sampled(&at_hand.id, sample_success_rate);
        if !is_wanted || at_hand.caller.may_cause(AnonymousLine::Request, 1) == 0 {
            return;
        }
        if is_slow {
            let [waiting, body, log, building] =
                at_hand.times.0.each_ref().map(|micros| micros.load(Ordering::Relaxed) / 1000);
            tracing::warn!(
                http.method = %method, http.route = route, http.status = status, duration_ms,
                waiting_ms = waiting, body_ms = body, log_ms = log, building_ms = building,
                "slow request: {method} {route} {status}"
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
            BuiltPasses::new(Signers::none(), blobs, "https://example.com", load, &stores.metrics);
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds));
        Arc::new(App::new(&stores, built_passes, None, clock, ids, &config))
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
        let most = limits::LINES_ABOUT_ERRORS.of_an_address;
        for path in ["/v1/log", "/manage/v1/jobs"] {
            for _ in 0..most + 3 {
                let answer =
                    router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
                assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            }
            assert_eq!((left_out(AnonymousLine::Error), left_out(AnonymousLine::Request)), (3, 0), "{path}");
        }
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
        app.gates.before(Area::Device).steps_in().await.expect("its turn was given back");
    }
}
