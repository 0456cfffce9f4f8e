//! What a disk has damaged: an event stops its own pass and nothing else; a file is named, with what to do about it.

use std::fs;
use std::path::{Path, PathBuf};

use honoken_tests::device::{device, push_token};
use honoken_tests::problem::{assert_is_problem, assert_problem};
use honoken_tests::storage::Part;
use honoken_tests::waiting::PATIENCE;
use honoken_tests::{Engine, Honoken, a_ticket, drawing};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

use crate::a_service;

/// Columns of an event that hold text. Without its aggregate nobody knows whose it was.
const OF_A_KNOWN_PASS: [&str; 4] = ["payload", "metadata", "event_type", "event_version"];
const OF_NO_PASS: [&str; 2] = ["aggregate_id", "aggregate_type"];

#[tokio::test]
async fn events_that_are_not_text_are_parked_and_stop_nothing_but_their_own_passes() {
    let mut honoken = a_service().await;
    let integrator = honoken.integrator();
    let columns = OF_A_KNOWN_PASS.iter().chain(&OF_NO_PASS);
    let mut spoilt = Vec::new();
    integrator.issues("well").await;
    let pass = integrator.credentials("well").await;
    let registered = honoken.devices().register(&device(1), &push_token(1, 0), &pass).await;
    registered.assert_status(StatusCode::CREATED);
    for column in columns {
        integrator.issues(column).await;
        spoilt.push((*column, integrator.moves_to(column, "2B").await.position));
    }
    honoken.terminate().await;
    for (column, position) in &spoilt {
        honoken.storage().spoils_text(column, *position).await;
    }

    // A rebuild would not take over: what the tables show now is more than it could.
    let rebuilt = honoken.home().runs(&["rebuild"]).await;
    let said = String::from_utf8_lossy(&rebuilt.stderr);
    let first = spoilt[0].1;
    assert!(!rebuilt.status.success() && said.contains(&format!("the first at position {first}")), "{said}");
    honoken.storage().throws_read_model_away().await;
    honoken.restart().await;
    let (integrator, operator) = (honoken.integrator(), honoken.operator());
    let wallet = operator.wallet_projection().await;
    assert_eq!((&wallet["parked"], &wallet["position"]), (&json!(spoilt.len()), &wallet["head"]));
    let ready = honoken.request(Method::GET, "/health/ready", HeaderMap::new(), "").await;
    ready.assert_status(StatusCode::OK);

    integrator.moves_to("well", "3C").await;
    operator.sees_everybody_woken().await;
    for column in OF_A_KNOWN_PASS {
        assert_eq!(integrator.state(column).await["content"]["seat"], "1A", "{column}: it stands still");
        let refused = integrator.replace(column, &a_ticket("4D")).await;
        assert_eq!(
            assert_problem(&refused, 409)["code"],
            "pass_parked",
            "{column}: it is not there to be changed"
        );
        assert_eq!(assert_problem(&operator.repairs(&integrator, column).await, 409)["code"], "pass_parked");
        let history = integrator.history(column, "").await;
        let history = history.assert_status(StatusCode::OK).json();
        let sequences: Vec<_> =
            history["events"].as_array().unwrap().iter().map(|event| &event["sequence"]).collect();
        assert_eq!(sequences, [1, 2], "{column}");
        assert_eq!(
            (&history["events"][1]["data"], history["events"][0]["data"].is_object()),
            (&json!(null), true)
        );
    }
    honoken.home().prints("is not UTF-8").await;
    // A job goes past them.
    let put = operator.put_brand_asset("icon.png", drawing::icon(7)).await;
    let finished = operator.sees_finished(&put).await;
    assert_eq!(finished["failed"], json!(OF_A_KNOWN_PASS.len()), "{finished}");

    for (_, position) in &spoilt {
        let skipped = operator.skips(*position, "the disk has eaten it").await;
        assert!(skipped.status.is_success(), "{}", skipped.excerpt());
    }
    assert_eq!(operator.wallet_projection().await["parked"], 0);

    // Without what was skipped they go on, here and after the memory of the process is gone.
    let payload = integrator.credentials("payload").await;
    let registered = honoken.devices().register(&device(1), &push_token(1, 0), &payload).await;
    registered.assert_status(StatusCode::CREATED);
    for column in OF_A_KNOWN_PASS {
        let refused = integrator.replace(column, &a_ticket("4D")).await;
        assert_eq!(
            assert_problem(&refused, 409)["code"],
            "pass_parked",
            "{column}: skipping is not repairing"
        );
        let before = integrator.state(column).await;
        let repaired = operator.repairs(&integrator, column).await;
        repaired.assert_status(StatusCode::ACCEPTED);
        assert_eq!(
            (&repaired.json()["changed"], &repaired.json()["projected"]),
            (&json!(true), &json!(true))
        );
        let state = integrator.state(column).await;
        assert_eq!(
            (&state["content"], &state["position"]),
            (&before["content"], &repaired.json()["position"])
        );
        assert_ne!(state["etag"], before["etag"], "{column}: phones may have seen more");
        let again = operator.repairs(&integrator, column).await;
        assert_eq!(again.assert_status(StatusCode::ACCEPTED).json()["changed"], false);
        assert!(integrator.moves_to(column, "4D").await.changed);
    }
    operator.sees_everybody_woken().await;
    honoken.terminate().await;
    honoken.restart().await;
    let (integrator, operator) = (honoken.integrator(), honoken.operator());
    for column in OF_A_KNOWN_PASS {
        integrator.moves_to(column, "5E").await;
        assert_eq!(integrator.state(column).await["content"]["seat"], "5E");
    }
    let unknown = operator.repairs(&integrator, "nobody").await;
    assert_problem(&unknown, 404);
    honoken.terminate().await;
    let rebuilt = honoken.home().runs(&["rebuild"]).await;
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    honoken.restart().await;
    assert_eq!(honoken.integrator().state("payload").await["content"]["seat"], "5E");
}

