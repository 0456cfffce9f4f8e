//! `honoken import`: passes and registrations of another service, from a file into a running one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use honoken_simulator::Phone;
use honoken_tests::device::{device, push_token};
use honoken_tests::server::Ready;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Honoken, Integrator, a_ticket, package};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::a_service;

/// The line of a pass, with the token that phones have.
fn pass(integrator: &Integrator, number: usize) -> Value {
    let mut order = integrator.order(&format!("OLD-{number}"), &a_ticket(&format!("{number}A")));
    order["authenticationToken"] = json!(token(number));
    order
}

fn token(number: usize) -> String {
    format!("token-of-the-old-service-{number}")
}

/// The line of its registration on a phone.
fn registration(integrator: &Integrator, number: usize) -> Value {
    json!({
        "passTypeIdentifier": integrator.pass_type_identifier(),
        "serialNumber": format!("OLD-{number}"),
        "deviceLibraryIdentifier": device(number),
        "pushToken": push_token(number, 0),
    })
}

fn text(lines: &[Value]) -> String {
    lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect()
}

/// The command, with the key of `dev`.
fn import(honoken: &Honoken, arguments: &[&str]) -> Command {
    let mut command = honoken.home().command(&["import", "--server", &honoken.ready().base_url]);
    command.args(arguments).env("HONOKEN_API_KEY", &honoken.ready().api_key);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn ends(child: Child) -> Output {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    output.expect("the command ends in time").expect("its output can be read")
}

/// Writes a file, imports it, and returns the output.
async fn imports(honoken: &Honoken, name: &str, lines: &str, arguments: &[&str]) -> Output {
    fs::write(file(honoken, name), lines).expect("a file");
    ends(import(honoken, &[&[name], arguments].concat()).spawn().expect("the program starts")).await
}

fn file(honoken: &Honoken, name: &str) -> PathBuf {
    honoken.home().folder().join(name)
}

fn said(output: &Output) -> String {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("{out}{err}")
}

fn entries(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("a file of refused lines");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn count(integrator: &Integrator) -> usize {
    integrator.lists_all("q=OLD", 200, async || ()).await.len()
}

#[tokio::test]
async fn what_is_imported_is_there_with_its_tokens_and_a_second_time_changes_nothing() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let mut lines = Vec::new();
    for number in 0..20 {
        lines.extend([pass(&integrator, number), registration(&integrator, number)]);
    }
    let output = imports(&honoken, "old.ndjson", &text(&lines), &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told = said(&output);
    assert!(told.contains("20 passes issued, 20 devices registered") && told.contains("0 refused"), "{told}");
    assert!(!file(&honoken, "old.ndjson.refused.ndjson").exists());
    for number in [0, 7, 19] {
        let serial = format!("OLD-{number}");
        assert_eq!(integrator.credentials(&serial).await.token, token(number));
        assert_eq!(integrator.state(&serial).await["registrations"], 1);
        assert_eq!(honoken.storage().push_tokens(&device(number)).await, [push_token(number, 0)]);
    }

    let before = honoken.storage().recorded().await;
    let again = imports(&honoken, "old.ndjson", &text(&lines), &[]).await;
    assert!(again.status.success() && said(&again).contains("40 lines were sent before"), "{}", said(&again));
    let restarted = imports(&honoken, "old.ndjson", &text(&lines), &["--restart"]).await;
    assert!(restarted.status.success() && said(&restarted).contains("40 unchanged"), "{}", said(&restarted));
    assert_eq!(honoken.storage().recorded().await, before);
    for secret in [token(7), push_token(7, 0), device(7), honoken.ready().api_key.clone()] {
        assert!(!told.contains(&secret) && !honoken.output_so_far().await.contains(&secret));
        let state = fs::read_to_string(file(&honoken, "old.ndjson.import-state")).unwrap();
        assert!(!state.contains(&secret));
    }
}

#[tokio::test]
async fn a_phone_that_holds_a_pass_of_the_old_service_goes_on_with_it() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let lines = text(&[pass(&integrator, 1), registration(&integrator, 1)]);
    let output = imports(&honoken, "old.ndjson", &lines, &[]).await;
    assert!(output.status.success(), "{}", said(&output));
    // The file has the token of the old service in it, as the one on the phone has.
    let mut phone = Phone::new(device(1), push_token(1, 0));
    let installed = phone.add(integrator.downloads("OLD-1").await).await.expect("a phone takes the file");
    assert_eq!(phone.pass("OLD-1").expect("it is there").pass_json()["authenticationToken"], token(1));
    assert_eq!(installed.registered, Some(StatusCode::OK), "it was registered before it ever asked");
    integrator.moves_to("OLD-1", "2B").await;
    let updates = phone.wakes().await;
    assert!(updates.len() == 1 && updates[0].changed, "{updates:?}");
    phone.assert_content();
}

#[tokio::test]
async fn a_pass_that_the_old_service_had_voided_is_void_from_its_first_moment() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let mut line = pass(&integrator, 1);
    line["voided"] = json!(true);
    let output = imports(&honoken, "old.ndjson", &text(&[line]), &[]).await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(integrator.state("OLD-1").await["voided"], true);
    let files = package::files(&integrator.downloads("OLD-1").await);
    let shown: Value = serde_json::from_slice(&files["pass.json"].0).expect("pass.json");
    assert_eq!(shown["voided"], true);
}

