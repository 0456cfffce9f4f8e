//! The event log on a KurrentDB, with the read model in files or on Postgres: the program from the outside, and what happens when the server goes away,
//! is not there, or is set back. The suites of `scripts/test` that run on it (`HONOKEN_TEST_EVENT_STORE=kurrentdb`) say the rest.

use std::time::Duration;

use honoken_simulator::HttpClient;
use honoken_test_kurrentdb::Kurrent;
use honoken_tests::device::{device, push_token};
use honoken_tests::problem::assert_problem;
use honoken_tests::server::Home;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Credentials, Engine, Honoken};
use http::{HeaderMap, Method, StatusCode};

use crate::processes::{an_api, becomes_ready};
use crate::{CACHE, PROGRAM, a_home_in, assert_done, refusal};

const VARIABLE: &str = "HONOKEN_EVENT_STORE_URL";

/// A home on the chosen engine whose event log is on the server.
async fn a_home_on(server: &Kurrent) -> Home {
    Home::new(PROGRAM).await.with_variable(VARIABLE, server.url_of_a_log())
}

async fn started_in(home: Home) -> Honoken {
    Honoken::start_in_with_certificates(home, CACHE.as_ref()).await
}

async fn a_phone_with(honoken: &Honoken, serial_numbers: &[&str]) -> Vec<Credentials> {
    let mut passes = Vec::new();
    for serial_number in serial_numbers {
        honoken.integrator().issues(serial_number).await;
        let pass = honoken.integrator().credentials(serial_number).await;
        let registered = honoken.devices().register(&device(1), &push_token(1, 0), &pass).await;
        registered.assert_status(StatusCode::CREATED);
        passes.push(pass);
    }
    passes
}

#[tokio::test]
async fn a_service_works_as_ever_and_goes_on_after_a_kill_and_a_rebuild() {
    let server = Kurrent::start();
    let mut honoken = started_in(a_home_on(&server).await).await;
    let passes = a_phone_with(&honoken, &["A-1", "A-2", "A-3"]).await;
    let pass_type = passes[0].pass_type_identifier.clone();
    let (_, tag) = honoken.devices().lists(&device(1), &pass_type, None).await.expect("all");
    let change = honoken.integrator().moves_to("A-2", "2B").await;
    let listed = honoken.devices().lists(&device(1), &pass_type, Some(&tag)).await;
    assert_eq!(listed, Some((vec!["A-2".to_owned()], change.update_tag.clone())));
    // Beside the running service.
    assert_done(&honoken.home().runs(&["keys", "create", "--organization", "dev", "--label", "till"]).await);
    let verified = honoken.home().runs(&["log", "verify"]).await;
    let verified = String::from_utf8(verified.stdout).expect("text");
    assert!(
        verified.contains("the event log is whole") && verified.contains("equals a fresh one"),
        "{verified}"
    );
    honoken.kill().await;

    assert_done(&honoken.home().runs(&["rebuild"]).await);
    honoken.restart().await;
    assert_eq!(honoken.devices().lists(&device(1), &pass_type, Some(&change.update_tag)).await, None);
    let known =
        honoken.devices().get(&passes[1], &[("if-none-match", &format!("\"{}\"", change.etag))]).await;
    known.assert_status(StatusCode::NOT_MODIFIED);
    let next = honoken.integrator().moves_to("A-1", "3C").await;
    let listed = honoken.devices().lists(&device(1), &pass_type, Some(&change.update_tag)).await;
    assert_eq!(listed, Some((vec!["A-1".to_owned()], next.update_tag)));
}

