//! A store or a broker that hangs: it takes what is sent to it and never answers. The program ends in time all the same.

use std::time::Duration;

use honoken_simulator::HttpClient;
use honoken_test_nats::Server;
use honoken_test_postgres::Cluster;
use honoken_tests::process::Process;
use honoken_tests::server::Home;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Honoken, Integrator, Serving, a_ticket};
use http::{Method, StatusCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::processes::{a_projector, an_api, becomes_ready};
use crate::{CACHE, PROGRAM, a_home_in};

/// From SIGTERM to the end: what is promised.
const PROMISED: Duration = Duration::from_secs(20);

/// What the program says of a part that it did not wait for.
const CUT_OFF: &str = "no acknowledged change is lost";

/// Integrators at work when the server hangs.
const INTEGRATORS: usize = 8;

async fn a_home_on(cluster: &Cluster) -> Honoken {
    a_home_in(Home::with_database(cluster.create_database().await, PROGRAM)).await
}

/// Ends these at once, each within what is promised.
async fn end_in_time<'a>(processes: impl IntoIterator<Item = &'a mut Process>) {
    let processes: Vec<_> = processes.into_iter().collect();
    for process in &processes {
        process.asks_to_end().await;
    }
    let told = Instant::now();
    for process in processes {
        let status = process.ends().await;
        assert!(told.elapsed() <= PROMISED, "it took {:?}", told.elapsed());
        assert_eq!(status.code(), Some(0), "it was told to end, and did");
    }
}

/// Changes a pass again and again until it is refused or cut off. Gives the seat that was acknowledged last.
async fn changes_until_refused(integrator: Integrator, serial_number: String) -> (String, usize) {
    let path = format!("{}/content", integrator.path(&serial_number));
    for seat in 0.. {
        let content = a_ticket(&seat.to_string()).to_string();
        match integrator.tries(Method::PUT, &path, &[], content).await {
            Ok(answer) if answer.status == StatusCode::OK => {}
            _ => return (serial_number, seat),
        }
    }
    unreachable!("it ends with the service")
}

async fn are_in_flight(process: &Serving, requests: usize) {
    eventually(PATIENCE, "the requests are in flight", async || {
        let scrape = process.metrics().await;
        let in_flight = format!("{:.0}", scrape.get("honoken_requests_in_flight{area=\"manage\"}"));
        in_flight.parse::<usize>().is_ok_and(|in_flight| in_flight >= requests).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_ends_in_time_while_postgres_is_frozen_and_nothing_acknowledged_is_lost() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let cluster = Cluster::start().await;
    let home = a_home_on(&cluster).await;
    let whole = home.home().serve("whole").start().await;
    let (api, projector) = (an_api(&home, "api").await, a_projector(&home, "projector").await);
    let pusher = home.home().serve("pusher").with_roles("relay,pusher").start().await;
    let mut processes = [whole, api, projector, pusher];
    for process in &processes {
        becomes_ready(process).await;
    }
    let patient = HttpClient::with_limits(Duration::from_secs(45), 1 << 20);
    let mut integrators = JoinSet::new();
    for number in 0..INTEGRATORS {
        let integrator = processes[number % 2].integrator(home.ready()).with_client(patient.clone());
        let serial_number = format!("F-{number}");
        integrator.issues(&serial_number).await;
        integrators.spawn(changes_until_refused(integrator, serial_number));
    }

    cluster.freezes();
    for process in &processes[..2] {
        are_in_flight(process, INTEGRATORS / 2).await;
    }
    end_in_time(processes.iter_mut().map(Serving::process)).await;
    assert!(processes[0].output().contains(CUT_OFF), "it says what it did not wait for");
    cluster.thaws();

    processes[0].restart().await;
    becomes_ready(&processes[0]).await;
    let integrator = processes[0].integrator(home.ready());
    for (serial_number, refused) in integrators.join_all().await {
        let state = integrator.state(&serial_number).await;
        let seat = state["content"]["seat"].as_str().expect("a seat");
        // The refused one may have reached the server after all.
        let acknowledged = refused.checked_sub(1).map_or("1A".to_owned(), |seat| seat.to_string());
        assert!(
            seat == acknowledged || seat == refused.to_string(),
            "{acknowledged} was acknowledged: {seat}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_for_a_frozen_postgres_to_start_ends_in_time() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let cluster = Cluster::start().await;
    let home = a_home_on(&cluster).await;
    cluster.freezes();
    for roles in ["api,projector,relay,pusher", "api", "projector"] {
        let address = free_address().await;
        let serve = home.home().serve(roles).with_roles(roles).listening_at(&address);
        let mut process = Process::of(serve.spawns());
        // It listens before it opens the stores.
        eventually(PATIENCE, "the process listens", async || TcpStream::connect(&address).await.ok()).await;
        end_in_time([&mut process]).await;
        assert_eq!(serve.reads_ready_file(), None, "it was not ready");
    }
    cluster.thaws();
}

async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_does_not_hold_up_the_end() {
    let nats = Server::start().await;
    let home = Home::new(PROGRAM).await.with_variable("NATS_URL", nats.url());
    let mut honoken = Honoken::start_in_with_certificates(home, CACHE.as_ref()).await;
    honoken.integrator().issues("A-1").await;
    nats.freezes();
    // Accepted without the broker; the relay waits for it to take what there is to say.
    honoken.integrator().moves_to("A-1", "2B").await;
    end_in_time([honoken.process()]).await;
}
