//! Limits on the requests of an address in a window of time, and on its wrong tokens.

use std::fs;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use honoken_simulator::fleet::{Fleet, FleetPass, Progress};
use honoken_simulator::{Answer, Identities, Package};
use honoken_tests::device::{device, push_token};
use honoken_tests::problem::assert_problem;
use honoken_tests::{Credentials, Honoken, Serving};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::a_home_for_serve;
use crate::house_rules::root;

/// Requests of clients behind a proxy.
struct Behind {
    serving: Serving,
    key: String,
}

impl Behind {
    async fn proxy(home: &Honoken, variables: &[(&str, &str)]) -> Self {
        let mut serve = home.home().serve("limited").with_variable("RATE_LIMIT_PROXIES", "1");
        for (name, value) in variables {
            serve = serve.with_variable(name, value);
        }
        Self { serving: serve.start().await, key: format!("Bearer {}", home.ready().api_key) }
    }

    async fn asks(&self, method: Method, path: &str, address: &str, authorization: &str) -> Answer {
        let headers = [("x-forwarded-for", address), ("authorization", authorization)];
        let headers = headers.into_iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::try_from(value).expect("a header"))
        });
        let push_token = json!({ "pushToken": push_token(1, 0) }).to_string();
        let body = if method == Method::POST { push_token } else { String::new() };
        self.serving.request(method, path, headers.collect(), body).await
    }

    async fn manages(&self, path: &str, address: &str) -> Answer {
        self.asks(Method::GET, path, address, &self.key).await
    }

    async fn downloads(&self, pass: &Credentials, address: &str) -> Answer {
        let path = format!("/v1{}", self.serving.devices().pass_path(pass));
        self.asks(Method::GET, &path, address, &pass.authorization()).await
    }

    async fn registers(&self, number: usize, pass: &Credentials, address: &str) -> Answer {
        let path = format!("/v1{}", self.serving.devices().registration_path(&device(number), pass));
        self.asks(Method::POST, &path, address, &pass.authorization()).await
    }

    async fn lists(&self, number: usize, pass: &Credentials, address: &str) -> Answer {
        let path = format!("/v1/devices/{}/registrations/{}", device(number), pass.pass_type_identifier);
        self.asks(Method::GET, &path, address, "").await
    }

    async fn refused(&self, limit: &str) -> u64 {
        let name = format!(r#"honoken_requests_rate_limited_total{{limit="{limit}"}}"#);
        format!("{:.0}", self.serving.metrics().await.get(&name)).parse().expect("a count")
    }
}

/// The number that a header has for a parameter.
#[track_caller]
fn number(answer: &Answer, header: &'static str, parameter: &str) -> u64 {
    let value = answer.header(header).unwrap_or_else(|| panic!("no {header}: {}", answer.excerpt()));
    let mut parts = value.split(';').filter_map(|part| part.split_once('='));
    let (_, number) = parts.find(|(name, _)| *name == parameter).unwrap_or_else(|| panic!("{value}"));
    number.parse().expect("a number")
}

#[track_caller]
fn assert_refused(answer: &Answer, policy: &str, window: u64) {
    assert_eq!(assert_problem(answer, 429)["code"], "too_many_requests");
    assert_eq!(answer.header("ratelimit-policy"), Some(policy));
    assert_eq!(number(answer, "ratelimit", "r"), 0);
    let wait: u64 = answer.header("retry-after").expect("a time to wait").parse().expect("seconds");
    assert!((1..=window).contains(&wait) && number(answer, "ratelimit", "t") == wait, "{wait}");
}

#[tokio::test]
async fn an_address_may_ask_so_often_in_a_window_and_list_without_limit() {
    let home = a_home_for_serve().await;
    let variables =
        [("RATE_LIMIT_GENERAL", "20"), ("RATE_LIMIT_PASSKIT", "3"), ("RATE_LIMIT_WINDOW", "89500")];
    let behind = Behind::proxy(&home, &variables).await;
    let integrator = behind.serving.integrator(home.ready());
    integrator.issues("A-1").await;
    integrator.issues("A-2").await;
    let (one, other) = (integrator.credentials("A-1").await, integrator.credentials("A-2").await);

    // Whatever an address asks for, and whoever it says it is.
    let general = "\"general\";q=20;w=90";
    let paths = ["/manage/v1/passes", "/openapi.json", "/docs", "/nowhere", "/admin/projections"];
    for place in 0..20 {
        let answer = behind.manages(paths[place % 5], "10.0.0.1").await;
        assert_ne!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(number(&answer, "ratelimit", "r"), 19 - place as u64);
        assert_eq!(answer.header("ratelimit-policy"), Some(general));
    }
    for path in paths {
        assert_refused(&behind.manages(path, "10.0.0.1").await, general, 90);
    }
    assert_refused(&behind.asks(Method::POST, "/manage/v1/passes", "10.0.0.1", "").await, general, 90);
    behind.manages("/manage/v1/passes", "10.0.0.2").await.assert_status(StatusCode::OK);
    for path in ["/health/live", "/health/ready", "/metrics"] {
        for _ in 0..30 {
            let answer = behind.manages(path, "10.0.0.1").await;
            assert_eq!(answer.assert_status(StatusCode::OK).header("ratelimit"), None);
        }
    }
    assert_eq!(behind.refused("general").await, 6);

    // A pass is downloaded, and a device registers, so often from an address that has the right token.
    let passkit = "\"passkit\";q=3;w=90";
    for _ in 0..5 {
        let stranger = one.with_token("a-token-that-was-guessed");
        let answer = behind.downloads(&stranger, "10.0.0.1").await;
        assert_eq!(answer.assert_status(StatusCode::UNAUTHORIZED).header("ratelimit"), None);
    }
    for left in [2, 1, 0] {
        let answer = behind.downloads(&one, "10.0.0.1").await;
        assert_eq!(number(answer.assert_status(StatusCode::OK), "ratelimit", "r"), left);
        assert_eq!(answer.header("ratelimit-policy"), Some(passkit));
        let answer = behind.registers(1, &one, "10.0.0.1").await;
        assert!(answer.status.is_success(), "{}", answer.excerpt());
        assert_eq!(number(&answer, "ratelimit", "r"), left);
    }
    assert_refused(&behind.downloads(&one, "10.0.0.1").await, passkit, 90);
    assert_refused(&behind.registers(1, &other, "10.0.0.1").await, passkit, 90);
    behind.downloads(&one, "10.0.0.2").await.assert_status(StatusCode::OK);
    behind.downloads(&other, "10.0.0.1").await.assert_status(StatusCode::OK);
    behind.registers(2, &one, "10.0.0.1").await.assert_status(StatusCode::CREATED);
    for _ in 0..50 {
        let answer = behind.lists(1, &one, "10.0.0.1").await;
        assert_eq!(answer.assert_status(StatusCode::OK).header("ratelimit"), None);
    }
    assert_eq!(behind.refused("passkit").await, 2);
}

