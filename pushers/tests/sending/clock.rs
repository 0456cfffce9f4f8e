//! A clock that is set, back or forward: no phone waits until it has caught up, none is pushed to twice, and nothing is forgotten.

use std::time::Duration;

use honoken_pushers::outcome::{Outcome, RetryScope};

use crate::fake_apns::{Answer, FakeApns, accepted, unavailable};
use crate::world::{Engine, Setup, World, eventually, fans_out, on_both_engines};

on_both_engines![
    a_clock_that_is_set_back_does_not_prolong_a_window,
    a_window_that_was_noted_by_a_clock_that_was_ahead_is_no_longer_after_a_restart,
    a_clock_that_is_set_back_does_not_prolong_an_outage,
    what_was_put_back_by_a_clock_that_was_ahead_is_due_within_an_hour_after_a_restart,
    a_clock_that_is_set_back_does_not_prolong_the_rest_of_a_phone_beyond_an_hour,
    a_parked_credential_is_tried_as_soon_after_the_clock_was_set_back,
    a_clock_that_goes_forward_and_back_leaves_nothing_behind,
    a_clock_that_is_far_ahead_at_the_start_has_nothing_forgotten,
];

const WINDOW: Duration = Duration::from_secs(30);

/// Three hours, as after a change of a time zone that was none of the clock's business.
const HOURS_MS: i64 = 3 * 3600 * 1000;

/// Waits until no phone is due later than so long from now.
///
/// The sender looks once a second, and once more every ten seconds by the steady clock. The second look is what finds a phone that something
/// else was writing at the first, and a clock that went forward and back between two looks. It comes here after two seconds of waiting.
async fn all_are_due_within(world: &World, limit: Duration) {
    let mut asked = 0;
    eventually("no phone is due too late", async || {
        asked += 1;
        if asked == 100 || asked == 200 {
            world.time.passes(Duration::from_secs(10));
        }
        let latest = world.now() + i64::try_from(limit.as_millis()).unwrap();
        let later = format!("select 'later', count(*) from wake where due_at > {latest}");
        world.asks_ledger(&later).await["later"] == 0
    })
    .await;
}

/// Waits until so many phones wait for something.
async fn all_wait(world: &World, phones: i64) {
    let waiting =
        format!("select 'n', count(*) from wake where claimed_by is null and due_at > {}", world.now());
    eventually("all wait", async || world.asks_ledger(&waiting).await["n"] == phones).await;
}

async fn a_clock_that_is_set_back_does_not_prolong_a_window(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 5).await;
    let mut setup = Setup::of(&world, &apns);
    setup.settings.window = WINDOW;
    let process = setup.starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("sent", 5)]).await;
    world.time.is_set_by(-HOURS_MS);
    process.post.says(&world.changes(&pass, "2").await);
    process.post.is_done(2).await;
    all_are_due_within(&world, WINDOW).await;
    assert_eq!(apns.requests(), 5, "the window is not over");
    world.time.passes(WINDOW);
    world.ends_with(&[("sent", 10)]).await;
    assert_eq!(apns.requests(), 10);
    // The next window is one as ever.
    process.post.says(&world.changes(&pass, "3").await);
    process.post.is_done(3).await;
    world.time.passes(WINDOW);
    world.ends_with(&[("sent", 15)]).await;
    process.stops().await;
}

async fn a_window_that_was_noted_by_a_clock_that_was_ahead_is_no_longer_after_a_restart(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 5).await;
    let start = || {
        let mut setup = Setup::of(&world, &apns);
        setup.settings.window = WINDOW;
        setup.starts(&world)
    };
    let process = start();
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("sent", 5)]).await;
    process.stops().await;
    world.time.is_set_by(-HOURS_MS);
    fans_out(&world, &[world.changes(&pass, "2").await]).await;
    let process = start();
    all_are_due_within(&world, WINDOW).await;
    world.time.passes(WINDOW);
    world.ends_with(&[("sent", 10)]).await;
    assert_eq!(apns.requests(), 10);
    process.stops().await;
}

async fn a_clock_that_is_set_back_does_not_prolong_an_outage(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Now(unavailable(None)));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 20).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    apns.gets(1).await;
    all_wait(&world, 20).await;
    world.time.is_set_by(-HOURS_MS);
    apns.answers(|_| Answer::Now(accepted()));
    world.time.passes(Duration::from_secs(20));
    world.ends_with(&[("sent", 20)]).await;
    process.stops().await;
}

async fn what_was_put_back_by_a_clock_that_was_ahead_is_due_within_an_hour_after_a_restart(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Now(unavailable(None)));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 20).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    apns.gets(1).await;
    all_wait(&world, 20).await;
    process.stops().await;
    world.time.is_set_by(-HOURS_MS);
    apns.answers(|_| Answer::Now(accepted()));
    let process = Setup::of(&world, &apns).starts(&world);
    let hour = Duration::from_secs(3601);
    all_are_due_within(&world, hour).await;
    world.time.passes(hour);
    world.ends_with(&[("sent", 20)]).await;
    process.stops().await;
}

