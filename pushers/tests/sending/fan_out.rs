//! From messages to the ledger.

use std::time::Duration;

use honoken_pushers::ledger::operator::RetryError;
use honoken_pushers::ledger::{DeliveryState, ParkedMessage};

use crate::fake_apns::{FakeApns, NotSent};
use crate::world::{Engine, Setup, World, eventually, fans_out, on_both_engines, ticket};

on_both_engines![
    every_phone_is_woken_once_for_a_state,
    a_message_that_comes_again_wakes_nobody_again,
    a_page_that_comes_again_adds_who_has_registered_since,
    a_superseded_message_wakes_nobody,
    devices_with_one_push_token_are_one_phone,
    a_pass_with_more_holders_than_a_page_wakes_them_all,
    a_pass_that_nobody_holds_is_done_all_the_same,
    a_state_that_is_not_shown_yet_is_waited_for,
    what_is_no_message_is_kept_for_an_operator,
    a_parked_message_that_can_be_read_by_now_wakes_the_phones,
    an_operator_wakes_the_phones_without_a_change,
    where_nothing_is_sent_deliveries_say_so,
    old_rows_are_forgotten_and_what_was_woken_is_not,
];

async fn every_phone_is_woken_once_for_a_state(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 3).await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("sent", 3)]).await;
    process.post.says(&world.changes(&pass, "2").await);
    world.ends_with(&[("sent", 6)]).await;
    process.stops().await;
    assert_eq!(apns.by_token(), (0..3).map(|number| (format!("token-{number}"), 2)).collect());

    let last = world.last(&pass).await;
    assert_eq!(last.len(), 6);
    assert!(last.iter().all(|delivery| delivery.attempts == 1 && delivery.last_error.is_none()));
    assert!(last[0].position > last[5].position, "the newest first");
    assert!(last.iter().all(|delivery| apns.apns_ids().contains(delivery.apns_id.as_ref().unwrap())));
    let woken = world.ledger.push_watermarks(std::slice::from_ref(&pass)).await.unwrap();
    assert_eq!(woken[&pass], last[0].position);
}

async fn a_message_that_comes_again_wakes_nobody_again(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 2).await;
    let message = world.changes(&pass, "1").await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&message);
    process.post.says(&message);
    process.post.is_done(2).await;
    world.ends_with(&[("sent", 2)]).await;
    process.post.says(&message);
    process.post.is_done(3).await;
    process.stops().await;
    assert_eq!(apns.requests(), 2);
    assert_eq!(world.states().await.values().sum::<i64>(), 2);
}

async fn a_page_that_comes_again_adds_who_has_registered_since(engine: Engine) {
    const PHONES: usize = 40;
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, PHONES).await;
    let message = world.changes(&pass, "1").await;
    fans_out(&world, std::slice::from_ref(&message)).await;
    world.ends_with(&[("pending", 40)]).await;
    world.registers("late", &pass, "late").await;
    fans_out(&world, std::slice::from_ref(&message)).await;
    world.ends_with(&[("pending", 41)]).await;
    let process = Setup::of(&world, &apns).starts(&world);
    world.ends_with(&[("sent", 41)]).await;
    process.stops().await;
    assert!(apns.by_token().values().all(|pushes| *pushes == 1));
    assert_eq!(apns.requests(), PHONES + 1);
}

async fn a_superseded_message_wakes_nobody(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 1).await;
    let (old, new) = (world.changes(&pass, "1").await, world.changes(&pass, "2").await);
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&old);
    process.post.is_done(1).await;
    assert!(world.states().await.is_empty());
    assert!(
        world.ledger.push_watermarks(std::slice::from_ref(&pass)).await.unwrap().is_empty(),
        "that is for the newer"
    );
    process.post.says(&new);
    world.ends_with(&[("sent", 1)]).await;
    process.stops().await;
}

async fn devices_with_one_push_token_are_one_phone(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    let other = world.issues("b").await;
    // The smallest of the three holds another pass only.
    world.registers("device-0", &other, "token").await;
    world.registers("device-1", &pass, "token").await;
    world.registers("device-2", &pass, "token").await;
    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("sent", 1)]).await;
    process.stops().await;
    assert_eq!(world.last(&pass).await[0].device_library_identifier.as_str(), "device-1");
    assert_eq!(apns.requests(), 1);
}

async fn a_pass_with_more_holders_than_a_page_wakes_them_all(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let (few, many, none) = (world.issues("a").await, world.issues("b").await, world.issues("c").await);
    world.registers_many(&many, 1205).await;
    world.registers("device-few", &few, "token-few").await;
    let messages =
        [world.changes(&few, "1").await, world.changes(&many, "1").await, world.changes(&none, "1").await];
    fans_out(&world, &messages).await;
    world.ends_with(&[("pending", 1206)]).await;
    assert_eq!(world.ledger.push_watermarks(&[few, many, none]).await.unwrap().len(), 3);
    let process = Setup::of(&world, &apns).starts(&world);
    world.ends_with(&[("sent", 1206)]).await;
    process.stops().await;
    assert_eq!(apns.requests(), 1206);
    assert!(apns.by_token().values().all(|pushes| *pushes == 1));
}

async fn a_pass_that_nobody_holds_is_done_all_the_same(engine: Engine) {
    let world = World::new(engine).await;
    let pass = world.issues("a").await;
    let message = world.changes(&pass, "1").await;
    fans_out(&world, std::slice::from_ref(&message)).await;
    let woken = world.ledger.push_watermarks(&[pass.clone(), ticket("unknown")]).await.unwrap();
    assert_eq!((woken.len(), woken[&pass].0), (1, message.position));
}

