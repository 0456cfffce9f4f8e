//! A full disk: writes are refused cleanly, reads go on, and nothing acknowledged is lost.

use honoken_simulator::{Answer, HttpClient};
use honoken_tests::device::{device, push_token};
use honoken_tests::problem::{assert_is_problem, assert_problem};
use honoken_tests::storage::Part;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Change, Credentials, Engine, Honoken, Integrator, storage};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

use crate::a_service;

/// Much more than there is room for.
const MOST_WRITES: usize = 400;

/// Why a limit on the files of the program says nothing there.
const ELSEWHERE: &str = "the log is not in files of the program, and its server's disk serves all tests";

/// A content of some size; the number tells one from another.
fn content(number: usize) -> Value {
    json!({ "description": "A seat", "seat": number.to_string(), "userInfo": "x".repeat(40_000) })
}

/// A used service, started again with room for a few hundred KiB in each file.
async fn a_service_with_little_room() -> (Honoken, Credentials) {
    let mut honoken = a_service().await;
    let integrator = honoken.integrator();
    for serial in ["A-1", "A-2"] {
        integrator.issues(serial).await;
    }
    let pass = integrator.credentials("A-2").await;
    let registered = honoken.devices().register(&device(1), &push_token(1, 0), &pass).await;
    registered.assert_status(StatusCode::CREATED);
    honoken.terminate().await;
    honoken.restart_with_files_limited_to(largest_file(&honoken) / 1024 + 300).await;
    (honoken, pass)
}

/// The size of the largest file of a service that stands still.
fn largest_file(honoken: &Honoken) -> u64 {
    let sizes = storage::files_below(&honoken.home().data_dir()).into_iter().map(|file| {
        let metadata = std::fs::metadata(file).expect("a file has a size");
        metadata.len()
    });
    sizes.max().expect("there are files")
}

fn patient(integrator: Integrator) -> Integrator {
    integrator.with_client(HttpClient::with_limits(Duration::from_secs(40), 1 << 20))
}

#[track_caller]
fn assert_refused_cleanly(answer: &Answer) {
    answer.assert_status(StatusCode::SERVICE_UNAVAILABLE);
    let body = assert_is_problem(answer).to_string().to_lowercase();
    let retry_after: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!(retry_after >= 1);
    for inside in ["sqlite", "sql", "disk", "i/o", "honoken-test", ".rs"] {
        assert!(!body.contains(inside), "a 5xx says nothing about the inside: {body}");
    }
}