#[tokio::test]
async fn refused_lines_are_written_down_with_their_reasons_and_the_others_are_sent() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues_with("OLD-3", &a_ticket("another seat")).await;
    let mut faulty = pass(&integrator, 2);
    faulty["content"] = json!({ "description": 7 });
    let mut short = pass(&integrator, 5);
    short["authenticationToken"] = json!("too short");
    let mut broken = registration(&integrator, 1);
    broken["pushToken"] = json!("");
    let long = format!("{{\"content\": \"{}\"}}", "x".repeat(300 * 1024));
    let lines = [
        pass(&integrator, 1).to_string(),
        faulty.to_string(),
        pass(&integrator, 3).to_string(),
        String::new(),
        registration(&integrator, 4).to_string(),
        short.to_string(),
        broken.to_string(),
        "serial;token".to_owned(),
        long,
        registration(&integrator, 1).to_string(),
    ];
    let output = imports(&honoken, "old.ndjson", &lines.join("\n"), &[]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told = said(&output);
    assert!(told.contains("1 passes issued, 1 devices registered") && told.contains("7 refused"), "{told}");
    assert!(told.contains("old.ndjson.refused.ndjson"), "{told}");
    let entries = entries(&file(&honoken, "old.ndjson.refused.ndjson"));
    let found: Vec<_> = entries
        .iter()
        .map(|entry| {
            (entry["line"].as_u64().unwrap(), entry["code"].as_str().unwrap(), entry["status"].as_u64())
        })
        .collect();
    assert_eq!(
        found,
        [
            (2, "unacceptable", Some(422)),
            (3, "already_issued", Some(409)),
            (5, "not_found", Some(404)),
            (6, "unacceptable", Some(422)),
            (7, "invalid", None),
            (8, "json", None),
            (9, "too_large", None),
        ]
    );
    assert_eq!(entries[0]["serialNumber"], "OLD-2");
    assert_eq!(entries[0]["errors"][0]["pointer"], "/content/description", "{}", entries[0]);
    assert_eq!(integrator.state("OLD-1").await["registrations"], 1);
    // The next run has nothing to send, and says what it said.
    let again = imports(&honoken, "old.ndjson", &lines.join("\n"), &[]).await;
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert!(said(&again).contains("7 refused"), "{}", said(&again));
}

#[tokio::test]
async fn an_import_that_was_killed_goes_on_where_it_was() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let state = file(&honoken, "state");
    let arguments = ["-", "--state", "state", "--refused", "refused.ndjson"];
    let mut child = import(&honoken, &arguments).spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    let mut lines = Vec::new();
    let saved_lines = || {
        let text = fs::read_to_string(&state).unwrap_or_default();
        serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|saved| saved["lines"].as_u64())
            .unwrap_or_default()
    };
    // A line at a time, until some of them are saved.
    while saved_lines() == 0 {
        let number = lines.len();
        assert!(number < 10_000, "nothing is saved");
        lines.push(pass(&integrator, number));
        input.write_all(format!("{}\n", lines[number]).as_bytes()).await.expect("it reads");
        let serial = format!("OLD-{number}");
        eventually(PATIENCE, "the pass is issued", async || {
            (integrator.get(&serial).await.status == StatusCode::OK).then_some(())
        })
        .await;
    }
    child.kill().await.expect("it is killed");
    drop(input);
    let saved = saved_lines();

    let issued = lines.len();
    lines.push(json!({ "no": "pass" }));
    lines.extend((issued + 1..issued + 5).map(|number| pass(&integrator, number)));
    let output = imports(&honoken, "whole.ndjson", &text(&lines), &arguments[1..]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains(&format!("{saved} lines were sent before")), "{}", said(&output));
    assert!(said(&output).contains(&format!("{} lines", lines.len())), "{}", said(&output));
    assert_eq!(count(&integrator).await, issued + 4);
    let refused: Vec<_> =
        entries(&file(&honoken, "refused.ndjson")).iter().map(|entry| entry["line"].clone()).collect();
    assert_eq!(refused, [json!(issued + 1)]);

    // Another file does not go on there.
    let other = imports(&honoken, "other.ndjson", &text(&lines[1..]), &arguments[1..]).await;
    assert_eq!(other.status.code(), Some(2), "{}", said(&other));
    assert!(said(&other).contains("--restart"), "{}", said(&other));
}