#[tokio::test]
async fn a_server_that_is_not_there_ends_the_start_and_is_named_without_its_password() {
    let Some(server) = Kurrent::with_faults() else { return };
    let url = server.connection_string().replacen("://", "://admin:hunter2@", 1);
    server.stop();
    let host = url.split(['@', '?']).nth(1).expect("a host").to_owned();
    let home = Home::on(Engine::Sqlite, PROGRAM).await.with_variable(VARIABLE, &url);
    for arguments in [
        &["dev", "--listen", "127.0.0.1:0"][..],
        &["serve", "--listen", "127.0.0.1:0"],
        &["keys", "create", "--organization", "x", "--label", "y"],
    ] {
        let begun = tokio::time::Instant::now();
        std::fs::create_dir_all(home.data_dir()).expect("a folder");
        let said = refusal(&home.runs(arguments).await);
        assert!(begun.elapsed() < Duration::from_secs(30), "{arguments:?}");
        assert!(said.contains(VARIABLE) && said.contains(&host), "{arguments:?}: {said}");
        assert!(!said.contains("hunter2"), "{arguments:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_away_phones_are_served_and_changes_wait_for_it() {
    let Some(server) = Kurrent::with_faults() else { return };
    let mut honoken = started_in(a_home_on(&server).await).await;
    let passes = a_phone_with(&honoken, &["A-1", "A-2"]).await;
    let pass_type = passes[0].pass_type_identifier.clone();
    let patient = HttpClient::with_limits(Duration::from_secs(45), 1 << 20);
    for seat in ["1B", "2B"] {
        server.stop();
        let integrator = honoken.integrator().with_client(patient.clone());
        let refused = integrator.void("A-2").await;
        assert_eq!(assert_problem(&refused, 503)["code"], "unavailable");
        assert!(refused.header("retry-after").is_some());
        let ready = honoken.request(Method::GET, "/health/ready", HeaderMap::new(), "").await;
        ready.assert_status(StatusCode::SERVICE_UNAVAILABLE);
        honoken.devices().get(&passes[0], &[]).await.assert_status(StatusCode::OK);
        assert!(honoken.devices().lists(&device(1), &pass_type, None).await.is_some());
        server.start_again();
        eventually(PATIENCE, "it is ready again", async || {
            let ready = honoken.request(Method::GET, "/health/ready", HeaderMap::new(), "").await;
            (ready.status == StatusCode::OK).then_some(())
        })
        .await;
        honoken.integrator().moves_to("A-1", seat).await;
    }
    assert_eq!(honoken.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_set_back_ends_the_process_and_no_phone_misses_a_change() {
    let Some(server) = Kurrent::with_faults() else { return };
    let mut honoken = started_in(a_home_on(&server).await).await;
    let passes = a_phone_with(&honoken, &["A-1", "A-2"]).await;
    let pass_type = passes[0].pass_type_identifier.clone();
    let backup = server.position();
    for seat in ["1B", "2B", "3B"] {
        honoken.integrator().moves_to("A-1", seat).await;
    }
    let (_, tag) = honoken.devices().lists(&device(1), &pass_type, None).await.expect("all");
    server.set_back(backup);
    let status = honoken.ends().await;
    assert!(!status.success());
    honoken.home().prints("the event log was set back").await;
    honoken.restart().await;
    let listed = honoken.devices().lists(&device(1), &pass_type, Some(&tag)).await.expect("everything");
    assert_eq!(listed.0, ["A-1", "A-2"]);
    honoken.integrator().moves_to("A-2", "4B").await;
    let listed = honoken.devices().lists(&device(1), &pass_type, Some(&listed.1)).await;
    assert_eq!(listed.expect("one").0, ["A-2"]);
}

#[tokio::test]
async fn a_log_moves_there_beside_its_service_and_phones_fetch_what_differs_and_nothing_else() {
    let server = Kurrent::start();
    let mut honoken = started_in(Home::new(PROGRAM).await).await;
    let passes = a_phone_with(&honoken, &["A-1", "A-2"]).await;
    let pass_type = passes[0].pass_type_identifier.clone();
    let (_, tag) = honoken.devices().lists(&device(1), &pass_type, None).await.expect("all");
    let from = honoken
        .home()
        .database_url()
        .map_or_else(|| format!("sqlite:{}", honoken.home().data_dir().display()), str::to_owned);
    let to = server.url_of_a_log();
    let copy = ["log", "copy", "--from", &*from, "--to", &*to];
    let copies = async |home: &Home| home.command(&copy).output().await.expect("it ends");
    assert_done(&copies(honoken.home()).await);
    let change = honoken.integrator().moves_to("A-2", "2B").await;
    let etag = honoken.integrator().credentials("A-1").await;
    honoken.terminate().await;
    let said = assert_done(&copies(honoken.home()).await);
    assert!(said.contains("SHA-256"), "{said}");

    honoken.has_variable(VARIABLE, &*to);
    honoken.restart().await;
    let moved = honoken;
    // Its tag is of another log, so the phone asks for everything once, and has all of it but what it had not fetched.
    let (serials, newest) =
        moved.devices().lists(&device(1), &pass_type, Some(&tag)).await.expect("everything");
    assert_eq!(serials, ["A-1", "A-2"]);
    let known = moved.devices().get(&passes[1], &[("if-none-match", &format!("\"{}\"", change.etag))]).await;
    known.assert_status(StatusCode::NOT_MODIFIED);
    assert_eq!(moved.integrator().credentials("A-1").await, etag);
    let next = moved.integrator().moves_to("A-1", "3C").await;
    let listed = moved.devices().lists(&device(1), &pass_type, Some(&newest)).await;
    assert_eq!(listed, Some((vec!["A-1".to_owned()], next.update_tag)));
    let refused = refusal(&copies(moved.home()).await);
    assert!(
        refused.contains("it has gone on by itself") || refused.contains("another process is using"),
        "{refused}"
    );
}

/// An empty log would empty the read model, and phones would be refused their passes.
#[tokio::test]
async fn a_start_without_the_variable_is_refused_and_loses_nothing() {
    let server = Kurrent::start();
    let mut honoken = started_in(a_home_on(&server).await).await;
    let passes = a_phone_with(&honoken, &["A-1"]).await;
    honoken.terminate().await;
    let to = honoken.home().variable(VARIABLE).expect("it was set");
    honoken.has_variable(VARIABLE, "");
    let mut command = honoken.home().command(&["serve", "--listen", "127.0.0.1:0"]);
    command.arg("--data-dir").arg(honoken.home().data_dir());
    let said = refusal(&command.output().await.expect("it ends"));
    assert!(said.contains("the event log is empty") && said.contains(VARIABLE), "{said}");
    honoken.has_variable(VARIABLE, to);
    honoken.restart().await;
    honoken.devices().get(&passes[0], &[]).await.assert_status(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_on_postgres_share_a_log_there() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let server = Kurrent::start();
    let home = a_home_in(a_home_on(&server).await).await;
    let (whole, api) = (home.home().serve("whole").start().await, an_api(&home, "api").await);
    becomes_ready(&api).await;
    let integrator = api.integrator(home.ready());
    integrator.issues("P-1").await;
    let pass = integrator.credentials("P-1").await;
    let registered = whole.devices().register(&device(1), &push_token(1, 0), &pass).await;
    registered.assert_status(StatusCode::CREATED);
    for (number, seat) in ["1B", "2B", "3B", "4B"].iter().enumerate() {
        let writer = if number % 2 == 0 { &whole } else { &api };
        let change = writer.integrator(home.ready()).moves_to("P-1", seat).await;
        for reader in [&whole, &api] {
            let listed = reader.devices().lists(&device(1), integrator.pass_type_identifier(), None).await;
            assert_eq!(listed, Some((vec!["P-1".to_owned()], change.update_tag.clone())), "{seat}");
        }
    }
}
