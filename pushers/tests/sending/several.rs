//! Several processes that share a ledger on a server, and a server that goes away.

use crate::fake_apns::{Answer, FakeApns, accepted};
use crate::world::{Engine, Setup, World, fans_out};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_the_work() {
    const PHONES: usize = 900;
    let world = World::new(Engine::Postgres).await;
    let slow = || FakeApns::that_answers(|_| Answer::Later(accepted()));
    let (one, other) = (slow(), slow());
    let pass = world.issues("a").await;
    world.registers_many(&pass, PHONES).await;
    fans_out(&world, &[world.changes(&pass, "1").await]).await;
    let mut processes = Vec::new();
    for apns in [&one, &other] {
        let mut setup = Setup::of(&world, apns);
        setup.ledger = world.opens_ledger().await;
        setup.settings.batch_size = 50;
        processes.push(setup.starts(&world));
    }
    // Neither has everything to itself.
    for apns in [&one, &other] {
        apns.gets(1).await;
        apns.lets_go();
    }
    world.ends_with(&[("sent", PHONES.try_into().unwrap())]).await;
    for process in processes {
        process.stops().await;
    }
    assert_eq!(one.requests() + other.requests(), PHONES, "nobody was woken by both");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_was_at_is_free_for_another() {
    let world = World::new(Engine::Postgres).await;
    let stuck = FakeApns::that_answers(|_| Answer::Later(accepted()));
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 40).await;
    let first = Setup::of(&world, &stuck).starts(&world);
    first.post.says(&world.changes(&pass, "1").await);
    stuck.gets(2).await;
    let mut setup = Setup::of(&world, &apns);
    setup.ledger = world.opens_ledger().await;
    let second = setup.starts(&world);
    first.dies().await;
    world.ends_with(&[("sent", 40)]).await;
    assert_eq!(apns.requests(), 40);
    second.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_restarted_costs_no_push_and_repeats_none() {
    const PHONES: usize = 300;
    let mut cluster = honoken_test_postgres::Cluster::start().await;
    let world = World::in_cluster(&cluster).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, PHONES).await;
    let message = world.changes(&pass, "1").await;
    apns.answers(|_| Answer::Later(accepted()));
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&message);
    apns.gets(2).await;
    cluster.kill().await;
    // What is answered while the server is away is kept until it can be noted.
    apns.answers(|_| Answer::Now(accepted()));
    apns.lets_go();
    cluster.start_again().await;
    world.ends_with(&[("sent", PHONES.try_into().unwrap())]).await;
    process.stops().await;
    assert_eq!(apns.requests(), PHONES);
    assert!(apns.by_token().values().all(|pushes| *pushes == 1));
}
