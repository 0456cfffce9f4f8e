//! APNs fails, or asks for a pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use honoken_pushers::outcome::{Outcome, RetryScope};

use crate::fake_apns::{Answer, FakeApns, accepted, unavailable};
use crate::world::{Engine, Setup, World, eventually, on_both_engines};

on_both_engines![
    a_minute_of_outage_costs_a_tenth_at_most_and_loses_nothing,
    an_outage_in_the_middle_costs_a_tenth_at_most,
    a_pause_that_apns_asks_for_is_kept,
    a_phone_that_is_pushed_to_too_often_rests_alone,
    what_fails_too_often_is_given_up,
    an_answer_that_nobody_has_heard_of_ends_it,
];

async fn a_minute_of_outage_costs_a_tenth_at_most_and_loses_nothing(engine: Engine) {
    const PHONES: usize = 200;
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Now(unavailable(None)));
    let pass = world.issues("a").await;
    world.registers_many(&pass, PHONES).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    // Every rest is over when twice its length has passed: 1, 2, 4, 8, 16 and 32 seconds, stretched, and a second until all are due.
    let began = world.now();
    apns.gets(1).await;
    let all_wait = async || {
        let now_ms = world.now();
        let waiting =
            format!("select 'n', count(*) from wake where claimed_by is null and due_at > {now_ms}");
        eventually("all wait", async || {
            world.asks_ledger(&waiting).await["n"] == PHONES.cast_signed() as i64
        })
        .await;
    };
    for rest in [1, 2, 4, 8, 16, 32] {
        all_wait().await;
        let requests = apns.requests();
        world.time.passes(Duration::from_millis(1250) * (rest + 1));
        apns.gets(requests + 1).await;
    }
    all_wait().await;
    assert!(world.now() - began >= 60_000);
    apns.answers(|_| Answer::Now(accepted()));
    world.time.passes(Duration::from_mins(2));
    world.ends_with(&[("sent", PHONES.cast_signed() as i64)]).await;
    process.stops().await;
    let requests = apns.requests();
    assert!(requests * 10 <= PHONES * 11, "{requests} requests for {PHONES} phones");
    assert!(apns.by_token().len() == PHONES);
}

async fn an_outage_in_the_middle_costs_a_tenth_at_most(engine: Engine) {
    const PHONES: usize = 1000;
    let world = World::new(engine).await;
    let failing = Arc::new(AtomicUsize::new(0));
    let answered = Arc::new(AtomicUsize::new(0));
    let (fails, count) = (failing.clone(), answered.clone());
    let apns = FakeApns::that_answers(move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let is_away = number >= 400 && fails.load(Ordering::Relaxed) == 0;
        Answer::Now(if is_away { unavailable(None) } else { accepted() })
    });
    let pass = world.issues("a").await;
    world.registers_many(&pass, PHONES).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    apns.gets(401).await;
    failing.store(1, Ordering::Relaxed);
    eventually("everybody is woken", async || {
        world.time.passes(Duration::from_millis(100));
        world.states().await.get("sent") == Some(&(PHONES.cast_signed() as i64))
    })
    .await;
    process.stops().await;
    let requests = apns.requests();
    assert!(requests * 10 <= PHONES * 11, "{requests} requests for {PHONES} phones");
}

async fn a_pause_that_apns_asks_for_is_kept(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Now(unavailable(Some(Duration::from_mins(10)))));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 5).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    // Two may be sent while nothing is known.
    apns.gets(1).await;
    let free = "select 'free', count(*) from wake where claimed_by is null and due_at > ";
    let waiting = format!("{free}{}", world.now());
    eventually("all wait", async || world.asks_ledger(&waiting).await["free"] == 5).await;
    let requests = apns.requests();
    assert!(requests <= 2, "{requests}");
    apns.answers(|_| Answer::Now(accepted()));
    world.time.passes(Duration::from_mins(9));
    let soonest = "select 'due', min(due_at) from wake";
    assert!(world.asks_ledger(soonest).await["due"] >= world.now() + 59_000);
    world.time.passes(Duration::from_mins(2));
    world.ends_with(&[("sent", 5)]).await;
    assert_eq!(apns.requests(), requests + 5);
    process.stops().await;
}

async fn a_phone_that_is_pushed_to_too_often_rests_alone(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|push| {
        let too_often = push.token.as_str() == "token-1";
        let rest =
            || Outcome::Retry { reason: "TooManyRequests".into(), after: None, scope: RetryScope::Token };
        Answer::Now(if too_often { rest() } else { accepted() })
    });
    let pass = world.issues("a").await;
    world.registers_many(&pass, 10).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("pending", 1), ("sent", 9)]).await;
    // What comes meanwhile waits as well, also what is urgent.
    let mut urgent = world.changes(&pass, "2").await;
    urgent.urgent = true;
    process.post.says(&urgent);
    world.ends_with(&[("pending", 2), ("sent", 18)]).await;
    assert_eq!(apns.by_token()["token-1"], 1);
    apns.answers(|_| Answer::Now(accepted()));
    world.time.passes(Duration::from_secs(6));
    world.ends_with(&[("sent", 19), ("superseded", 1)]).await;
    assert_eq!(apns.by_token()["token-1"], 2);
    process.stops().await;
}

async fn what_fails_too_often_is_given_up(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Now(unavailable(None)));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 1).await;
    let mut setup = Setup::of(&world, &apns);
    setup.settings.retry_attempts = 3;
    let process = setup.starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    for requests in 1..=3 {
        apns.gets(requests).await;
        eventually("it is noted", async || world.last(&pass).await[0].attempts == requests as u64).await;
        world.time.passes(Duration::from_mins(2));
    }
    world.ends_with(&[("failed", 1)]).await;
    assert_eq!(world.last(&pass).await[0].last_error.as_deref(), Some("ServiceUnavailable"));
    assert_eq!(world.ledger.figures().await.unwrap().oldest_due_ms, None, "nothing is due any more");
    process.stops().await;
}

async fn an_answer_that_nobody_has_heard_of_ends_it(engine: Engine) {
    let world = World::new(engine).await;
    let apns =
        FakeApns::that_answers(|_| Answer::Now(Outcome::Refused { reason: "Unheard\u{0}Of".repeat(50) }));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 1).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("failed", 1)]).await;
    let last = &world.last(&pass).await[0];
    assert!(last.last_error.as_ref().unwrap().starts_with("Unheard\u{fffd}Of"));
    assert_eq!((last.last_error.as_ref().unwrap().chars().count(), last.attempts), (200, 1));
    process.stops().await;
}
