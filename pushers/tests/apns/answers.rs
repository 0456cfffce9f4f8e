//! What each answer leads to.

use std::time::Duration;

use honoken_pushers::outcome::{Outcome, RetryScope};
use honoken_simulator::apns::{Answer, REFUSALS, Rule};

use crate::harness::{TOPIC, World, assert_accepted};

fn retry(reason: &str, scope: RetryScope) -> Outcome {
    Outcome::Retry { reason: reason.to_owned(), after: None, scope }
}

fn misconfigured(reason: &str) -> Outcome {
    Outcome::Misconfigured { reason: reason.to_owned() }
}

fn refused(reason: &str) -> Outcome {
    Outcome::Refused { reason: reason.to_owned() }
}

fn dead(reason: &str, certain: bool) -> Outcome {
    Outcome::TokenDead { reason: reason.to_owned(), since_ms: None, certain }
}

#[tokio::test]
async fn a_push_is_what_apple_asks_for() {
    let world = World::new();
    let outcome = world.wake("0a1b2c").await;
    let apns_id = "0f0e1d2c-0000-4000-8000-000000000001";
    assert_eq!(outcome, Outcome::Accepted { apns_id: Some(apns_id.to_owned()) });
    let received = &world.apns.wait_for(1).await[0];
    assert_eq!(received.token, "0a1b2c");
    assert_eq!(&received.body[..], b"{}");
    assert_eq!(received.topic(), TOPIC);
    assert_eq!(received.header("apns-push-type"), Some("background"));
    assert_eq!(received.header("apns-priority"), Some("5"));
    assert_eq!(received.apns_id(), Some(apns_id));
    let expires: i64 = received.header("apns-expiration").unwrap().parse().unwrap();
    assert!(expires > world.clock.now() + 6 * 86_400, "{expires}");
    assert!(received.provider_token().is_some());
    world.assert_well_behaved();
}

/// What is tried again at once is answered the same way each time.
#[tokio::test]
async fn every_reason_that_apple_documents_leads_to_its_outcome() {
    for (status, reason) in REFUSALS {
        let world = World::new();
        assert_accepted(&[world.wake("aa").await]);
        world.apns.answer(Rule::always(Answer::refused(status, reason)));
        let expected = match reason {
            "BadDeviceToken" | "DeviceTokenNotForTopic" => dead(reason, false),
            "Unregistered" | "ExpiredToken" => dead(reason, true),
            "BadTopic"
            | "TopicDisallowed"
            | "BadCertificate"
            | "BadCertificateEnvironment"
            | "BadEnvironmentKeyIdInToken"
            | "BadEnvironmentKeyInToken"
            | "Forbidden"
            | "MissingProviderToken"
            | "ExpiredProviderToken"
            | "InvalidProviderToken" => misconfigured(reason),
            "TooManyProviderTokenUpdates" => {
                let after = Some(Duration::from_mins(20));
                Outcome::Retry { reason: reason.to_owned(), after, scope: RetryScope::Credential }
            }
            "TooManyRequests" => retry(reason, RetryScope::Token),
            "IdleTimeout"
            | "UnrelatedKeyIdInToken"
            | "InternalServerError"
            | "ServiceUnavailable"
            | "Shutdown" => retry(reason, RetryScope::Credential),
            "BadCollapseId" | "BadExpirationDate" | "BadMessageId" | "BadPriority" | "DuplicateHeaders"
            | "InvalidPushType" | "MissingDeviceToken" | "MissingTopic" | "PayloadEmpty"
            | "PayloadTooLarge" | "BadPath" | "MethodNotAllowed" => refused(reason),
            unexpected => panic!("say here what {unexpected} leads to"),
        };
        assert_eq!(world.wake("aa").await, expected, "{status} {reason}");
        let tried_at_once = matches!(
            reason,
            "ExpiredProviderToken"
                | "InvalidProviderToken"
                | "IdleTimeout"
                | "UnrelatedKeyIdInToken"
                | "Shutdown"
        );
        assert_eq!(world.apns.count(), if tried_at_once { 3 } else { 2 }, "{status} {reason}");
        world.assert_well_behaved();
    }
}

#[tokio::test]
async fn a_reason_never_heard_of_survives() {
    let world = World::new();
    let answers = |status, reason: &str| world.apns.answer(Rule::next(1, Answer::refused(status, reason)));
    answers(400, "BadMoonPhase");
    assert_eq!(world.wake("aa").await, refused("BadMoonPhase"));
    answers(403, "BadMoonPhase");
    assert_eq!(world.wake("aa").await, misconfigured("BadMoonPhase"));
    answers(429, "BadMoonPhase");
    assert_eq!(world.wake("aa").await, retry("BadMoonPhase", RetryScope::Token));
    answers(599, "BadMoonPhase");
    assert_eq!(world.wake("aa").await, retry("BadMoonPhase", RetryScope::Credential));
    answers(400, &format!("\u{7}{}", "x".repeat(500)));
    assert_eq!(world.wake("aa").await, refused(&format!(" {}", "x".repeat(63))));
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_decided_by_its_status() {
    let world = World::new();
    for body in ["", "<html>", "[]", "{\"reason\": 7}", "{\"timestamp\": \"x\"}", "\u{0}"] {
        world.apns.answer(Rule::next(1, Answer::refused(503, "").body(body)));
        let expected = retry("status 503 without a reason", RetryScope::Credential);
        assert_eq!(world.wake("aa").await, expected, "{body}");
    }
    world.apns.answer(Rule::next(1, Answer::refused(410, "").body("x".repeat(15_000))));
    assert_eq!(world.wake("aa").await, dead("status 410 without a reason", true));
    world.apns.answer(Rule::next(1, Answer::accepted().body("hello")));
    assert_accepted(&[world.wake("aa").await]);
    assert_accepted(&world.wake_many(50).await);
    world.assert_well_behaved();
}

#[tokio::test]
async fn a_dead_token_is_told_with_its_time() {
    let world = World::new();
    for (reason, since) in [("Unregistered", 1_508_249_865_488), ("ExpiredToken", 1_508_249_865_489)] {
        world.apns.answer(Rule::next(1, Answer::dead(reason, since)));
        let expected = Outcome::TokenDead { reason: reason.to_owned(), since_ms: Some(since), certain: true };
        assert_eq!(world.wake("aa").await, expected);
    }
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    let world = World::new();
    let asked = |value: &str| {
        let answer = Answer::refused(503, "ServiceUnavailable").header("retry-after", value);
        world.apns.answer(Rule::next(1, answer));
    };
    let expected = |seconds| Outcome::Retry {
        reason: "ServiceUnavailable".to_owned(),
        after: Some(Duration::from_secs(seconds)),
        scope: RetryScope::Credential,
    };
    asked("17");
    assert_eq!(world.wake("aa").await, expected(17));
    asked("Tue, 14 Nov 2023 22:30:05 GMT");
    assert_eq!(world.wake("aa").await, expected(5));
    asked("1000000");
    assert_eq!(world.wake("aa").await, expected(3600));
}

#[tokio::test]
async fn a_token_that_is_no_apple_token_is_left_to_apple() {
    let world = World::new();
    assert_eq!(world.wake("fcm:not/hex").await, dead("BadDeviceToken", false));
}
