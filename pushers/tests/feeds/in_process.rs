//! Messages straight from the log.

use std::time::Duration;

use honoken_pushers::feed::Feed;
use honoken_pushers::feed::in_process::InProcessFeed;
use honoken_pushers::ledger::{Part, feeds};
use tokio::time::Instant;

use crate::world::{Engine, World, heard, hears, is_silent, lands, next, on_both_engines, soon};

on_both_engines!(
    changes_come_in_order_and_once,
    what_was_not_done_comes_again_after_a_crash,
    a_message_that_is_handed_back_comes_again_and_holds_nobody_up,
    a_message_that_can_never_succeed_does_not_come_again,
    a_message_that_is_dropped_comes_again,
    nothing_comes_while_an_operator_has_paused,
    a_change_is_heard_when_it_can_be_seen,
    a_call_that_is_given_up_loses_nothing,
);

async fn changes_come_in_order_and_once(engine: Engine) {
    let world = World::new(engine, &["A", "B"]).await;
    let first = world.changes("A", "1").await.position.0;
    let second = world.changes("B", "1").await.position.0;
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    assert_eq!(hears(&mut feed, &ledger, 2).await, [("A".to_owned(), first), ("B".to_owned(), second)]);
    let third = world.changes("A", "2").await.position.0;
    assert_eq!(hears(&mut feed, &ledger, 1).await, [("A".to_owned(), third)]);
    is_silent(&mut feed).await;
    assert_eq!(ledger.fed(feeds::IN_PROCESS).await.unwrap(), Some(world.head()));
    let figures = *feed.figures().borrow();
    assert_eq!(
        (figures.leads, figures.position, figures.published, figures.swept),
        (true, world.head(), 3, 0)
    );
    feed.close().await;
    ledger.close().await;

    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    is_silent(&mut feed).await;
}

/// The checkpoint stands before the first that is not done, whatever came behind it is.
async fn what_was_not_done_comes_again_after_a_crash(engine: Engine) {
    let world = World::new(engine, &["A", "B", "C"]).await;
    for serial in ["A", "B", "C"] {
        world.changes(serial, "1").await;
    }
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    let mut taken = soon("messages", feed.next(10)).await.unwrap();
    let all: Vec<_> = taken.iter().map(heard).collect();
    assert_eq!(all.len(), 3);
    for received in taken.drain(1..) {
        lands(&mut feed, &ledger, received).await;
    }
    is_silent(&mut feed).await;
    drop((feed, taken));
    ledger.close().await;

    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    assert_eq!(hears(&mut feed, &ledger, 3).await, all);
    is_silent(&mut feed).await;
}

async fn a_message_that_is_handed_back_comes_again_and_holds_nobody_up(engine: Engine) {
    let world = World::new(engine, &["A", "B"]).await;
    world.changes("A", "1").await;
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    let first = next(&mut feed).await;
    assert_eq!((heard(&first).0.as_str(), first.attempt), ("A", 1));
    let since = Instant::now();
    let rest = Duration::from_millis(400);
    feed.nak(first.receipt, rest).await.unwrap();

    world.changes("B", "1").await;
    assert_eq!(hears(&mut feed, &ledger, 1).await[0].0, "B");
    let again = next(&mut feed).await;
    assert_eq!((heard(&again).0.as_str(), again.attempt), ("A", 2));
    assert!(since.elapsed() >= rest, "{:?}", since.elapsed());
    feed.in_progress(&again.receipt).await.unwrap();
    lands(&mut feed, &ledger, again).await;
    is_silent(&mut feed).await;
    assert_eq!(ledger.fed(feeds::IN_PROCESS).await.unwrap(), Some(world.head()));
}

async fn a_message_that_can_never_succeed_does_not_come_again(engine: Engine) {
    let world = World::new(engine, &["A"]).await;
    world.changes("A", "1").await;
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    let hopeless = next(&mut feed).await;
    feed.term(hopeless.receipt).await.unwrap();
    is_silent(&mut feed).await;
    assert_eq!(ledger.fed(feeds::IN_PROCESS).await.unwrap(), Some(world.head()));
}

