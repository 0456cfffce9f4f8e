//! What APNs answers, and what becomes of the phones.

use honoken_simulator::apns::{Answer, FakeApns, Rule};
use honoken_tests::device::{device, push_token};
use honoken_tests::waiting::{PATIENCE, eventually};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Backstage, Cast, Stage, all, assert_each_was_woken};

/// Later than any registration, Unix milliseconds.
const LATER: i64 = 4_102_444_800_000;

/// The last delivery of a pass with only one phone.
async fn last(cast: &Cast) -> Value {
    cast.shown("A-1").await.into_iter().next().expect("a delivery")
}

/// A phone that holds a pass is woken after this went wrong for a while; how often it was tried.
async fn wakes_in_spite_of(apns: &FakeApns, cast: &Cast, seat: &str, rules: Vec<Rule>) -> u64 {
    for rule in rules {
        apns.answer(rule);
    }
    let woken = apns.wakes_of(&push_token(0, 0)).len();
    let change = cast.integrator.moves_to("A-1", seat).await;
    apns.wait_until("the phone is woken", |apns| apns.wakes_of(&push_token(0, 0)).len() > woken).await;
    cast.settles().await;
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(1, "sent"));
    assert_eq!(apns.wakes_of(&push_token(0, 0)).len(), woken + 1);
    last(cast).await["attempts"].as_u64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_after_a_while_wakes_the_phone_then() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    cast.has_phones("A-1", 1).await;
    for (status, reason, times) in [
        (500, "InternalServerError", 3),
        (503, "ServiceUnavailable", 3),
        // Another connection is asked at once.
        (503, "Shutdown", 2),
        (599, "NeverHeardOf", 3),
    ] {
        let rules = vec![Rule::next(2, Answer::refused(status, reason))];
        let attempts = wakes_in_spite_of(&apns, &cast, reason, rules).await;
        assert_eq!(attempts, times, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_apns_asks_to_spare_rests_and_others_do_not() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 3).await;
    apns.answer(Rule::next(1, Answer::refused(429, "TooManyRequests")).for_token(&push_token(0, 0)));
    let change = cast.integrator.moves_to("A-1", "2B").await;
    apns.wait_until("the others are woken", |apns| apns.wakes().len() == 2).await;
    assert!(apns.wakes_of(&push_token(0, 0)).is_empty());
    apns.wait_for(4).await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 1);
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(3, "sent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_end_lose_no_wake_up() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 50).await;
    // Without an answer nobody knows who was woken.
    apns.answer(Rule::next(3, Answer::close()).behind(5).every(10));
    let change = cast.integrator.moves_to("A-1", "2B").await;
    apns.wait_until("all are woken", |apns| apns.wakes().len() == 50).await;
    cast.settles().await;
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(50, "sent"));
    apns.answer_normally();
    apns.forget_received();

    // What was not worked on is sent on another connection, once.
    apns.hold();
    let change = cast.integrator.moves_to("A-1", "3C").await;
    apns.wait_until("some are on their way", |apns| apns.received().len() >= 2).await;
    apns.go_away("Shutdown", 1);
    apns.release();
    apns.wait_until("all are woken", |apns| apns.wakes().len() == 50).await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 1);
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(50, "sent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_gone_is_forgotten_and_may_come_back() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (pass, _) = cast.has_phones("A-1", 2).await;
    let gone = apns.answer(Rule::always(Answer::unregistered(LATER)).for_token(&push_token(0, 0)));
    let change = cast.integrator.moves_to("A-1", "2B").await;
    apns.wait_for(2).await;
    eventually(PATIENCE, "the phone is forgotten", async || {
        (cast.registrations("A-1").await == 1).then_some(())
    })
    .await;
    cast.settles().await;
    let states = cast.deliveries("A-1", &change.etag).await;
    assert_eq!((states.get("dead"), states.get("sent")), (Some(&1), Some(&1)), "{states:?}");
    let history = cast.integrator.history("A-1", "").await;
    history.assert_status(StatusCode::OK);
    cast.integrator.moves_to("A-1", "3C").await;
    apns.wait_for(3).await;
    cast.settles().await;
    assert_eq!(apns.count(), 3, "nobody asks for it any more");

    apns.forget(gone);
    cast.devices.register(&device(0), &push_token(0, 0), &pass).await.assert_status(StatusCode::CREATED);
    cast.integrator.moves_to("A-1", "4D").await;
    apns.wait_for(5).await;
    cast.settles().await;
    assert_eq!(apns.wakes_of(&push_token(0, 0)).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_has_registered_since_is_kept() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    cast.has_phones("A-1", 1).await;
    // APNs speaks of the time before: what it knows by now is asked at once.
    let long_ago = vec![Rule::next(1, Answer::unregistered(1_000))];
    assert_eq!(wakes_in_spite_of(&apns, &cast, "2B", long_ago).await, 2);
    assert_eq!(cast.registrations("A-1").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_that_nobody_has_heard_of_ends_the_delivery_and_nothing_else() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    cast.has_phones("A-1", 1).await;
    apns.answer(Rule::next(1, Answer::refused(400, "SomethingQuiteNew")));
    let change = cast.integrator.moves_to("A-1", "2B").await;
    apns.wait_for(1).await;
    cast.settles().await;
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(1, "failed"));
    let delivery = last(&cast).await;
    assert!(delivery["lastError"].as_str().expect("why").contains("SomethingQuiteNew"), "{delivery}");
    assert_eq!(wakes_in_spite_of(&apns, &cast, "3C", Vec::new()).await, 1);
    assert_eq!(cast.registrations("A-1").await, 1);
}

/// Waits until a credential is parked.
async fn parks(cast: &Cast) -> Value {
    eventually(PATIENCE, "the credential is parked", async || {
        let pushing = cast.pushing().await;
        let parked = pushing["parkedCredentials"].as_array().expect("a list").first().cloned();
        parked.filter(|_| pushing["deliveries"]["pending"] != 0)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_apns_refuses_is_parked_and_every_phone_is_woken_when_it_is_tried_again() {
    let stage = Backstage::new().await;
    let serving = stage.serve("serve").start().await;
    let cast = Cast::of(&serving.as_known(stage.home.ready()), stage.home.storage());
    let (_, fleet) = cast.has_phones("A-1", 10).await;
    stage.apns.answer(Rule::always(Answer::refused(400, "TopicDisallowed")));
    let change = cast.integrator.moves_to("A-1", "2B").await;
    let parked = parks(&cast).await;
    assert!(parked["reason"].as_str().expect("why").contains("TopicDisallowed"), "{parked}");
    assert_eq!(parked["passTypeIdentifier"], cast.integrator.pass_type_identifier());
    assert_eq!(cast.registrations("A-1").await, 10);

    stage.apns.answer_normally();
    cast.orders("/admin/pusher/resume", StatusCode::OK).await;
    stage.apns.wait_until("all are woken", |apns| apns.wakes().len() == 10).await;
    cast.settles().await;
    assert_each_was_woken(&stage.apns, &fleet, 1);
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(10, "sent"));
    assert_eq!(cast.pushing().await["parkedCredentials"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_does_not_wipe_the_fleet() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 40).await;
    apns.answer(Rule::always(Answer::refused(400, "BadDeviceToken")));
    let change = cast.integrator.moves_to("A-1", "2B").await;
    parks(&cast).await;
    assert_eq!(cast.registrations("A-1").await, 40);
    apns.answer_normally();
    cast.orders("/admin/pusher/resume", StatusCode::OK).await;
    apns.wait_until("all are woken", |apns| apns.wakes().len() == 40).await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 1);
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(40, "sent"));
    assert_eq!(cast.registrations("A-1").await, 40);
}
