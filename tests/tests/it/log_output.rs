//! The way of the log to standard error: a reader that stands still stops nothing, and strangers do not fill a disk.

use std::fs;
use std::time::Duration;

use honoken_tests::server::Ready;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{DeviceRoutes, Scrape, Serving};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::ChildStderr;
use tokio::time::Instant;

use crate::{a_home_for_serve, a_service};

/// How long lines of strangers are counted, and how many are logged meanwhile, as docs/operating.md says.
const PERIOD: Duration = Duration::from_secs(10);
const PHONE_LINES: (usize, usize) = (100, 500);
const REQUEST_LINES: (usize, usize) = (500, 2000);

/// Asks the same again and again on one connection, without waiting for each answer; gives the statuses.
async fn asks(address: &str, request: &str, times: usize) -> Vec<u16> {
    let (mut reads, mut writes) = TcpStream::connect(address).await.expect("it listens").into_split();
    let asking = async {
        for _ in 1..times {
            writes.write_all(format!("{request}Host: h\r\n\r\n").as_bytes()).await.expect("it reads");
        }
        let last = format!("{request}Host: h\r\nConnection: close\r\n\r\n");
        writes.write_all(last.as_bytes()).await.expect("it reads");
    };
    let mut heard = String::new();
    let answered = async { tokio::join!(asking, reads.read_to_string(&mut heard)).1 };
    tokio::time::timeout(PATIENCE, answered).await.expect("it goes on").expect("it answers");
    let answers = heard.split("HTTP/1.1 ").skip(1);
    answers.map(|answer| answer[..3].parse().expect("a status")).collect()
}