/// Whoever worked on it has failed, and works on.
async fn a_message_that_is_dropped_comes_again(engine: Engine) {
    let world = World::new(engine, &["A", "B"]).await;
    world.changes("A", "1").await;
    world.changes("B", "1").await;
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    let taken = soon("messages", feed.next(10)).await.unwrap();
    let all: Vec<_> = taken.iter().map(heard).collect();
    drop(taken);
    let again = soon("messages", feed.next(10)).await.unwrap();
    assert_eq!(again.iter().map(heard).collect::<Vec<_>>(), all);
    for received in again {
        assert_eq!(received.attempt, 2);
        lands(&mut feed, &ledger, received).await;
    }
    is_silent(&mut feed).await;
    assert_eq!(ledger.fed(feeds::IN_PROCESS).await.unwrap(), Some(world.head()));
}

async fn nothing_comes_while_an_operator_has_paused(engine: Engine) {
    let world = World::new(engine, &["A"]).await;
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    for (part, seat) in [(Part::Relay, "1"), (Part::Pusher, "2")] {
        assert!(ledger.pause(part, "somebody", 1).await.unwrap());
        let position = world.changes("A", seat).await.position.0;
        is_silent(&mut feed).await;
        assert!(ledger.resume(part, 2).await.unwrap());
        assert_eq!(hears(&mut feed, &ledger, 1).await, [("A".to_owned(), position)]);
    }
}

/// Without waiting for the next look: twenty of these would take ten seconds or more.
async fn a_change_is_heard_when_it_can_be_seen(engine: Engine) {
    let world = World::new(engine, &["A"]).await;
    let ledger = world.ledger().await;
    let mut feed = InProcessFeed::new(world.source(), ledger.clone(), Duration::from_mins(1));
    let mut waited = Duration::ZERO;
    for seat in 0..20 {
        let seat = seat.to_string();
        let (heard, since) = tokio::join!(hears(&mut feed, &ledger, 1), async {
            tokio::task::yield_now().await;
            world.changes("A", &seat).await;
            Instant::now()
        });
        assert_eq!(heard[0].0, "A");
        waited += since.elapsed();
    }
    assert!(waited < Duration::from_secs(4), "{waited:?}");
}

async fn a_call_that_is_given_up_loses_nothing(engine: Engine) {
    let world = World::new(engine, &["A"]).await;
    let ledger = world.ledger().await;
    let mut feed = world.feed(&ledger);
    let (mut all, mut heard) = (Vec::new(), Vec::new());
    for seat in 0..30_u64 {
        all.push(("A".to_owned(), world.changes("A", &seat.to_string()).await.position.0));
        // At any point.
        let given = tokio::time::timeout(Duration::from_micros(seat * 150), feed.next(2)).await;
        for received in given.into_iter().flat_map(Result::unwrap) {
            heard.push(lands(&mut feed, &ledger, received).await);
        }
    }
    while heard.last() != all.last() {
        heard.extend(hears(&mut feed, &ledger, 1).await);
    }
    assert_eq!(heard, all);
}

/// Of several processes one follows the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_takes_over() {
    let world = World::new(Engine::Postgres, &["A"]).await;
    let first = world.changes("A", "1").await.position.0;
    let one = world.ledger_of("one").await;
    let mut leading = world.feed(&one);
    let received = next(&mut leading).await;
    assert_eq!(heard(&received), ("A".to_owned(), first));
    let other = world.ledger_of("other").await;
    let mut standing_by = world.feed(&other);
    is_silent(&mut standing_by).await;
    assert!(!standing_by.figures().borrow().leads);

    // As `kill -9` would have it: the message is not done.
    drop((leading, received));
    one.close().await;
    assert_eq!(hears(&mut standing_by, &other, 1).await, [("A".to_owned(), first)]);
    assert!(standing_by.figures().borrow().leads);
}

/// Its lease has run out while it was frozen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_superseded_says_nothing_more() {
    let world = World::new(Engine::Postgres, &["A"]).await;
    world.changes("A", "1").await;
    let one = world.ledger_of("one").await;
    let mut frozen = world.feed(&one);
    let received = next(&mut frozen).await;
    world.sql().await.execute("update feed_checkpoint set leased_until = '-infinity'").await;
    let other = world.ledger_of("other").await;
    let mut leading = world.feed(&other);
    hears(&mut leading, &other, 1).await;
    let late = heard(&received);
    assert_eq!(lands(&mut frozen, &one, received).await, late);
    world.changes("A", "2").await;
    is_silent(&mut frozen).await;
    assert!(!frozen.figures().borrow().leads);
    hears(&mut leading, &other, 1).await;
    is_silent(&mut leading).await;
}