async fn a_clock_that_is_set_back_does_not_prolong_the_rest_of_a_phone_beyond_an_hour(engine: Engine) {
    let world = World::new(engine).await;
    let too_often =
        || Outcome::Retry { reason: "TooManyRequests".into(), after: None, scope: RetryScope::Token };
    let apns = FakeApns::that_answers(move |_| Answer::Now(too_often()));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 3).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    apns.gets(3).await;
    all_wait(&world, 3).await;
    world.time.is_set_by(-HOURS_MS);
    apns.answers(|_| Answer::Now(accepted()));
    let hour = Duration::from_secs(3601);
    all_are_due_within(&world, hour).await;
    // Something urgent does not end it either.
    assert_eq!(apns.requests(), 3);
    world.time.passes(hour);
    world.ends_with(&[("sent", 3)]).await;
    process.stops().await;
}

async fn a_parked_credential_is_tried_as_soon_after_the_clock_was_set_back(engine: Engine) {
    let world = World::new(engine).await;
    let refused = || Outcome::Misconfigured { reason: "InvalidProviderToken".into() };
    let apns = FakeApns::that_answers(move |_| Answer::Now(refused()));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 10).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    let parked = async || world.ledger.parked_credentials().await.unwrap();
    eventually("the credential is parked", async || parked().await.len() == 1).await;
    all_wait(&world, 10).await;
    world.time.is_set_by(-HOURS_MS);
    apns.answers(|_| Answer::Now(accepted()));
    let quarter = Duration::from_mins(15);
    let latest = world.now() + 900_000;
    eventually("it is tried within a quarter of an hour", async || parked().await[0].probe_at_ms <= latest)
        .await;
    world.time.passes(quarter);
    world.ends_with(&[("sent", 10)]).await;
    assert!(parked().await.is_empty());
    process.stops().await;
}

async fn a_clock_that_goes_forward_and_back_leaves_nothing_behind(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 5).await;
    let mut setup = Setup::of(&world, &apns);
    setup.settings.window = WINDOW;
    let process = setup.starts(&world);
    world.time.is_set_by(HOURS_MS);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("sent", 5)]).await;
    process.post.says(&world.changes(&pass, "2").await);
    process.post.is_done(2).await;
    world.time.is_set_by(-HOURS_MS);
    all_are_due_within(&world, WINDOW).await;
    world.time.passes(WINDOW);
    world.ends_with(&[("sent", 10)]).await;
    assert!(apns.by_token().values().all(|pushes| *pushes == 2), "{:?}", apns.by_token());
    process.stops().await;
}

async fn a_clock_that_is_far_ahead_at_the_start_has_nothing_forgotten(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let (a, b) = (world.issues("a").await, world.issues("b").await);
    world.registers_many(&a, 5).await;
    world.registers("another", &b, "another").await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&a, "1").await);
    world.ends_with(&[("sent", 5)]).await;
    process.stops().await;
    world.time.is_set_by(60 * 24 * 3600 * 1000);
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&b, "1").await);
    world.ends_with(&[("sent", 6)]).await;
    process.stops().await;
    assert_eq!(world.last(&a).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_process_is_noticed_by_a_server_whose_clock_was_set_back() {
    let world = World::new(Engine::Postgres).await;
    let stuck = FakeApns::that_answers(|_| Answer::Later(accepted()));
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 40).await;
    let first = Setup::of(&world, &stuck).starts(&world);
    first.post.says(&world.changes(&pass, "1").await);
    stuck.gets(2).await;
    first.dies().await;
    world.tells_ledger("update sender set alive_until = alive_until + interval '3 hours'").await;
    let mut setup = Setup::of(&world, &apns);
    setup.ledger = world.opens_ledger().await;
    let second = setup.starts(&world);
    world.ends_with(&[("sent", 40)]).await;
    assert_eq!(apns.requests(), 40);
    second.stops().await;
}

/// As if the clock of the server went forward. The lock is waited for before a statement reads: one that had read before this update, and waited
/// for its row, would know a time of before the change and write one of after it, which no clock does.
const SET_FORWARD: &str = "do $$ begin
    lock table sender in access exclusive mode;
    update sender set alive_until = alive_until - interval '3 hours';
end $$";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_living_process_keeps_its_phones_when_the_clock_of_the_server_is_set_forward() {
    let world = World::new(Engine::Postgres).await;
    let slow = FakeApns::that_answers(|_| Answer::Later(accepted()));
    let other = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 40).await;
    let first = Setup::of(&world, &slow).starts(&world);
    first.post.says(&world.changes(&pass, "1").await);
    slow.gets(2).await;
    let mut setup = Setup::of(&world, &other);
    setup.ledger = world.opens_ledger().await;
    let second = setup.starts(&world);
    // Each time just after the first has said that it is alive, so that the second is the next to look.
    let alive = "select 'n', count(*) from sender
                 where alive_until > clock_timestamp() and sender in (select claimed_by from wake)";
    for _ in 0..4 {
        eventually("the first is alive", async || world.asks_ledger(alive).await["n"] == 1).await;
        world.tells_ledger(SET_FORWARD).await;
    }
    eventually("the first is alive", async || world.asks_ledger(alive).await["n"] == 1).await;
    assert_eq!(other.requests(), 0, "what the first is at is not free");
    slow.lets_go();
    world.ends_with(&[("sent", 40)]).await;
    assert_eq!((slow.requests(), other.requests()), (40, 0));
    first.stops().await;
    second.stops().await;
}
