//! The process dies at the worst moments: every phone is woken all the same, and `sent` is noted once.

use std::fs;
use std::time::Duration;

use honoken_simulator::apns::FakeApns;
use honoken_tests::Engine;
use honoken_tests::fleet::Fleet;

use super::{Cast, Stage, all};

/// Pushes that one process has on their way at the most.
const AT_WORK: usize = 200;

/// Pushes that are sent before APNs has answered the first.
const IN_THE_DARK: u64 = 2;

/// Each was woken, and only those whose answer was lost were woken twice.
#[track_caller]
fn assert_woken_with_few_repetitions(apns: &FakeApns, fleet: &Fleet, deaths: usize) {
    let wakes = apns.wakes();
    let mut repeated = 0;
    for token in fleet.push_tokens() {
        let times = wakes.get(&token).copied().unwrap_or_default();
        assert!(times >= 1, "a phone was never woken");
        assert!(times <= 1 + deaths, "a phone was woken {times} times");
        repeated += times - 1;
    }
    assert!(repeated <= AT_WORK * deaths, "{repeated} phones were woken again");
    assert!(apns.violations().is_empty(), "{:?}", apns.violations());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_between_the_push_and_its_answer_wakes_those_phones_again() {
    let Stage { mut honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 20).await;
    apns.hold();
    let change = cast.integrator.moves_to("A-1", "2B").await;
    apns.wait_for(IN_THE_DARK).await;
    honoken.kill().await;
    apns.release();
    honoken.restart().await;
    cast.settles().await;
    assert_woken_with_few_repetitions(&apns, &fleet, 1);
    assert_eq!(apns.count(), 20 + IN_THE_DARK, "those alone whose answer was lost are woken again");
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(20, "sent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_in_the_middle_of_a_thousand_phones_goes_on_behind_them() {
    let Stage { mut honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 1000).await;
    // Slow enough that it is in the middle when it dies.
    apns.latency(Duration::from_millis(100));
    let change = cast.integrator.moves_to("A-1", "2B").await;
    apns.wait_for(450).await;
    honoken.kill().await;
    let before = apns.wakes().len();
    assert!(before < 1000, "all were woken before it died");
    apns.latency(Duration::ZERO);
    honoken.restart().await;
    cast.settles().await;
    assert_woken_with_few_repetitions(&apns, &fleet, 1);
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(1000, "sent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_answered_wakes_phones_however_soon_the_process_dies() {
    let Stage { mut honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 5).await;
    for (death, seat) in (1..).zip(["2", "3", "4", "5"]) {
        let change = cast.integrator.moves_to("A-1", seat).await;
        honoken.kill().await;
        honoken.restart().await;
        cast.settles().await;
        assert_eq!(cast.deliveries("A-1", &change.etag).await, all(5, "sent"), "death {death}");
    }
    let wakes = apns.wakes();
    for token in fleet.push_tokens() {
        let times = wakes.get(&token).copied().unwrap_or_default();
        assert!((4..=8).contains(&times), "a phone was woken {times} times for four states");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_asked_to_end_notes_the_answers_that_are_under_way() {
    let Stage { mut honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 20).await;
    apns.hold();
    let change = cast.integrator.moves_to("A-1", "2B").await;
    apns.wait_for(IN_THE_DARK).await;
    honoken.asks_to_end().await;
    apns.release();
    assert_eq!(honoken.ends().await.code(), Some(0));
    let sent = cast.deliveries("A-1", &change.etag).await.get("sent").copied();
    assert_eq!(sent, usize::try_from(apns.count()).ok(), "what was sent is known");
    honoken.restart().await;
    cast.settles().await;
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(20, "sent"));
    super::assert_each_was_woken(&apns, &fleet, 1);
}

/// The ledger is newer than the log then: what it knows of lost positions must not hide the events that take their places.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_after_the_log_was_restored_wakes_phones() {
    if Engine::leaves_out("a log cannot be restored without the ledger beside it there") {
        return;
    }
    let Stage { mut honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 2).await;
    assert_eq!(honoken.terminate().await.code(), Some(0));
    let log = honoken.home().data_dir().join("events.sqlite");
    let backup = fs::read(&log).expect("the log is there");
    honoken.restart().await;
    for seat in ["2", "3", "4"] {
        cast.integrator.moves_to("A-1", seat).await;
        cast.settles().await;
    }
    super::assert_each_was_woken(&apns, &fleet, 3);

    assert_eq!(honoken.terminate().await.code(), Some(0));
    fs::write(&log, backup).expect("the log can be written");
    let restored = honoken.home().runs(&["log", "restored"]).await;
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    honoken.restart().await;
    let change = cast.integrator.moves_to("A-1", "after").await;
    apns.wait_for(8).await;
    cast.settles().await;
    super::assert_each_was_woken(&apns, &fleet, 4);
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(2, "sent"));
}
