//! The database is set back under running processes, as by a fail-over to an older copy: they notice, and no phone misses a change.

use honoken_test_postgres::Cluster;
use honoken_tests::device::{device, push_token};
use honoken_tests::server::Home;
use honoken_tests::{Credentials, Engine, Honoken, Serving};
use http::StatusCode;
use sqlx::{Connection, PgConnection};

use crate::processes::{an_api, becomes_ready};
use crate::{PROGRAM, a_home_in};

const PASSES: usize = 4;

fn serial(number: usize) -> String {
    format!("B-{}", number % PASSES)
}

fn name_of(url: &str) -> &str {
    url.rsplit_once('/').expect("the URL of a database").1
}

/// Puts a database in the place of another one, whoever is connected.
async fn takes_the_place(cluster: &Cluster, copy: &str, original: &str) {
    let (copy, original) = (name_of(copy), name_of(original));
    let mut server = PgConnection::connect(&cluster.url("postgres")).await.expect("the server answers");
    for statement in [
        // Nobody comes back in between.
        format!("update pg_database set datallowconn = false where datname = '{original}'"),
        format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname in ('{original}', '{copy}')"
        ),
        format!("alter database {original} rename to lost"),
        format!("alter database {copy} rename to {original}"),
    ] {
        sqlx::raw_sql(&statement)
            .execute(&mut server)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    server.close().await.expect("the connection closes");
}

async fn registers_a_phone(process: &Serving, home: &Honoken) -> Credentials {
    let integrator = process.integrator(home.ready());
    let mut passes = Vec::new();
    for number in 0..PASSES {
        integrator.issues(&serial(number)).await;
        let pass = integrator.credentials(&serial(number)).await;
        let registered = process.devices().register(&device(1), &push_token(1, 0), &pass).await;
        registered.assert_status(StatusCode::CREATED);
        passes.push(pass);
    }
    passes.remove(0)
}

/// Changes passes one after the other.
async fn changes(process: &Serving, home: &Honoken, times: usize, seat: &str) {
    for number in 0..times {
        process.integrator(home.ready()).moves_to(&serial(number), &format!("{seat} {number}")).await;
    }
}

/// The copy that takes the place of the database may have grown beyond where that was.
async fn assert_no_phone_misses_a_change(grown: bool) {
    let cluster = Cluster::start().await;
    let (url, copy) = (cluster.create_database().await, cluster.create_database().await);
    let home = a_home_in(Home::with_database(&url, PROGRAM)).await;
    let mut processes = [home.home().serve("whole").start().await, an_api(&home, "api").await];
    for process in &processes {
        becomes_ready(process).await;
    }
    let pass = registers_a_phone(&processes[0], &home).await;
    let pass_type = pass.pass_type_identifier.clone();
    let all: Vec<String> = (0..PASSES).map(serial).collect();
    honoken_test_postgres::copy(&url, &copy);
    changes(&processes[0], &home, PASSES, "lost").await;
    let (_, future) = processes[1].devices().lists(&device(1), &pass_type, None).await.expect("all passes");
    if grown {
        let mut elsewhere = home.home().serve("elsewhere").with_variable("DATABASE_URL", &copy).start().await;
        changes(&elsewhere, &home, 3 * PASSES, "grown").await;
        elsewhere.terminate().await;
    }

    takes_the_place(&cluster, &copy, &url).await;
    for process in &mut processes {
        let status = process.process().ends().await;
        assert_eq!(status.code(), Some(1), "it is no end in order");
    }
    let said: Vec<String> = processes.iter().map(Serving::output).collect();
    assert!(said.iter().any(|said| said.contains("the event log was set back")), "{said:?}");
    for said in &said {
        assert!(said.contains("has to be started again") && said.contains("ERROR"), "{said}");
    }

    // As a supervisor does.
    for process in &mut processes {
        process.restart().await;
        becomes_ready(process).await;
    }
    let devices = processes[1].devices();
    let (listed, mut tag) = devices.lists(&device(1), &pass_type, Some(&future)).await.expect("everything");
    assert_eq!(listed, all);
    let epoch = |tag: &str| tag.split_once('-').map(|(epoch, _)| epoch.to_owned());
    assert_ne!(epoch(&tag), epoch(&future), "another epoch");
    for number in 0..3 * PASSES {
        let integrator = processes[0].integrator(home.ready());
        let change = integrator.moves_to(&serial(number), &format!("found {number}")).await;
        let listed = devices.lists(&device(1), &pass_type, Some(&tag)).await;
        assert_eq!(listed, Some((vec![serial(number)], change.update_tag.clone())));
        tag = change.update_tag;
        let (listed, _) = devices.lists(&device(1), &pass_type, Some(&future)).await.expect("everything");
        assert_eq!(listed, all, "a tag of the lost future hides nothing, however far the log gets");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_set_back_under_running_processes_is_noticed_and_no_phone_misses_a_change() {
    if Engine::leaves_to_postgres() {
        return;
    }
    assert_no_phone_misses_a_change(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_that_has_grown_beyond_the_lost_end_is_noticed_too() {
    if Engine::leaves_to_postgres() {
        return;
    }
    assert_no_phone_misses_a_change(true).await;
}