/// The files, and what is said about each when it is damaged.
const FILES: [(&str, &str); 3] = [
    ("events.sqlite", "`honoken log restored`"),
    ("read_model.sqlite", "filled again from the event log"),
    ("deliveries.sqlite", "woken once more"),
];

const ELSEWHERE: &str = "a server sees to its own files";

/// Ends a service, and brings what it has written into its three files: a page in a write-ahead log beside one would hide that of the file.
async fn ends_with_whole_files(honoken: &mut Honoken) {
    honoken.terminate().await;
    for part in [Part::Log, Part::ReadModel, Part::Deliveries] {
        honoken.storage().executes(part, "pragma wal_checkpoint(truncate)", &[]).await;
    }
}

/// Writes noise over a page of a file, from 1.
fn spoils_page(file: &Path, page: usize, page_size: usize) {
    let mut bytes = fs::read(file).expect("the file is there");
    let noise = (0..page_size).map(|place| u8::try_from(place * 7 % 251).expect("a byte"));
    bytes.splice((page - 1) * page_size..page * page_size, noise);
    fs::write(file, bytes).expect("it can be written");
}

/// Starts a service that cannot start, and gives what it says.
async fn fails_to_start(honoken: &Honoken) -> String {
    let data_dir = honoken.home().data_dir();
    let arguments = ["dev", "--listen", "127.0.0.1:0", "--data-dir", data_dir.to_str().expect("text")];
    let output = tokio::time::timeout(PATIENCE, honoken.home().command(&arguments).output()).await;
    let output = output.expect("it ends by itself").expect("it can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[tokio::test]
async fn a_damaged_file_is_named_with_what_to_do_about_it_when_a_service_starts() {
    if Engine::leaves_out(ELSEWHERE) {
        return;
    }
    let mut honoken = a_service().await;
    honoken.integrator().issues("A-1").await;
    ends_with_whole_files(&mut honoken).await;
    for (name, remedy) in FILES {
        let file = honoken.home().data_dir().join(name);
        let whole = fs::read(&file).expect("the file is there");
        spoils_page(&file, 1, 4096);
        let said = fails_to_start(&honoken).await;
        let place = format!("the file {} is damaged", file.display());
        assert!(said.contains(&place) && said.contains(remedy) && said.contains("ERROR"), "{name}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        fs::write(&file, whole).expect("it can be written");
    }
    // What is said about the two that can be done without is true.
    for (name, _) in &FILES[1..] {
        let file = honoken.home().data_dir().join(name);
        spoils_page(&file, 1, 4096);
        fs::remove_file(file).expect("the file is there");
    }
    honoken.restart().await;
    assert_eq!(honoken.integrator().state("A-1").await["content"]["seat"], "1A");
}

/// A page that nothing looks at before a pass is asked for: the root of the table with the contents.
async fn spoils_contents(honoken: &Honoken) -> PathBuf {
    let storage = honoken.storage();
    let ask =
        async |sql: &str| storage.reads(Part::ReadModel, sql, &[]).await.remove(0).parse().expect("a number");
    let root =
        ask("select cast(rootpage as text) from sqlite_master where name = 'wallet_pass_content'").await;
    let size = ask("select cast(page_size as text) from pragma_page_size").await;
    let file = honoken.home().data_dir().join("read_model.sqlite");
    spoils_page(&file, root, size);
    file
}

#[tokio::test]
async fn damage_that_a_running_service_meets_is_told_once_and_shown_by_readiness() {
    if Engine::leaves_out(ELSEWHERE) {
        return;
    }
    let mut honoken = a_service().await;
    honoken.integrator().issues("A-1").await;
    ends_with_whole_files(&mut honoken).await;
    let file = spoils_contents(&honoken).await;
    honoken.restart().await;
    let ready = async || honoken.request(Method::GET, "/health/ready", HeaderMap::new(), "").await;
    ready().await.assert_status(StatusCode::OK);
    for _ in 0..3 {
        let answer = honoken.integrator().get("A-1").await;
        answer.assert_status(StatusCode::SERVICE_UNAVAILABLE);
        let body = assert_is_problem(&answer).to_string().to_lowercase();
        for inside in ["sqlite", "malformed", "damaged", "honoken-test"] {
            assert!(!body.contains(inside), "a 5xx says nothing about the inside: {body}");
        }
    }
    assert_problem(&ready().await, 503);
    let said = honoken.home().output();
    let place = format!("the file {} is damaged", file.display());
    assert_eq!(said.matches(&place).count(), 1, "{said}");
    assert!(said.contains("filled again from the event log"), "{said}");

    honoken.terminate().await;
    for suffix in ["", "-wal", "-shm"] {
        let mut beside = file.clone().into_os_string();
        beside.push(suffix);
        drop(fs::remove_file(beside));
    }
    honoken.restart().await;
    assert_eq!(honoken.integrator().state("A-1").await["content"]["seat"], "1A");
    let ready = honoken.request(Method::GET, "/health/ready", HeaderMap::new(), "").await;
    ready.assert_status(StatusCode::OK);
}
