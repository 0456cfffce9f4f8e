//! Postgres goes away under load, in order or by SIGKILL, and comes back: nobody has to start the program again.

use std::time::Duration;

use honoken_simulator::HttpClient;
use honoken_test_postgres::Cluster;
use honoken_tests::device::{device, push_token};
use honoken_tests::load::{Load, served};
use honoken_tests::problem::assert_problem;
use honoken_tests::server::Home;
use honoken_tests::storage::Part;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Serving, a_ticket};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use crate::processes::{an_api, assert_equals_a_rebuilt_one, becomes_ready, pairs, readiness};
use crate::{PROGRAM, a_home_in};

/// How the server goes.
#[derive(Debug, Clone, Copy)]
enum End {
    InOrder,
    Killed,
}

async fn assert_survives_the_server(end: End) {
    let mut cluster = Cluster::start().await;
    let home = a_home_in(Home::with_database(cluster.create_database().await, PROGRAM)).await;
    let (whole, api) = (home.home().serve("whole").start().await, an_api(&home, "api").await);
    let mut processes: [Serving; 2] = [whole, api];
    for round in 0..2 {
        let load = Load::start(round, pairs(&home, &processes.each_ref())).await;
        load.is_served(60).await;
        match end {
            End::InOrder => cluster.stop().await,
            End::Killed => cluster.kill().await,
        }
        load.is_refused(4).await;
        for process in &processes {
            assert_eq!(readiness(process).await, StatusCode::SERVICE_UNAVAILABLE);
        }
        cluster.start_again().await;
        for process in &processes {
            becomes_ready(process).await;
        }
        load.is_served(30).await;
        load.is_projected_again().await;
        load.ends().await.assert_kept(&home.storage(), &processes[1].integrator(home.ready())).await;
    }
    for process in &mut processes {
        process.process().assert_alive();
        eventually(PATIENCE, "it is ready to the end", async || {
            (readiness(process).await == StatusCode::OK).then_some(())
        })
        .await;
    }
    assert_equals_a_rebuilt_one(&home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_postgres_is_survived_without_a_restart_of_the_program() {
    if Engine::leaves_to_postgres() {
        return;
    }
    assert_survives_the_server(End::InOrder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_when_postgres_is_killed() {
    if Engine::leaves_to_postgres() {
        return;
    }
    assert_survives_the_server(End::Killed).await;
}

/// Every area of routes, with a store that is away: 503 and when to come back, and nothing is left behind.
#[tokio::test(flavor = "multi_thread")]
async fn while_postgres_is_away_every_area_says_so_and_the_process_can_still_be_watched() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let mut cluster = Cluster::start().await;
    let home = a_home_in(Home::with_database(cluster.create_database().await, PROGRAM)).await;
    let ready = home.ready();
    let serve = home.home().serve("watched").with_variable("HONOKEN_ADMIN_USERNAME", &ready.admin_username);
    let serving = serve.with_variable("HONOKEN_ADMIN_PASSWORD", &ready.admin_password).start().await;
    let patient = HttpClient::with_limits(Duration::from_secs(45), 1 << 20);
    let integrator = serving.integrator(ready).with_client(patient.clone());
    let (operator, devices) = (serving.operator(ready), serving.devices().with_client(patient));
    integrator.issues("A-1").await;
    let pass = integrator.credentials("A-1").await;
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    becomes_ready(&serving).await;
    let before = serving.metrics().await;

    for _ in 0..2 {
        cluster.kill().await;
        let asks = async || {
            let admin = |path| operator.request(Method::GET, path, &Value::Null);
            [
                devices.get(&pass, &[]).await,
                devices.list(&device(1), integrator.pass_type_identifier(), None).await,
                devices.register(&device(2), &push_token(2, 0), &pass).await,
                devices.unregister(&device(1), &pass).await,
                integrator.issue(&integrator.order("A-2", &a_ticket("1A"))).await,
                integrator.get("A-1").await,
                integrator.replace("A-1", &a_ticket("2B")).await,
                integrator.void("A-1").await,
                integrator.pkpass("A-1").await,
                admin("/admin/projections").await,
                admin("/api/admin/projections/wallet/parked").await,
                serving.request(Method::GET, "/health/ready", HeaderMap::new(), "").await,
            ]
        };
        for (number, answer) in asks().await.iter().enumerate() {
            assert_eq!(assert_problem(answer, 503)["code"], "unavailable", "number {number}");
            let seconds: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
            assert!(seconds >= 1);
        }
        let live = serving.request(Method::GET, "/health/live", HeaderMap::new(), "").await;
        live.assert_status(StatusCode::OK);
        serving.metrics().await;
        cluster.start_again().await;
        becomes_ready(&serving).await;
        let listed = devices.lists(&device(1), integrator.pass_type_identifier(), None).await;
        assert_eq!(listed.expect("it is still registered").0, ["A-1"]);
    }
    eventually(PATIENCE, "nothing is left of the outages", async || {
        let after = serving.metrics().await;
        let idle = ["device", "manage", "admin"]
            .iter()
            .all(|area| after.get(&format!("honoken_requests_in_flight{{area=\"{area}\"}}")) < 0.5);
        // A reader more or less is the pool's choice; each outage would leave as many as were asked.
        let files = after.since(&before, "process_open_fds") < 12.0;
        let threads = after.since(&before, "process_threads") < 8.0;
        (idle && files && threads).then_some(())
    })
    .await;
}

/// A commit waits until the lock 1 of the server is free.
const WAITING_COMMITS: [&str; 2] = [
    "create function waits() returns trigger language plpgsql as
     'begin perform pg_advisory_xact_lock_shared(1); return null; end'",
    "create constraint trigger waits after insert on events deferrable initially deferred
     for each row execute function waits()",
];

/// A server that crashes forgets the numbers of transactions that it had not written down, and gives them to others.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_lost_with_the_server_is_not_taken_for_that_of_somebody_else() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let mut cluster = Cluster::start().await;
    let url = cluster.create_database().await;
    let home = a_home_in(Home::with_database(&url, PROGRAM)).await;
    let storage = home.storage();
    for statement in WAITING_COMMITS {
        storage.executes(Part::Log, statement, &[]).await;
    }
    let mut lock = PgConnection::connect(&url).await.expect("the server answers");
    sqlx::query("select pg_advisory_lock(1)").execute(&mut lock).await.expect("the lock is free");
    let before = storage.recorded().await;

    let api = an_api(&home, "api").await;
    let patient = HttpClient::with_limits(Duration::from_secs(45), 1 << 20);
    let integrator = api.integrator(home.ready()).with_client(patient);
    let path = format!("{}/content", integrator.path(&home.ready().serial_number));
    let change = tokio::spawn(async move {
        integrator.tries(Method::PUT, &path, &[], a_ticket("never").to_string()).await
    });
    let waiting = "select query from pg_stat_activity where query = 'commit' and wait_event = 'advisory'";
    eventually(PATIENCE, "the commit waits", async || {
        (!storage.reads(Part::Log, waiting, &[]).await.is_empty()).then_some(())
    })
    .await;
    api.pauses().await;
    cluster.kill().await;
    cluster.start_again().await;
    // Others use the numbers meanwhile, and commit.
    for _ in 0..16 {
        storage.reads(Part::Log, "select pg_current_xact_id()::text", &[]).await;
    }
    storage.executes(Part::Log, "drop trigger waits on events", &[]).await;
    api.resumes().await;

    let answer = served(change.await.expect("a request"), &[]);
    assert!(answer.is_none(), "it is refused with 503");
    assert_eq!(storage.recorded().await, before, "nothing was appended");
}
