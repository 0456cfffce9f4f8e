//! The service's own log: JSON where nobody watches, found by the request's id, and without secrets.

use std::time::Duration;

use honoken_tests::device::{a_phone, device};
use honoken_tests::storage::Part;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::wire::{Wire, status};
use honoken_tests::{Serving, a_ticket};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use crate::a_home_for_serve;

/// Every line that a process has logged.
fn lines(process: &Serving) -> Vec<Value> {
    let printed = std::fs::read_to_string(process.folder().join("stderr.txt")).expect("it logs");
    let lines = printed.lines();
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// The lines of requests.
fn requests(process: &Serving) -> Vec<Value> {
    lines(process).into_iter().filter(|line| !line["http.status"].is_null()).collect()
}

#[tokio::test]
async fn one_search_for_its_id_finds_a_request_and_what_it_led_to() {
    let home = a_home_for_serve().await;
    let serve = home.home().serve("logging").with_variable("GIT_SHA", "c0ffee");
    let mut serving = serve.with_variable("ENVIRONMENT", "staging").start().await;
    let integrator = serving.integrator(home.ready());
    let order = integrator.order("A-1", &a_ticket("1A")).to_string();
    let headers = [("x-request-id", "find-me-4711"), ("content-type", "application/json")];
    let answer = integrator.request(Method::POST, "/manage/v1/passes", &headers, order).await;
    answer.assert_status(StatusCode::CREATED).assert_header("x-request-id", "find-me-4711");
    serving.output_so_far().await;
    let found: Vec<Value> =
        lines(&serving).into_iter().filter(|line| line.to_string().contains("find-me-4711")).collect();
    let [line] = found.as_slice() else { panic!("one line has the id: {found:#?}") };
    for (member, expected) in [
        ("level", "INFO"),
        ("service.name", "honoken"),
        ("git.sha", "c0ffee"),
        ("environment", "staging"),
        ("http.method", "POST"),
        ("http.route", "/manage/v1/passes"),
        ("message", "POST /manage/v1/passes 201"),
    ] {
        assert_eq!(line[member], expected, "{line}");
    }
    assert_eq!((&line["http.status"], &line["span"]["request.id"]), (&201.into(), &"find-me-4711".into()));
    assert!(line["duration_ms"].is_u64() && line["service.version"].is_string(), "{line}");
    assert_eq!(serving.terminate().await.code(), Some(0));
    let sql = "select cast(metadata as text) from events where aggregate_type = $1 and aggregate_id like $2";
    let metadata = home.storage().reads(Part::Log, sql, &["Pass", "%/A-1"]).await;
    let [metadata] = metadata.as_slice() else { panic!("one event: {metadata:?}") };
    let metadata: Value = serde_json::from_str(metadata).expect("JSON");
    assert_eq!(metadata["requestId"], "find-me-4711");
}

#[tokio::test]
async fn with_a_sample_of_nothing_only_failures_are_logged() {
    let home = a_home_for_serve().await;
    let serve = home.home().serve("quiet").with_variable("LOG_SAMPLE_SUCCESS_RATE", "0");
    let mut serving = serve.start().await;
    let integrator = serving.integrator(home.ready());
    for number in 0..20 {
        integrator.issues(&format!("A-{number}")).await;
        assert_eq!(integrator.get(&format!("missing-{number}")).await.status, StatusCode::NOT_FOUND);
    }
    serving.terminate().await;
    let statuses: Vec<Value> = requests(&serving).iter().map(|line| line["http.status"].clone()).collect();
    assert_eq!(statuses, vec![Value::from(404); 20]);
}

#[tokio::test]
async fn a_slow_request_is_named_with_where_the_time_went() {
    let home = a_home_for_serve().await;
    let serve = home.home().serve("slow").with_variable("LOG_SAMPLE_SUCCESS_RATE", "0");
    let serving = serve.start().await;
    let mut wire = Wire::to(serving.address()).await;
    wire.says(b"POST /v1/log HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 10\r\n\r\n{")
        .await
        .unwrap();
    let heard = wire.hears(Duration::from_secs(90)).await.expect("an answer");
    assert_eq!(status(&heard), Some(408), "{heard}");
    serving.logs("slow request").await;
    let found = requests(&serving);
    let [line] = found.as_slice() else { panic!("one request: {found:#?}") };
    assert_eq!(
        (&line["level"], &line["message"]),
        (&"WARN".into(), &"slow request: POST /v1/log 408".into())
    );
    assert_eq!(line["http.route"], "/v1/log");
    let milliseconds = |member: &str| line[member].as_u64().unwrap_or_else(|| panic!("{member}: {line}"));
    assert!(
        milliseconds("body_ms") > 1000 && milliseconds("duration_ms") >= milliseconds("body_ms"),
        "{line}"
    );
    assert_eq!(
        milliseconds("log_ms") + milliseconds("building_ms") + milliseconds("waiting_ms"),
        0,
        "{line}"
    );
}

#[tokio::test]
async fn what_phones_say_is_a_line_with_its_class_and_nobody_is_named() {
    let home = a_home_for_serve().await;
    let serving = home.home().serve("phones").start().await;
    let known = home.ready();
    let (integrator, devices) = (serving.integrator(known), serving.devices());
    integrator.issues("A-1").await;
    let pass = integrator.credentials("A-1").await;
    let loss = format!(
        "[2026-11-21 11:57:01 -0400] Register task (for device {}, pass type {}, serial number A-1; with web service url https://a) \
         encountered error: Authentication failure",
        device(1),
        pass.pass_type_identifier
    );
    let body = serde_json::json!({ "logs": [loss, "something new"] }).to_string();
    devices.log(body).await.assert_status(StatusCode::OK);
    serving.output_so_far().await;
    let told: Vec<Value> =
        lines(&serving).into_iter().filter(|line| !line["phone.class"].is_null()).collect();
    let classes: Vec<_> = told
        .iter()
        .map(|line| (line["level"].as_str().unwrap(), line["phone.class"].as_str().unwrap()))
        .collect();
    assert_eq!(classes, [("WARN", "authentication_failure"), ("INFO", "unknown")]);
    assert!(told[0]["phone.line"].as_str().unwrap().contains("Authentication failure"));
    let output = serving.output();
    assert!(output.contains(&device(1)[..6]) && !output.contains(&device(1)), "the device is shortened");
    for secret in [known.api_key.as_str(), &pass.token] {
        assert!(!output.contains(secret), "a secret is in the log");
    }
}

#[tokio::test]
async fn paths_are_not_logged_and_neither_are_devices() {
    let home = a_home_for_serve().await;
    let serving = home.home().serve("paths").with_variable("VERBOSE_LOGGING", "true").start().await;
    let mut phone = a_phone(1);
    let integrator = serving.integrator(home.ready());
    integrator.issues("a-serial-number").await;
    // The pass leads to this process only if that is what passes say.
    let listed = serving.devices().list(&device(1), integrator.pass_type_identifier(), None).await;
    listed.assert_status(StatusCode::NO_CONTENT);
    serving.devices().get(&integrator.credentials("a-serial-number").await, &[]).await;
    phone.add(integrator.downloads("a-serial-number").await).await.unwrap();
    let output = serving.output_so_far().await;
    assert!(!output.contains("a-serial-number") && !output.contains(&device(1)), "{output}");
}

#[tokio::test]
async fn lines_for_people_can_be_had() {
    let home = a_home_for_serve().await;
    let serving = home.home().serve("pretty").with_variable("LOG_FORMAT", "pretty").start().await;
    serving.request(Method::GET, "/health/live", HeaderMap::new(), "").await;
    eventually(PATIENCE, "the line of the request", async || {
        serving
            .output()
            .lines()
            .any(|line| line.contains(" INFO ") && line.contains("GET /health/live 200"))
            .then_some(())
    })
    .await;
}