#[tokio::test]
async fn an_address_that_shows_wrong_tokens_on_and_on_is_told_to_wait_and_the_right_one_passes() {
    let home = a_home_for_serve().await;
    let behind = Behind::proxy(&home, &[]).await;
    let integrator = behind.serving.integrator(home.ready());
    integrator.issues("A-1").await;
    let right = integrator.credentials("A-1").await;
    let wrong = [right.with_token("a-token-that-was-guessed"), right.with_serial_number("A-2")];
    for number in 0..60 {
        behind.downloads(&wrong[number % 2], "10.0.0.1").await.assert_status(StatusCode::UNAUTHORIZED);
    }
    // An unknown pass and a wrong token are one answer still.
    for pass in &wrong {
        let answer = behind.downloads(pass, "10.0.0.1").await;
        assert_eq!(assert_problem(&answer, 429)["code"], "too_many_requests");
        assert!(answer.header("retry-after").is_some());
        behind.downloads(pass, "10.0.0.2").await.assert_status(StatusCode::UNAUTHORIZED);
    }
    behind.downloads(&right, "10.0.0.1").await.assert_status(StatusCode::OK);
    behind.registers(1, &right, "10.0.0.1").await.assert_status(StatusCode::CREATED);
    assert_eq!(behind.refused("failures").await, 2);
}

/// The limits that the docs recommend.
fn recommended() -> Vec<(String, String)> {
    let docs = fs::read_to_string(root().join("docs/operating.md")).expect("docs");
    let lines = docs.lines().filter(|line| line.starts_with("RATE_LIMIT_"));
    let pairs = lines.filter_map(|line| line.split_whitespace().next()?.split_once('='));
    let pairs: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let names: Vec<_> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["RATE_LIMIT_GENERAL", "RATE_LIMIT_PASSKIT", "RATE_LIMIT_WINDOW"]);
    pairs
}

const PHONES: u64 = 1000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_phones_behind_one_address_pass_the_recommended_limits_after_a_push() {
    let home = a_home_for_serve().await;
    // They hold one pass, and added it at other times.
    let mut serve = home.home().serve("recommended").with_variable("RATE_LIMIT_REGISTRATIONS", "off");
    for (name, value) in recommended() {
        serve = serve.with_variable(&name, &value);
    }
    let serving = serve.start().await;
    let integrator = serving.integrator(home.ready());
    integrator.issues("A-1").await;
    let package = Package::open(integrator.downloads("A-1").await).expect("a pass");
    let fleet = Fleet {
        passes: vec![FleetPass::new(&package, Some(serving.base_url())).expect("it has a web service")],
        count: PHONES,
        concurrency: 64,
        rounds: 1,
        keep: true,
        timeout: Duration::from_secs(20),
        trust: None,
    };
    // When the last one has arrived, the fleet waits for the change before it asks again, as if woken by it.
    let (arrived, have_arrived) = tokio::sync::oneshot::channel();
    let (changed, has_changed) = mpsc::channel();
    let waits = Mutex::new(Some((arrived, has_changed)));
    let progress = move |progress: Progress| {
        if progress.done == PHONES
            && let Some((arrived, has_changed)) = waits.lock().expect("nobody panics").take()
        {
            arrived.send(()).expect("the test waits");
            tokio::task::block_in_place(|| has_changed.recv().expect("the pass changes"));
        }
    };
    let stop = CancellationToken::new();
    let asks = fleet.run(Identities::new([13; 32]), Arc::new(progress), &stop);
    let changing = async {
        have_arrived.await.expect("they arrive");
        integrator.moves_to("A-1", "2B").await;
        changed.send(()).expect("the fleet waits");
    };
    let (report, ()) = tokio::join!(asks, changing);
    let report = serde_json::to_value(report.expect("the service is there")).expect("JSON");
    let statuses = |name: &str| -> Value {
        let routes = report["routes"].as_array().expect("routes");
        let route = routes.iter().find(|route| route["route"] == name);
        route.unwrap_or_else(|| panic!("{name}: {report:#}"))["statuses"].clone()
    };
    assert_eq!(statuses("list"), json!({ "200": PHONES }));
    assert_eq!(statuses("getAgain"), json!({ "200": PHONES, "304": PHONES }));
    assert_eq!((statuses("register"), statuses("get")), (json!({ "201": PHONES }), json!({ "200": PHONES })));
}
