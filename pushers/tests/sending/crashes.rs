//! Processes that end in the middle, and what the next one finds.

use std::time::Duration;

use honoken_pushers::subscriber::Settings;
use honoken_pushers::subscriber::fan_out::FanOut;
use tokio_util::sync::CancellationToken;

use crate::fake_apns::{Answer, FakeApns, FakeIds, accepted};
use crate::world::{Engine, Setup, TestFeed, World, eventually, on_both_engines};

on_both_engines![
    a_crash_between_the_ledger_and_the_end_of_a_message_wakes_nobody_twice,
    a_crash_between_the_answer_and_its_note_pushes_once_more,
    a_crash_in_the_middle_of_a_thousand_loses_nobody,
    what_was_sent_is_answered_and_noted_before_the_end,
];

async fn a_crash_between_the_ledger_and_the_end_of_a_message_wakes_nobody_twice(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 20).await;
    let message = world.changes(&pass, "1").await;
    let (feed, post) = TestFeed::deaf();
    let settings = Settings::default();
    let (ledger, read_model) = (world.ledger.clone(), world.read_model.clone());
    let fan_out =
        FanOut::new(ledger, read_model, feed, world.time.clone(), std::sync::Arc::new(FakeIds), settings);
    let task = tokio::spawn(fan_out.run(CancellationToken::new()));
    post.says(&message);
    world.ends_with(&[("pending", 20)]).await;
    task.abort();

    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&message);
    process.post.is_done(1).await;
    world.ends_with(&[("sent", 20)]).await;
    process.stops().await;
    assert_eq!(apns.requests(), 20);
}

/// One that was killed gives its claims back: a file when it is opened, a server when its time is over.
async fn restarts(world: &World, apns: &std::sync::Arc<FakeApns>) -> crate::world::Process {
    let mut setup = Setup::of(world, apns);
    setup.ledger = world.opens_ledger().await;
    setup.starts(world)
}

async fn a_crash_between_the_answer_and_its_note_pushes_once_more(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Later(accepted()));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 2).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    apns.gets(2).await;
    // APNs has it, and nobody will hear of it.
    process.dies().await;
    apns.answers(|_| Answer::Now(accepted()));
    let process = restarts(&world, &apns).await;
    world.ends_with(&[("sent", 2)]).await;
    process.stops().await;
    assert!(apns.by_token().values().all(|pushes| *pushes == 2), "{:?}", apns.by_token());
    let ids = apns.apns_ids();
    assert_eq!(
        ids.iter().collect::<std::collections::BTreeSet<_>>().len(),
        2,
        "one id for all attempts: {ids:?}"
    );
}

/// Pushes in flight at the most.
const IN_FLIGHT: usize = 200;

/// How long results may wait to be noted before they count as pushes in flight, and as much again for a machine that does other work.
const MOMENT: Duration = Duration::from_millis(100);

async fn a_crash_in_the_middle_of_a_thousand_loses_nobody(engine: Engine) {
    const PHONES: usize = 1000;
    let world = World::new(engine).await;
    let mut answered = 0;
    let apns = FakeApns::that_answers(move |_| {
        answered += 1;
        if answered < PHONES / 3 { Answer::Now(accepted()) } else { Answer::Later(accepted()) }
    });
    let pass = world.issues("a").await;
    world.registers_many(&pass, PHONES).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    apns.gets(PHONES / 3).await;
    process.dies().await;
    apns.answers(|_| Answer::Now(accepted()));
    let process = restarts(&world, &apns).await;
    world.ends_with(&[("sent", PHONES.try_into().unwrap())]).await;
    process.stops().await;
    let by_token = apns.by_token();
    assert_eq!(by_token.len(), PHONES);
    assert!(by_token.values().all(|pushes| *pushes <= 2));
    // Those in flight, and those that were answered within a moment and not noted yet.
    let first = apns.first_pushed();
    let mut twice: Vec<_> =
        by_token.iter().filter(|(_, pushes)| **pushes == 2).map(|(token, _)| first[token]).collect();
    twice.sort_unstable();
    let answered = &twice[..twice.len().saturating_sub(IN_FLIGHT)];
    let moment = answered.last().zip(answered.first()).map_or(Duration::ZERO, |(last, first)| *last - *first);
    assert!(
        moment <= MOMENT,
        "{} were pushed twice; {} of them within {moment:?}",
        twice.len(),
        answered.len()
    );
}

async fn what_was_sent_is_answered_and_noted_before_the_end(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Later(accepted()));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 30).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    apns.gets(2).await;
    let stopping = tokio::spawn(process.stops());
    eventually("what was not sent is given back", async || world.ledger.next_due().await.unwrap().is_some())
        .await;
    apns.lets_go();
    stopping.await.unwrap();
    world.ends_with(&[("pending", 28), ("sent", 2)]).await;
    assert_eq!(apns.requests(), 2);
    let process = Setup::of(&world, &apns).starts(&world);
    world.ends_with(&[("sent", 30)]).await;
    process.stops().await;
    assert_eq!(apns.requests(), 30);
}
