//! Provider tokens: few, shared, and made anew only when that helps.

use std::collections::BTreeSet;
use std::sync::Arc;

use honoken_pushers::apns::ApnsClient;
use honoken_pushers::outcome::{Outcome, RetryScope};
use honoken_pushers::ports::Apns as _;
use honoken_simulator::apns::{Answer, Received, Rule, SingleStream};

use crate::harness::{World, apns_key, assert_accepted, options_for, push};

fn tokens(received: &[Received]) -> BTreeSet<String> {
    received.iter().map(|received| received.provider_token().expect("a token").to_owned()).collect()
}

#[tokio::test]
async fn a_burst_shares_one_token() {
    let world = World::new();
    assert_accepted(&world.wake_many(300).await);
    assert_eq!(tokens(&world.apns.received()).len(), 1);
}

/// The fake refuses tokens that are over an hour old, and new ones that come within 20 minutes.
#[tokio::test]
async fn in_a_day_a_token_is_replaced_every_half_hour_and_never_refused() {
    let world = World::new();
    for _ in 0..24 * 12 {
        assert_accepted(&[world.wake("aa").await]);
        world.clock.advance(5 * 60);
    }
    let count = tokens(&world.apns.received()).len();
    assert!((24..=49).contains(&count), "{count} tokens");
    assert_eq!(world.apns.connections().len(), 1);
}

#[tokio::test]
async fn processes_that_share_a_key_do_not_make_too_many() {
    let world = World::new();
    for minutes in [0, 7, 19, 31, 44, 58] {
        world.clock.advance(minutes * 60);
        let another = ApnsClient::new(options_for(&world.apns), Arc::new(world.clock.clone())).unwrap();
        assert_accepted(&[another.push(&world.credential, &push("aa")).await, world.wake("bb").await]);
    }
}

#[tokio::test]
async fn a_token_that_is_over_is_made_anew_once_for_all_pushes() {
    let world = World::new();
    assert_accepted(&[world.wake("aa").await]);
    world.apns.hold();
    world.apns.answer(Rule::next(100, Answer::refused(403, "ExpiredProviderToken")));
    let released = async {
        world.apns.wait_for(101).await;
        world.apns.release();
    };
    let (outcomes, ()) = tokio::join!(world.wake_many(100), released);
    assert_accepted(&outcomes);
    assert_eq!(world.apns.count(), 201);
    assert_eq!(tokens(&world.apns.received()).len(), 2);
    world.assert_well_behaved();
}

#[tokio::test]
async fn a_token_that_is_refused_as_wrong_is_signed_again_once() {
    let world = World::new();
    world.apns.answer(Rule::next(1, Answer::refused(403, "InvalidProviderToken")));
    assert_accepted(&[world.wake("aa").await]);
    assert_eq!(tokens(&world.apns.received()).len(), 2);
    world.apns.answer(Rule::always(Answer::refused(403, "InvalidProviderToken")));
    let outcome = world.wake("aa").await;
    assert_eq!(outcome, Outcome::Misconfigured { reason: "InvalidProviderToken".to_owned() });
    assert_eq!(world.apns.count(), 3, "not signed a third time within 20 minutes");
}

#[tokio::test]
async fn a_key_that_apple_does_not_know_is_the_operators_business() {
    let world = World::new();
    let (stranger, _) = apns_key("KEY7654321");
    let outcome = world.client.push(&stranger, &push("aa")).await;
    assert_eq!(outcome, Outcome::Misconfigured { reason: "InvalidProviderToken".to_owned() });
    assert_accepted(&[world.wake("aa").await]);
}

#[tokio::test]
async fn a_key_that_is_unrelated_to_the_connection_gets_another() {
    let world = World::new();
    assert_accepted(&[world.wake("aa").await]);
    world.apns.answer(Rule::next(1, Answer::refused(403, "UnrelatedKeyIdInToken")));
    assert_accepted(&[world.wake("aa").await]);
    let connections: Vec<u64> = world.apns.received().iter().map(|received| received.connection).collect();
    assert_eq!(connections, [1, 1, 2]);
}

#[tokio::test]
async fn when_apple_has_seen_too_many_tokens_the_one_before_is_used_again() {
    let world = World::new();
    // So that the first token is as young as one can be.
    world.clock.advance(5 * 60);
    assert_accepted(&[world.wake("aa").await]);
    world.clock.advance(50 * 60 + 60);
    world.apns.answer(Rule::next(1, Answer::refused(429, "TooManyProviderTokenUpdates")));
    assert_accepted(&[world.wake("aa").await]);
    let received = world.apns.received();
    assert_eq!(received[0].provider_token(), received[2].provider_token());
    assert_ne!(received[0].provider_token(), received[1].provider_token());
    assert_ne!(received[1].connection, received[2].connection, "Apple refuses everything there for a while");
    world.clock.advance(10 * 60);
    let outcome = world.wake("aa").await;
    let Outcome::Retry { after: Some(after), scope: RetryScope::Credential, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(after.as_secs(), 10 * 60, "no token is made before 20 minutes have passed");
    world.clock.advance(10 * 60);
    assert_accepted(&[world.wake("aa").await]);
}

#[tokio::test]
async fn a_connection_has_one_stream_until_its_first_answer() {
    for single_stream in [SingleStream::Announced, SingleStream::Expected] {
        let world = World::with(|server| server.single_stream = single_stream, |_| {});
        world.apns.hold();
        let released = async {
            world.apns.wait_for(1).await;
            world.apns.release();
        };
        let (outcomes, ()) = tokio::join!(world.wake_many(100), released);
        assert_accepted(&outcomes);
        world.assert_well_behaved();
        world.assert_each_woken_once(100);
    }
}

/// An answer that shows nothing about the token does not open the connection to many.
#[tokio::test]
async fn a_server_that_fails_has_not_taken_the_token() {
    let world = World::with(|server| server.single_stream = SingleStream::Expected, |_| {});
    world.apns.answer(Rule::next(3, Answer::refused(503, "ServiceUnavailable")));
    let outcomes = world.wake_many(20).await;
    assert_accepted(&outcomes[3..]);
    assert_eq!(world.apns.connections().len(), 1);
    let streams: Vec<u32> = world.apns.received().iter().map(|received| received.stream).collect();
    assert_eq!(streams.len(), 20);
}
