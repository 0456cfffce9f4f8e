//! How long a way rests: never longer than the documents say, whenever APNs is back.

use std::time::Duration;

use crate::fake_apns::{Answer, FakeApns, accepted, unavailable};
use crate::world::{Engine, Setup, World, eventually, on_both_engines};

on_both_engines![
    after_an_outage_of_any_length_all_phones_are_pushed_to_within_twenty_seconds,
    a_push_that_hung_while_apns_came_back_is_followed_by_a_short_rest,
];

/// As `docs/pushing.md` says.
const LONGEST: Duration = Duration::from_secs(20);

/// Waits until so many phones wait for APNs to be back, none of them for longer than is said.
async fn all_wait(world: &World, phones: i64) {
    let (now, latest) = (world.now(), world.now() + 20_000);
    let waiting = format!(
        "select 'n', count(*) from wake where claimed_by is null and due_at > {now} and due_at <= {latest}"
    );
    eventually("all wait", async || world.asks_ledger(&waiting).await["n"] == phones).await;
}

/// A rest is made a little shorter by chance: so many in a row leave nothing to it.
async fn after_an_outage_of_any_length_all_phones_are_pushed_to_within_twenty_seconds(engine: Engine) {
    const PHONES: i64 = 50;
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Now(unavailable(None)));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 50).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    apns.gets(1).await;
    for _ in 0..15 {
        all_wait(&world, PHONES).await;
        let requests = apns.requests();
        world.time.passes(LONGEST);
        apns.gets(requests + 1).await;
    }
    // APNs is back in the worst moment: it has just refused again.
    all_wait(&world, PHONES).await;
    apns.answers(|_| Answer::Now(accepted()));
    world.time.passes(LONGEST);
    world.ends_with(&[("sent", PHONES)]).await;
    process.stops().await;
}

async fn a_push_that_hung_while_apns_came_back_is_followed_by_a_short_rest(engine: Engine) {
    const PHONES: i64 = 50;
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Now(unavailable(None)));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 50).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    apns.gets(1).await;
    for _ in 0..6 {
        all_wait(&world, PHONES).await;
        let requests = apns.requests();
        world.time.passes(LONGEST);
        apns.gets(requests + 1).await;
    }
    all_wait(&world, PHONES).await;
    apns.answers(|_| Answer::Later(unavailable(None)));
    let requests = apns.requests();
    world.time.passes(LONGEST);
    apns.gets(requests + 1).await;
    // It is given up after twenty seconds, and meanwhile APNs is back.
    world.time.passes(LONGEST);
    apns.answers(|_| Answer::Now(accepted()));
    apns.lets_go();
    let (now, soon) = (world.now(), world.now() + 2_000);
    let due = format!(
        "select 'n', count(*) from wake where claimed_by is null and due_at > {now} and due_at <= {soon}"
    );
    eventually("it rests for a second", async || world.asks_ledger(&due).await["n"] > 0).await;
    world.time.passes(Duration::from_secs(2));
    world.ends_with(&[("sent", PHONES)]).await;
    process.stops().await;
}
