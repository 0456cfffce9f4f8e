//! Credentials that are refused, or missing.

use std::time::Duration;

use honoken_pushers::ledger::Part;
use honoken_pushers::outcome::Outcome;

use crate::fake_apns::{Answer, FakeApns, FakeCredentials, accepted};
use crate::world::{Engine, Setup, World, eventually, on_both_engines};

on_both_engines![
    a_refused_credential_is_tried_every_quarter_of_an_hour,
    an_operator_who_resumes_has_it_tried_at_once,
    where_no_credential_is_installed_pushes_wait_for_one,
];

fn refused() -> Answer {
    Answer::Now(Outcome::Misconfigured { reason: "InvalidProviderToken".into() })
}

async fn is_parked(world: &World, expected: bool) {
    eventually("the credential is parked, or free", async || {
        world.ledger.parked_credentials().await.unwrap().is_empty() != expected
    })
    .await;
}

async fn a_refused_credential_is_tried_every_quarter_of_an_hour(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| refused());
    let pass = world.issues("a").await;
    world.registers_many(&pass, 20).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    is_parked(&world, true).await;
    let waiting =
        format!("select 'free', count(*) from wake where claimed_by is null and due_at > {}", world.now());
    eventually("all wait", async || world.asks_ledger(&waiting).await["free"] == 20).await;
    let requests = apns.requests();
    assert!(requests <= 2, "{requests}");
    world.time.passes(Duration::from_mins(15));
    apns.gets(requests + 1).await;
    eventually("it is noted", async || {
        let tried = "select 'tried', cast(sum(attempts) as bigint) from delivery";
        world.asks_ledger(tried).await["tried"] == (requests + 1).cast_signed() as i64
    })
    .await;
    assert_eq!(world.states().await["pending"], 20);

    apns.answers(|_| Answer::Now(accepted()));
    world.time.passes(Duration::from_mins(16));
    world.ends_with(&[("sent", 20)]).await;
    is_parked(&world, false).await;
    assert_eq!(apns.requests(), requests + 21, "one was tried in between");
    process.stops().await;
}

async fn an_operator_who_resumes_has_it_tried_at_once(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| refused());
    let pass = world.issues("a").await;
    world.registers_many(&pass, 20).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    is_parked(&world, true).await;
    apns.answers(|_| Answer::Now(accepted()));
    world.ledger.pause(Part::Pusher, "operator", world.now()).await.unwrap();
    world.ledger.resume(Part::Pusher, world.now()).await.unwrap();
    world.ends_with(&[("sent", 20)]).await;
    is_parked(&world, false).await;
    process.stops().await;
}

async fn where_no_credential_is_installed_pushes_wait_for_one(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 20).await;
    let mut setup = Setup::of(&world, &apns);
    setup.credentials = FakeCredentials::none();
    let credentials = setup.credentials.clone();
    let process = setup.starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    is_parked(&world, true).await;
    let parked = &world.ledger.parked_credentials().await.unwrap()[0];
    assert_eq!((parked.credential.as_str(), parked.reason.as_str()), ("none", "install a key"));
    assert_eq!((apns.requests(), world.states().await["pending"]), (0, 20));
    credentials.installs("first");
    world.ends_with(&[("sent", 20)]).await;
    assert_eq!(apns.last_credential(), "key:ABCDE12345:KEY1234567:first");
    is_parked(&world, false).await;
    process.stops().await;
}
