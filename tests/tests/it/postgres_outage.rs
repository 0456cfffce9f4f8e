//! Postgres goes away under load, in order or by SIGKILL, and comes back: nobody has to start the program again.

use honoken_test_postgres::Cluster;
use honoken_tests::load::Load;
use honoken_tests::server::Home;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Serving};
use http::StatusCode;

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