/// The lines of a process that are JSON.
fn parsed(output: &str) -> Vec<Value> {
    output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// What strangers have caused.
#[derive(Debug)]
struct Caused {
    /// Lines of the kind that were logged.
    shown: usize,
    /// What the lines add up to that say how many were left out.
    left_out: usize,
    /// How many lines say so.
    told: usize,
}

impl Caused {
    /// What a process says of one kind of lines.
    fn of(output: &str, kind: &str, is_of_kind: impl Fn(&Value) -> bool) -> Self {
        let lines = parsed(output);
        let told: Vec<u64> = lines
            .iter()
            .filter(|line| line["log.lines"] == kind)
            .filter_map(|line| line["log.left_out"].as_u64())
            .collect();
        let left_out = usize::try_from(told.iter().sum::<u64>()).expect("a count");
        Self { shown: lines.iter().filter(|line| is_of_kind(line)).count(), left_out, told: told.len() }
    }

    /// Nothing is forgotten, and no more is logged than may be in so many periods.
    fn assert_bounded(&self, caused: usize, most: usize, since: Instant) {
        let periods = usize::try_from(since.elapsed().as_secs() / PERIOD.as_secs()).expect("a count") + 1;
        assert_eq!(self.shown + self.left_out, caused, "{self:?}");
        assert!(self.shown <= most * periods && self.told <= periods, "{self:?} in {periods} periods");
        assert!(self.shown >= most.min(caused), "{self:?}: honest callers are heard");
    }
}

fn is_of_phone(line: &Value) -> bool {
    line["phone.class"].is_string()
}

/// A body with lines that cost three bytes each.
fn cheap(lines: usize) -> String {
    json!({ "logs": vec![""; lines] }).to_string()
}

fn left_out(metrics: &Scrape, kind: &str) -> f64 {
    metrics.get(&format!("honoken_log_output_left_out_total{{lines=\"{kind}\"}}"))
}

/// Sends many cheap lines from one address, and looks at what came of them.
async fn floods(devices: &DeviceRoutes, metrics: impl AsyncFn() -> Scrape, output: impl Fn() -> String) {
    let (requests, lines, since) = (30, 20_000, Instant::now());
    let (body, all) = (cheap(lines), requests * lines);
    for _ in 0..requests {
        devices.log(body.clone()).await.assert_status(StatusCode::OK);
    }
    let caused = eventually(PATIENCE, "every line is shown or told of", async || {
        let caused = Caused::of(&output(), "phone", is_of_phone);
        (caused.shown + caused.left_out >= all).then_some(caused)
    })
    .await;
    caused.assert_bounded(all, PHONE_LINES.0, since);
    let (sent, logged) = (requests * body.len(), output().len());
    assert!(logged < sent / 2, "{logged} bytes were logged for {sent} bytes sent");
    let metrics = metrics().await;
    let counted = metrics.get("honoken_device_messages_total{class=\"unknown\"}");
    #[expect(clippy::cast_precision_loss, reason = "it is small")]
    let (expected, expected_left_out) = (all as f64, caused.left_out as f64);
    assert!((counted - expected).abs() < f64::EPSILON, "every line is counted by its class: {counted}");
    assert!((left_out(&metrics, "phone") - expected_left_out).abs() < f64::EPSILON, "{caused:?}");
}

#[tokio::test]
async fn lines_of_phones_from_one_address_are_bounded_and_what_is_left_out_is_told() {
    let home = a_home_for_serve().await;
    let serving = home.home().serve("flooded").start().await;
    floods(&serving.devices(), async || serving.metrics().await, || serving.output()).await;
}

#[tokio::test]
async fn the_bound_holds_in_dev_as_well() {
    let home = honoken_tests::server::Home::new(crate::PROGRAM).await.with_variable("LOG_FORMAT", "json");
    let honoken = honoken_tests::Honoken::start_in_with_certificates(home, crate::CACHE.as_ref()).await;
    floods(&honoken.devices(), async || honoken.metrics().await, || honoken.home().printed("stderr.txt"))
        .await;
}

#[tokio::test]
async fn lines_of_phones_are_bounded_for_all_addresses_together() {
    let home = a_home_for_serve().await;
    let serve = home.home().serve("flooded").with_variable("RATE_LIMIT_PROXIES", "1");
    let serving = serve.start().await;
    let (addresses, lines, since) = (40, 100, Instant::now());
    for number in 0..addresses {
        let forwarded = format!("10.0.0.{number}");
        let headers = [("x-forwarded-for", forwarded.as_str())];
        let answer = serving.devices().request(Method::POST, "/log", &headers, cheap(lines)).await;
        answer.assert_status(StatusCode::OK);
    }
    let caused = eventually(PATIENCE, "every line is shown or told of", async || {
        let caused = Caused::of(&serving.output(), "phone", is_of_phone);
        (caused.shown + caused.left_out >= addresses * lines).then_some(caused)
    })
    .await;
    caused.assert_bounded(addresses * lines, PHONE_LINES.1, since);
}

#[tokio::test]
async fn requests_of_strangers_are_logged_so_often_and_those_of_known_callers_always() {
    let home = a_home_for_serve().await;
    // Each is answered 401, since this is about what is logged.
    let serve = home.home().serve("scanned").with_variable("RATE_LIMIT_FAILURES_PER_MINUTE", "100000");
    let serving = serve.start().await;
    let (times, since) = (1500, Instant::now());
    let routes = |line: &Value, route: &str| line["http.route"] == route;
    let stranger = "GET /manage/v1/jobs/nothing HTTP/1.1\r\nAuthorization: Bearer wrong\r\n";
    let answers = asks(serving.address(), stranger, times).await;
    assert!(answers.len() == times && answers.iter().all(|status| *status == 401), "{answers:?}");
    let caused = eventually(PATIENCE, "every request is shown or told of", async || {
        let caused = Caused::of(&serving.output(), "request", |line| routes(line, "/manage/v1/jobs/{id}"));
        (caused.shown + caused.left_out >= times).then_some(caused)
    })
    .await;
    caused.assert_bounded(times, REQUEST_LINES.0, since);

    let key = &home.ready().api_key;
    let known = format!("GET /manage/v1/passes/no/where HTTP/1.1\r\nAuthorization: Bearer {key}\r\n");
    let answers = asks(serving.address(), &known, times).await;
    assert!(answers.len() == times && answers.iter().all(|status| *status == 404), "{answers:?}");
    eventually(PATIENCE, "every request of an integrator has its line", async || {
        let lines = parsed(&serving.output());
        let count = lines.iter().filter(|line| routes(line, "/manage/v1/passes/{type}/{serial}")).count();
        (count == times).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stranger_cannot_make_a_line_long() {
    let home = a_home_for_serve().await;
    let serving = home.home().serve("long").start().await;
    let lines = ["\\\"".repeat(10_000), "ü ".repeat(10_000), "\u{1b}[31m ".repeat(5000), "x-".repeat(20_000)];
    for line in &lines {
        let body = json!({ "logs": [line] }).to_string();
        serving.devices().log(body).await.assert_status(StatusCode::OK);
    }
    let printed = serving.output_so_far().await;
    let shown: Vec<&str> = printed.lines().filter(|line| line.contains("phone.class")).collect();
    assert_eq!(shown.len(), lines.len());
    for line in shown {
        assert!(line.len() < 3000, "{} bytes: {line}", line.len());
        let line: Value = serde_json::from_str(line).expect("a cut line is JSON");
        assert!(line["phone.line"].as_str().unwrap().len() <= 1000, "{line}");
    }
}

/// A `serve` whose standard error nobody reads, after it has logged more than a pipe and the queue before it hold.
async fn a_service_that_nobody_listens_to(known: &Ready, mut serving: Serving) -> (Serving, ChildStderr) {
    let stderr = serving.process().takes_stderr().expect("a pipe");
    // Of a known caller, whose requests all have their line.
    let id = "x".repeat(128);
    let request = format!(
        "GET /manage/v1/passes/no/where HTTP/1.1\r\nAuthorization: Bearer {}\r\nX-Request-Id: {id}\r\n",
        known.api_key
    );
    for _ in 0..40 {
        let answers = asks(serving.address(), &request, 500).await;
        assert!(answers.len() == 500 && answers.iter().all(|status| *status == 404), "{answers:?}");
        if dropped(&serving.metrics().await, "other") > 100.0 {
            return (serving, stderr);
        }
    }
    panic!("more is kept in memory than may be");
}

fn dropped(metrics: &Scrape, level: &str) -> f64 {
    metrics.get(&format!("honoken_log_output_dropped_total{{level=\"{level}\"}}"))
}

#[tokio::test]
async fn a_reader_that_stands_still_stops_nothing_and_loses_no_error() {
    let home = a_home_for_serve().await;
    let serving = home.home().serve("unheard").with_stderr_piped().start().await;
    let (serving, stderr) = a_service_that_nobody_listens_to(home.ready(), serving).await;
    // Without its images no pass can be built, which is an error each time.
    fs::remove_dir_all(home.home().data_dir().join("blobs")).expect("the images can be removed");
    let integrator = serving.integrator(home.ready());
    let errors = 50;
    for _ in 0..errors {
        let failed = integrator.pkpass(&home.ready().serial_number).await;
        assert!(failed.status.is_server_error(), "{}", failed.excerpt());
    }
    serving.request(Method::GET, "/health/live", HeaderMap::new(), "").await.assert_status(StatusCode::OK);
    integrator.state(&home.ready().serial_number).await;
    let metrics = serving.metrics().await;
    assert!(dropped(&metrics, "error") < 1.0, "{metrics:#?}");

    // The reader goes on.
    let (mut found, mut told, counted) = (0, 0.0, dropped(&metrics, "other"));
    let mut lines = BufReader::new(stderr).lines();
    while told < counted {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("lines come");
        let line = line.expect("the pipe can be read").expect("the process is there");
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        found += usize::from(line["level"] == "ERROR" && line["message"] == "could not answer a request");
        told += line["log.dropped"].as_f64().unwrap_or_default();
    }
    assert_eq!(found, errors, "lines at ERROR are dropped last");
    let counted = dropped(&serving.metrics().await, "other");
    assert!((told - counted).abs() < f64::EPSILON, "{told} are told, {counted} counted");
}

#[tokio::test]
async fn a_reader_that_stands_still_does_not_hold_up_the_end() {
    let home = a_home_for_serve().await;
    let serving = home.home().serve("unheard").with_stderr_piped().start().await;
    let (mut serving, stderr) = a_service_that_nobody_listens_to(home.ready(), serving).await;
    assert_eq!(serving.terminate().await.code(), Some(0));
    drop(stderr);
}

#[tokio::test]
async fn a_reader_that_has_gone_stops_nothing() {
    let home = a_home_for_serve().await;
    let mut serving = home.home().serve("alone").with_stderr_piped().start().await;
    drop(serving.process().takes_stderr());
    let request = "GET /nowhere HTTP/1.1\r\n";
    assert_eq!(asks(serving.address(), request, 20).await, [404; 20]);
    eventually(PATIENCE, "what could not be written is counted", async || {
        (dropped(&serving.metrics().await, "other") >= 20.0).then_some(())
    })
    .await;
    assert_eq!(serving.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn the_last_lines_are_written_before_the_end() {
    let mut honoken = a_service().await;
    honoken.integrator().issues("A-1").await;
    assert_eq!(honoken.terminate().await.code(), Some(0));
    assert!(
        honoken.home().printed("stderr.txt").contains("stopping after the requests in flight have finished")
    );
}