async fn a_state_that_is_not_shown_yet_is_waited_for(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 1).await;
    let process = Setup::of(&world, &apns).starts(&world);
    let mut early = world.changes(&pass, "1").await;
    // As a process sees it whose read model is behind.
    let shown = (early.etag.clone(), early.position);
    early.etag = honoken_domain::ids::ETag::parse("0".repeat(64)).unwrap();
    early.position += 1_000_000;
    process.post.says(&early);
    process.post.is_done(1).await;
    let again = process.post.again.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(again, 30, "until nobody believes in it");
    (early.etag, early.position) = shown;
    process.post.says(&early);
    world.ends_with(&[("sent", 1)]).await;
    process.stops().await;
}

async fn what_is_no_message_is_kept_for_an_operator(engine: Engine) {
    let world = World::new(engine).await;
    let process = Setup::of(&world, &FakeApns::that_accepts()).starts(&world);
    process.post.posts(Err("{\u{0}: not JSON".into()), 1);
    process.post.hopeless.subscribe().wait_for(|count| *count == 1).await.unwrap();
    let parked = world.ledger.parked_messages(10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].payload, "{\u{fffd}: not JSON", "as far as it can be stored");
    assert_eq!(parked[0].request_id.as_deref(), Some("r-1"));
    assert_eq!(world.ledger.figures().await.unwrap().parked_messages, 1);
    process.stops().await;
}

async fn a_parked_message_that_can_be_read_by_now_wakes_the_phones(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 3).await;
    let process = Setup::of(&world, &apns).starts(&world);
    // As an older release has left it.
    let (outdated, newest) = (world.changes(&pass, "1").await, world.changes(&pass, "2").await);
    for (id, message) in [("outdated", &outdated), ("newest", &newest)] {
        let payload = serde_json::to_string(message).unwrap();
        let (reason, parked_at_ms) = ("a field that is not known".to_owned(), world.now());
        let parked = ParkedMessage { id: id.to_owned(), payload, reason, request_id: None, parked_at_ms };
        world.ledger.park_message(&parked).await.unwrap();
    }
    let retry = async |id| world.ledger.retry_message(&world.read_model, id, world.now()).await;
    retry("outdated").await.unwrap();
    assert!(world.states().await.is_empty(), "the pass is in another state by now");
    retry("newest").await.unwrap();
    world.ends_with(&[("sent", 3)]).await;
    assert_eq!(world.ledger.parked_messages(10).await.unwrap(), []);
    assert!(matches!(retry("newest").await, Err(RetryError::NotParked)));
    process.stops().await;
    assert_eq!(apns.requests(), 3);
}

async fn an_operator_wakes_the_phones_without_a_change(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 3).await;
    let mut setup = Setup::of(&world, &apns);
    setup.settings.window = Duration::from_secs(30);
    let process = setup.starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("sent", 3)]).await;
    let push = |cause: &'static str| {
        let (world, pass) = (&world, &pass);
        async move { world.ledger.push_without_change(&world.read_model, pass, cause, world.now()).await.unwrap() }
    };
    assert_eq!(push("push-1").await, Some(3));
    // In the window of the change: an operator does not wait.
    world.ends_with(&[("sent", 6)]).await;
    assert_eq!(push("push-1").await, Some(3), "the same again");
    assert_eq!(push("push-2").await, Some(3));
    world.ends_with(&[("sent", 9)]).await;
    assert_eq!(apns.requests(), 9);
    let last = world.last(&pass).await;
    assert_eq!((last[0].cause.as_deref(), last[0].urgent), (Some("push-2"), true));
    let unknown =
        world.ledger.push_without_change(&world.read_model, &ticket("unknown"), "x", 0).await.unwrap();
    assert_eq!(unknown, None);
    process.stops().await;
}

async fn where_nothing_is_sent_deliveries_say_so(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 2).await;
    let Setup { ledger, apns, dead_tokens, settings, .. } = Setup::of(&world, &apns);
    let process = Setup { ledger, apns: apns.clone(), credentials: NotSent.into(), dead_tokens, settings }
        .starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("failed", 2)]).await;
    process.stops().await;
    let last = &world.last(&pass).await[0];
    assert_eq!((last.last_error.as_deref(), last.attempts), (Some("there is no endpoint"), 0));
    assert_eq!((last.state, apns.requests()), (DeliveryState::Failed, 0));
}

async fn old_rows_are_forgotten_and_what_was_woken_is_not(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 1100).await;
    let mut setup = Setup::of(&world, &apns);
    setup.settings.window = Duration::from_secs(30);
    let process = setup.starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("sent", 1100)]).await;
    process.stops().await;
    // What is pending is never forgotten, however old.
    fans_out(&world, &[world.changes(&pass, "2").await]).await;
    world.time.passes(Duration::from_hours(24 * 31));
    let before = world.now() - 30 * 24 * 60 * 60 * 1000;
    assert!(world.ledger.forget_deliveries(before).await.unwrap(), "there are more");
    assert!(!world.ledger.forget_deliveries(before).await.unwrap());
    world.ends_with(&[("pending", 1100)]).await;

    // Sent, outside of a window, a new process cleans up by itself, some time after it has started.
    let process = Setup::of(&world, &apns).starts(&world);
    world.ends_with(&[("sent", 1100)]).await;
    process.stops().await;
    world.time.passes(Duration::from_hours(24 * 31));
    let mut setup = Setup::of(&world, &apns);
    setup.settings.clean_up = Duration::from_millis(50);
    let process = setup.starts(&world);
    world.ends_with(&[]).await;
    let phones = async || world.asks_ledger("select 'wakes', count(*) from wake").await["wakes"] == 0;
    eventually("phones are forgotten", phones).await;
    process.stops().await;
    assert_eq!(world.ledger.push_watermarks(&[pass]).await.unwrap().len(), 1);
}
