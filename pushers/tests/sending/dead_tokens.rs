//! Push tokens that APNs calls dead, or wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fake_apns::{Answer, FakeApns, FakeDeadTokens, accepted, bad_token, unregistered};
use crate::world::{Engine, Setup, World, eventually, on_both_engines};

on_both_engines![
    a_dead_token_is_reported_with_its_time,
    a_device_with_a_newer_token_is_pushed_to_there,
    a_device_that_kept_its_token_is_pushed_to_again_later,
    one_wrong_token_among_many_is_dead,
    a_wrong_token_alone_is_not,
    wrong_tokens_everywhere_delete_nothing_and_wait_for_an_operator,
    wrong_tokens_everywhere_delete_nothing_where_pushes_succeeded_before,
];

async fn a_dead_token_is_reported_with_its_time(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|push| {
        Answer::Now(if push.token.as_str() == "token-1" { unregistered() } else { accepted() })
    });
    let pass = world.issues("a").await;
    world.registers_many(&pass, 3).await;
    let setup = Setup::of(&world, &apns);
    let dead_tokens = setup.dead_tokens.clone();
    let process = setup.starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("dead", 1), ("sent", 2)]).await;
    let reported = dead_tokens.reported();
    assert_eq!(reported, [("device-1".to_owned(), "token-1".to_owned(), Some(1_700_000_000_000))]);
    let last = world.last(&pass).await;
    let dead = last.iter().find(|delivery| delivery.state.as_str() == "dead").unwrap();
    assert_eq!((dead.last_error.as_deref(), dead.attempts), (Some("Unregistered"), 1));
    eventually("it is counted", async || process.counts.ended("dead") == 1).await;
    assert_eq!((process.counts.ended("sent"), process.counts.pushed("token_dead")), (2, 1));
    process.stops().await;
}

async fn a_device_with_a_newer_token_is_pushed_to_there(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|push| match push.token.as_str() {
        "old" => Answer::Later(unregistered()),
        _ => Answer::Now(accepted()),
    });
    let pass = world.issues("a").await;
    world.registers("phone", &pass, "old").await;
    let mut setup = Setup::of(&world, &apns);
    setup.dead_tokens = FakeDeadTokens::that_forgets(false);
    let process = setup.starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    apns.gets(1).await;
    world.registers("phone", &pass, "new").await;
    apns.lets_go();
    // At once: no time passes.
    world.ends_with(&[("sent", 1)]).await;
    assert_eq!(apns.by_token(), BTreeMap::from([("new".into(), 1), ("old".into(), 1)]));
    process.stops().await;
}

async fn a_device_that_kept_its_token_is_pushed_to_again_later(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Now(unregistered()));
    let pass = world.issues("a").await;
    world.registers("phone", &pass, "token").await;
    let mut setup = Setup::of(&world, &apns);
    setup.dead_tokens = FakeDeadTokens::that_forgets(false);
    let process = setup.starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    // The first repetition is at once, the next one is not.
    eventually("both are noted", async || {
        world.last(&pass).await.first().is_some_and(|delivery| delivery.attempts == 2)
    })
    .await;
    let waiting =
        format!("select 'n', count(*) from wake where claimed_by is null and due_at > {}", world.now());
    eventually("it waits", async || world.asks_ledger(&waiting).await["n"] == 1).await;
    assert_eq!(apns.requests(), 2);
    apns.answers(|_| Answer::Now(accepted()));
    world.time.passes(Duration::from_mins(1));
    world.ends_with(&[("sent", 1)]).await;
    process.stops().await;
}

async fn one_wrong_token_among_many_is_dead(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|push| {
        Answer::Now(if push.token.as_str() == "token-1" { bad_token() } else { accepted() })
    });
    let pass = world.issues("a").await;
    world.registers_many(&pass, 10).await;
    let setup = Setup::of(&world, &apns);
    let dead_tokens = setup.dead_tokens.clone();
    let process = setup.starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("pending", 1), ("sent", 9)]).await;
    assert!(dead_tokens.reported().is_empty(), "once is not enough");
    world.time.passes(Duration::from_secs(6));
    world.ends_with(&[("dead", 1), ("sent", 9)]).await;
    assert_eq!(dead_tokens.reported(), [("device-1".to_owned(), "token-1".to_owned(), None)]);
    process.stops().await;
}

async fn a_wrong_token_alone_is_not(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Now(bad_token()));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 1).await;
    let mut setup = Setup::of(&world, &apns);
    setup.settings.retry_attempts = 4;
    let dead_tokens = setup.dead_tokens.clone();
    let process = setup.starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    for requests in 1..=4 {
        apns.gets(requests).await;
        eventually("it is noted", async || world.last(&pass).await[0].attempts == requests as u64).await;
        world.time.passes(Duration::from_mins(20));
    }
    world.ends_with(&[("failed", 1)]).await;
    assert!(dead_tokens.reported().is_empty());
    assert_eq!(world.last(&pass).await[0].last_error.as_deref(), Some("BadDeviceToken"));
    process.stops().await;
}

async fn wrong_tokens_everywhere_delete_nothing_and_wait_for_an_operator(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Now(bad_token()));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 100).await;
    let setup = Setup::of(&world, &apns);
    let (dead_tokens, credentials) = (setup.dead_tokens.clone(), setup.credentials.clone());
    let process = setup.starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    eventually("the credential is parked", async || {
        !world.ledger.parked_credentials().await.unwrap().is_empty()
    })
    .await;
    let parked = &world.ledger.parked_credentials().await.unwrap()[0];
    assert_eq!(
        (parked.credential.as_str(), parked.reason.as_str()),
        ("key:ABCDE12345:KEY1234567:1", "BadDeviceToken for many phones")
    );
    assert_eq!(world.states().await["pending"], 100);
    assert!(dead_tokens.reported().is_empty());
    assert!(apns.requests() < 20, "{} requests", apns.requests());

    // An operator puts another one in its place.
    apns.answers(|_| Answer::Now(accepted()));
    credentials.installs("2");
    eventually("those that were not tried go on", async || world.states().await.get("sent") > Some(&80))
        .await;
    world.time.passes(Duration::from_secs(6));
    world.ends_with(&[("sent", 100)]).await;
    assert!(world.ledger.parked_credentials().await.unwrap().is_empty());
    assert!(dead_tokens.reported().is_empty());
    process.stops().await;
}

async fn wrong_tokens_everywhere_delete_nothing_where_pushes_succeeded_before(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 100).await;
    let setup = Setup::of(&world, &apns);
    let dead_tokens = setup.dead_tokens.clone();
    let process = setup.starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("sent", 100)]).await;
    world.time.passes(Duration::from_secs(20));
    apns.answers(|_| Answer::Now(bad_token()));
    process.post.says(&world.changes(&pass, "2").await);
    eventually("the credential is parked", async || {
        !world.ledger.parked_credentials().await.unwrap().is_empty()
    })
    .await;
    world.time.passes(Duration::from_secs(30));
    assert_eq!(world.states().await["pending"], 100);
    assert!(dead_tokens.reported().is_empty());
    process.stops().await;
}
