//! Several processes on Postgres wake phones together, and the server may go away.

use std::time::Duration;

use honoken_test_nats::Server;
use honoken_test_postgres::Cluster;
use honoken_tests::server::Home;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Serve};
use http::StatusCode;

use super::{Backstage, Cast, Stage, all};
use crate::PROGRAM;

/// The pushes of one process at the most.
const AT_WORK: usize = 200;

async fn refusal(serve: Serve) -> String {
    let refused = serve.command().output().await.expect("it ends");
    assert!(!refused.status.success());
    String::from_utf8_lossy(&refused.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_relay_and_pusher_are_one_process() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let stage = Backstage::new().await;
    for roles in ["relay", "pusher", "api,relay", "api,projector,pusher"] {
        let said = refusal(stage.serve("refused").with_roles(roles)).await;
        assert!(said.contains("--roles relay,pusher") && said.contains("NATS_URL"), "{roles}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pushers_share_the_work_and_go_on_without_the_one_that_dies() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let stage = Backstage::new().await;
    let _projector = stage.serve("projector").with_roles("projector").start().await;
    let api = stage.serve("api").with_roles("api").start().await;
    let cast = Cast::of(&api.as_known(stage.home.ready()), stage.home.storage());
    let (_, fleet) = cast.has_phones("A-1", 1000).await;
    let mut one = stage.serve("one").with_roles("relay,pusher").start().await;
    let other = stage.serve("other").with_roles("relay,pusher").start().await;
    cast.settles().await;
    stage.apns.latency(Duration::from_millis(200));
    let change = cast.integrator.moves_to("A-1", "2B").await;
    stage.apns.wait_for(500).await;
    let connections = stage.apns.connections().len();
    assert!(connections >= 2, "both processes push");
    one.kill().await;
    stage.apns.latency(Duration::ZERO);
    stage.apns.wait_until("all are woken", |apns| apns.wakes().len() == 1000).await;
    cast.settles().await;
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(1000, "sent"));
    let wakes = stage.apns.wakes();
    let times = |token: &String| wakes.get(token).copied().unwrap_or_default();
    let tokens = fleet.push_tokens();
    assert!(tokens.iter().all(|token| (1..=2).contains(&times(token))));
    assert!(tokens.iter().filter(|token| times(token) == 2).count() <= AT_WORK);
    drop(other);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_broker_every_role_may_have_a_process_and_each_may_die() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let nats = Server::start().await;
    let stage = Backstage::new().await;
    let role = |role: &str| stage.serve(role).with_roles(role).with_variable("NATS_URL", &nats.url());
    let _projector = role("projector").start().await;
    let api = role("api").start().await;
    let (mut relay, mut pusher) = (role("relay").start().await, role("pusher").start().await);
    let cast = Cast::of(&api.as_known(stage.home.ready()), stage.home.storage());
    let (_, fleet) = cast.has_phones("A-1", 10).await;
    cast.integrator.moves_to("A-1", "1").await;
    stage.apns.wait_for(10).await;
    cast.settles().await;

    relay.kill().await;
    cast.integrator.moves_to("A-1", "2").await;
    relay.restart().await;
    pusher.kill().await;
    cast.orders("/admin/pusher/resume", StatusCode::OK).await;
    let change = cast.integrator.moves_to("A-1", "3").await;
    pusher.restart().await;
    eventually(PATIENCE, "the last state was sent to everybody", async || {
        (cast.deliveries("A-1", &change.etag).await == all(10, "sent")).then_some(())
    })
    .await;
    cast.settles().await;
    let wakes = stage.apns.wakes();
    assert!(
        fleet.push_tokens().iter().all(|token| wakes.get(token).is_some_and(|times| (2..=4).contains(times)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_postgres_loses_no_wake_up() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let mut cluster = Cluster::start().await;
    let home = Home::with_database(cluster.create_database().await, PROGRAM);
    let Stage { honoken, apns } = Stage::on(home, &[]).await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 300).await;
    apns.hold();
    let change = cast.integrator.moves_to("A-1", "2B").await;
    apns.wait_for(2).await;
    cluster.kill().await;
    // What was answered cannot be noted now.
    apns.release();
    cluster.start_again().await;
    apns.wait_until("all are woken", |apns| apns.wakes().len() == 300).await;
    eventually(PATIENCE, "everything is noted", async || {
        (cast.deliveries("A-1", &change.etag).await == all(300, "sent")).then_some(())
    })
    .await;
    let wakes = apns.wakes();
    assert!(fleet.push_tokens().iter().all(|token| wakes.get(token).is_some_and(|times| *times <= 2)));

    cluster.stop().await;
    cluster.start_again().await;
    let again = eventually(PATIENCE, "changes are taken again", async || {
        let answer = cast.integrator.replace("A-1", &honoken_tests::a_ticket("3C")).await;
        (answer.status == StatusCode::OK).then_some(answer)
    })
    .await;
    let etag = honoken_tests::Change::read(&again).etag;
    eventually(PATIENCE, "the next state was sent to everybody", async || {
        (cast.deliveries("A-1", &etag).await == all(300, "sent")).then_some(())
    })
    .await;
}