#[tokio::test]
async fn a_service_that_is_away_is_waited_for() {
    let mut honoken = a_service().await;
    let integrator = honoken.integrator();
    let mut child = import(&honoken, &["-"]).spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(text(&[pass(&integrator, 1)]).as_bytes()).await.expect("it reads");
    eventually(PATIENCE, "the pass is issued", async || {
        (integrator.get("OLD-1").await.status == StatusCode::OK).then_some(())
    })
    .await;
    honoken.kill().await;
    let rest = [registration(&integrator, 1), pass(&integrator, 2), registration(&integrator, 2)];
    input.write_all(text(&rest).as_bytes()).await.expect("it reads");
    drop(input);
    honoken.restart().await;
    let output = ends(child).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // The answer for the first pass may have been lost with the service.
    let told = said(&output);
    assert!(told.contains("4 lines:") && told.contains("2 devices registered"), "{told}");
    assert!(told.contains("0 refused"), "{told}");
    for serial in ["OLD-1", "OLD-2"] {
        assert_eq!(integrator.state(serial).await["registrations"], 1);
    }
}

#[tokio::test]
async fn without_a_key_or_with_one_that_may_not_import_nothing_is_sent() {
    let mut honoken = a_service().await;
    let integrator = honoken.integrator();
    let lines = text(&[pass(&integrator, 1)]);
    fs::write(file(&honoken, "old.ndjson"), &lines).expect("a file");
    let refused = async |honoken: &Honoken, key: Option<&str>, arguments: &[&str], words: &[&str]| {
        let mut command = import(honoken, &[&["old.ndjson"], arguments].concat());
        command.env_remove("HONOKEN_API_KEY").envs(key.map(|key| ("HONOKEN_API_KEY", key)));
        let output = ends(command.spawn().expect("the program starts")).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
        assert!(key.is_none_or(|key| !told.contains(key)), "{told}");
    };
    refused(&honoken, None, &[], &["HONOKEN_API_KEY", "--key-file"]).await;
    refused(&honoken, Some("a-wrong-key"), &[], &["unauthorized"]).await;
    refused(&honoken, None, &["--key-file", "missing"], &["--key-file missing"]).await;

    let mut command = honoken.home().command(&["import", "old.ndjson", "--server", "http://127.0.0.1:1"]);
    let output =
        ends(command.env("HONOKEN_API_KEY", "a-key").stderr(Stdio::piped()).spawn().expect("it starts"))
            .await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("http://127.0.0.1:1 is not the address"), "{}", said(&output));

    honoken.terminate().await;
    let create = ["keys", "create", "--organization", "dev", "--label", "till"];
    let plain = honoken.home().runs(&create).await;
    let imports_alone = honoken.home().runs(&[&create[..], &["--scopes", "passes:import"]].concat()).await;
    honoken.restart().await;
    let key = |output: &Output| String::from_utf8_lossy(&output.stdout).trim().to_owned();
    refused(&honoken, Some(&key(&plain)), &[], &["missing_scope", "passes:import"]).await;
    assert_eq!(honoken.integrator().get("OLD-1").await.status, StatusCode::NOT_FOUND);

    // This scope alone is enough.
    fs::write(file(&honoken, "key"), key(&imports_alone)).expect("a file");
    let ready = Ready { api_key: key(&imports_alone), ..honoken.ready().clone() };
    assert_eq!(Integrator::new(&ready).get("OLD-1").await.status, StatusCode::NOT_FOUND);
    let mut command = import(&honoken, &["old.ndjson", "--key-file", "key"]);
    let output = ends(command.env_remove("HONOKEN_API_KEY").spawn().expect("the program starts")).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}