/// Writes until it is refused; gives the last acknowledged content and its change.
async fn writes_until_refused(integrator: &Integrator) -> (usize, Change) {
    let mut last = None;
    for number in 0..MOST_WRITES {
        let answer = integrator.replace("A-1", &content(number)).await;
        if answer.status != StatusCode::OK {
            assert_refused_cleanly(&answer);
            return last.expect("at first there was room");
        }
        last = Some((number, Change::read(&answer)));
    }
    panic!("{MOST_WRITES} writes of 40 KiB found room in files limited to a few hundred KiB");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_cleanly_and_reads_go_on() {
    if Engine::leaves_out(ELSEWHERE) {
        return;
    }
    let (mut honoken, pass) = a_service_with_little_room().await;
    let integrator = patient(honoken.integrator());
    writes_until_refused(&integrator).await;
    for number in 1000..1003 {
        let answer = integrator.replace("A-1", &content(number)).await;
        assert_refused_cleanly(&answer);
    }
    let order = integrator.order("new", &content(1));
    assert_refused_cleanly(&integrator.issue(&order).await);
    honoken.assert_alive();
    integrator.state("A-2").await;
    let devices = honoken.devices();
    devices.get(&pass, &[]).await.assert_status(StatusCode::OK);
    devices.get(&pass, &[("if-none-match", "*")]).await.assert_status(StatusCode::NOT_MODIFIED);
    let listed = devices.lists(&device(1), integrator.pass_type_identifier(), None).await.unwrap();
    assert_eq!(listed.0, ["A-2"]);
    let live = honoken.request(Method::GET, "/health/live", HeaderMap::new(), "").await;
    live.assert_status(StatusCode::OK);
}

/// Plays a full disk where the log is on a server: another disk serves all tests.
const FULL: [&str; 3] = [
    "create function is_full() returns trigger language plpgsql as
     $$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$",
    "create trigger is_full before insert on events for each row execute function is_full()",
    "create trigger is_full before insert on snapshots for each row execute function is_full()",
];

/// And then there is room.
const ROOM_AGAIN: [&str; 2] = ["drop trigger is_full on events", "drop trigger is_full on snapshots"];

async fn execute(honoken: &Honoken, statements: &[&str]) {
    for statement in statements {
        honoken.storage().executes(Part::Log, statement, &[]).await;
    }
}

async fn readiness(honoken: &Honoken) -> Answer {
    honoken.request(Method::GET, "/health/ready", HeaderMap::new(), "").await
}

#[track_caller]
fn assert_says_that_the_log_refuses_changes(readiness: &Answer) {
    let body = assert_problem(readiness, 503);
    assert_eq!(body["code"], "log_refuses_writes");
    assert!(readiness.header("retry-after").is_some(), "{body}");
    let body = body.to_string().to_lowercase();
    for inside in ["sqlite", "postgres", "disk", "extend", "honoken-test"] {
        assert!(!body.contains(inside), "a 5xx says nothing about the inside: {body}");
    }
}

#[tokio::test]
async fn readiness_says_that_the_log_refuses_changes_until_there_is_room_again() {
    let mut honoken = if Engine::chosen() == Engine::Sqlite {
        let (mut honoken, _) = a_service_with_little_room().await;
        honoken.has_variable("VERBOSE_LOGGING", "true");
        honoken.terminate().await;
        honoken.restart_with_files_limited_to(largest_file(&honoken) / 1024 + 300).await;
        honoken
    } else {
        let mut honoken = a_service().await;
        honoken.integrator().issues("A-1").await;
        honoken.has_variable("VERBOSE_LOGGING", "true");
        honoken.terminate().await;
        honoken.restart().await;
        honoken
    };
    readiness(&honoken).await.assert_status(StatusCode::OK);
    let integrator = patient(honoken.integrator());
    if Engine::chosen() == Engine::Sqlite {
        writes_until_refused(&integrator).await;
    } else {
        execute(&honoken, &FULL).await;
        assert_refused_cleanly(&integrator.replace("A-1", &content(0)).await);
    }
    for number in 2000..2003 {
        assert_says_that_the_log_refuses_changes(&readiness(&honoken).await);
        assert_refused_cleanly(&integrator.replace("A-1", &content(number)).await);
    }
    let looks =
        || honoken.home().printed("stderr.txt").matches("the event log still refuses changes").count();
    eventually(PATIENCE, "the writer has looked by itself", async || (looks() >= 2).then_some(())).await;
    assert_says_that_the_log_refuses_changes(&readiness(&honoken).await);
    integrator.state("A-1").await;

    if Engine::chosen() == Engine::Sqlite {
        honoken.process().has_room_again().await;
    } else {
        execute(&honoken, &ROOM_AGAIN).await;
    }
    // Nobody changes anything.
    eventually(PATIENCE, "the service is ready again", async || {
        (readiness(&honoken).await.status == StatusCode::OK).then_some(())
    })
    .await;
    integrator.replaces("A-1", &content(3000)).await;
    readiness(&honoken).await.assert_status(StatusCode::OK);
}

#[tokio::test]
async fn with_room_again_everything_acknowledged_is_there_and_writes_go_on() {
    if Engine::leaves_out(ELSEWHERE) {
        return;
    }
    let (mut honoken, _) = a_service_with_little_room().await;
    let (number, change) = writes_until_refused(&patient(honoken.integrator())).await;
    honoken.kill().await;
    honoken.restart().await;
    let integrator = honoken.integrator();
    let state = integrator.state("A-1").await;
    // The refused one may have reached the disk after all; nobody was told so, and it was sent.
    let seat: usize = state["content"]["seat"].as_str().unwrap().parse().unwrap();
    assert!(seat == number || seat == number + 1, "acknowledged {number}, found {seat}");
    if seat == number {
        assert_eq!((&state["etag"], &state["position"]), (&json!(change.etag), &json!(change.position)));
    }
    integrator.issues("new").await;
    let wallet = honoken.operator().wallet_projection().await;
    assert_eq!((&wallet["position"], &wallet["parked"]), (&wallet["head"], &json!(0)));
    honoken.terminate().await;
    let positions = honoken.storage().positions().await;
    assert!(positions.iter().copied().eq(1..=i64::try_from(positions.len()).unwrap()), "the log has a gap");
}

#[tokio::test]
async fn an_image_that_finds_no_room_is_refused_cleanly() {
    let (mut honoken, _) = a_service_with_little_room().await;
    let integrator = patient(honoken.integrator());
    // Noise does not shrink: 700 × 700 shades are more than any file may have.
    let answer = integrator.upload(honoken_tests::drawing::noise(1000, 1000)).await;
    assert_refused_cleanly(&answer);
    honoken.assert_alive();
    integrator.uploads(&honoken_tests::drawing::icon(3)).await;
}
