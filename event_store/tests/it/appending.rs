//! Appending, and reading it back in order.

use std::collections::BTreeSet;
use std::sync::Arc;

use honoken_event_store::{AppendError, Epoch, EventLog, Position};
use serde_json::json;
use tokio::task::JoinSet;

use crate::note::{Note, append};
use crate::store::{EPOCH, Store};

on_every_engine![
    what_is_appended_is_read_back_in_order_and_whole,
    an_append_to_a_stream_that_has_grown_is_a_conflict_and_leaves_nothing,
    a_log_that_is_opened_again_goes_on_where_it_was,
    closing_the_log_finishes_what_waits,
];

on_both_engines![appends_that_wait_share_a_commit, appends_to_one_stream_in_one_commit_follow_each_other];

on_every_engine![
    threads = 4;
    concurrent_appends_get_gapless_positions_and_a_conflict_fails_alone,
    a_reader_never_sees_a_position_before_a_smaller_one,
];

async fn what_is_appended_is_read_back_in_order_and_whole(store: Store) {
    let log = store.open().await;
    let text = "quotes \" and \\ and ü and \u{1F3AB} and \n and \0";
    assert_eq!(log.append(append("a", 0, &["one", text])).await.unwrap(), Position(2));
    assert_eq!(log.append(append("b", 0, &["three"])).await.unwrap(), Position(3));

    let all = log.read_after(Position(0), 10).await.unwrap();
    let seen: Vec<_> =
        all.iter().map(|e| (e.position.0, e.event.aggregate_id.as_str(), e.event.sequence)).collect();
    assert_eq!(seen, [(1, "a", 1), (2, "a", 2), (3, "b", 1)]);
    assert_eq!(all[1].event.payload, json!({ "Noted": text }));
    assert_eq!(all[1].event.metadata, json!({ "requestId": "r" }));
    assert_eq!((all[1].recorded_at_ms, all[1].event.event_version.as_str()), (1_700_000_000_123, "1"));
    assert_eq!(log.read_after(Position(1), 1).await.unwrap(), all[1..2]);
    assert_eq!(log.load::<Note>("a", 0).await.unwrap(), [all[0].event.clone(), all[1].event.clone()]);
    assert_eq!(log.load::<Note>("a", 1).await.unwrap(), [all[1].event.clone()]);
    assert_eq!(log.load::<Note>("nobody", 0).await.unwrap(), []);
    assert_eq!(log.history::<Note>("a", 0, 9).await.unwrap(), all[..2]);
    assert_eq!(log.history::<Note>("a", 0, 1).await.unwrap(), all[..1]);
    assert_eq!(log.history::<Note>("a", 1, 1).await.unwrap(), all[1..2]);
    assert_eq!(log.history::<Note>("a", u64::MAX >> 1, 1).await.unwrap(), []);
    assert_eq!(log.history::<Note>("nobody", 0, 9).await.unwrap(), []);
    assert_eq!(log.position_of::<Note>("b", 1).await.unwrap(), Some(Position(3)));
    assert_eq!(log.position_of::<Note>("b", 2).await.unwrap(), None);
}

async fn an_append_to_a_stream_that_has_grown_is_a_conflict_and_leaves_nothing(store: Store) {
    let log = store.open().await;
    log.append(append("a", 0, &["one"])).await.unwrap();
    for stale in [0, 2, 7] {
        let refused = log.append(append("a", stale, &["two", "three"])).await;
        assert!(matches!(refused, Err(AppendError::Conflict)), "expected sequence {stale}: {refused:?}");
    }
    assert_eq!(log.append(append("a", 1, &["two"])).await.unwrap(), Position(2), "no position was spent");
}

async fn concurrent_appends_get_gapless_positions_and_a_conflict_fails_alone(store: Store) {
    let log = Arc::new(store.open().await);
    let mut tasks = JoinSet::new();
    for writer in 0..64_u32 {
        let log = log.clone();
        // Every second writer wants to be the first of the stream `shared`; one of them is.
        let stream = if writer % 2 == 0 { format!("own-{writer}") } else { "shared".to_owned() };
        tasks.spawn(async move { (stream.clone(), log.append(append(&stream, 0, &["x", "y"])).await) });
    }
    let mut ends = Vec::new();
    let mut shared = 0;
    while let Some(task) = tasks.join_next().await {
        match task.unwrap() {
            (stream, Ok(position)) => {
                shared += u32::from(stream == "shared");
                ends.push(position.0);
            }
            (stream, Err(AppendError::Conflict)) => assert_eq!(stream, "shared"),
            (_, Err(fault)) => panic!("{fault}"),
        }
    }
    assert_eq!((shared, ends.len()), (1, 33));
    ends.sort_unstable();
    assert_eq!(ends, (1..=33).map(|n| n * 2).collect::<Vec<u64>>());
    let all = log.read_after(Position(0), 1000).await.unwrap();
    assert_eq!(all.iter().map(|e| e.position.0).collect::<Vec<_>>(), (1..=66).collect::<Vec<u64>>());
}

async fn a_reader_never_sees_a_position_before_a_smaller_one(store: Store) {
    let log = Arc::new(store.open().await);
    let total = 16 * 50;
    let follower = tokio::spawn({
        let log = log.clone();
        async move {
            let (mut head, mut seen) = (log.head(), 0);
            while seen < total {
                head.wait_for(|head| head.0 > seen).await.unwrap();
                for event in log.read_after(Position(seen), 64).await.unwrap() {
                    assert_eq!(event.position.0, seen + 1);
                    seen += 1;
                }
            }
        }
    });
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let log = log.clone();
        writers.spawn(async move {
            for sequence in 0..50 {
                log.append(append(&writer.to_string(), sequence, &["x"])).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    follower.await.unwrap();
}

async fn a_log_that_is_opened_again_goes_on_where_it_was(store: Store) {
    let log = store.open().await;
    log.append(append("a", 0, &["one"])).await.unwrap();
    log.close().await;

    let log = store.open_with(Epoch(7)).await;
    assert_eq!(log.epoch(), EPOCH, "the epoch is fixed when the log is created");
    assert_eq!(*log.head().borrow(), Position(1));
    assert_eq!(log.append(append("a", 1, &["two"])).await.unwrap(), Position(2));
}

async fn closing_the_log_finishes_what_waits(store: Store) {
    let log = store.open().await;
    let mut waiting: Vec<_> =
        (0..50).map(|n| Box::pin(log.append(append(&n.to_string(), 0, &["x"])))).collect();
    // Each is asked once, which puts it into the queue; no caller waits for the answers.
    std::future::poll_fn(|context| {
        for append in &mut waiting {
            assert!(append.as_mut().poll(context).is_pending());
        }
        std::task::Poll::Ready(())
    })
    .await;
    drop(waiting);
    log.close().await;
    assert_eq!(*store.open().await.head().borrow(), Position(50));
}

async fn appends_that_wait_share_a_commit(store: Store) {
    let log = Arc::new(store.open().await);
    // On the one thread of this test, all of them are queued before the writer can take the first.
    let mut tasks = JoinSet::new();
    for n in 0..100 {
        let log = log.clone();
        tasks.spawn(async move { log.append(append(&n.to_string(), 0, &["x"])).await.unwrap() });
    }
    let mut head = log.head();
    let mut commits = BTreeSet::new();
    while commits.last() != Some(&100) {
        head.changed().await.unwrap();
        commits.insert(head.borrow_and_update().0);
    }
    tasks.join_all().await;
    assert!(commits.len() < 20, "100 appends took {} commits", commits.len());
}

async fn appends_to_one_stream_in_one_commit_follow_each_other(store: Store) {
    let log = store.open().await;
    log.append(append("a", 0, &["one"])).await.unwrap();
    // Queued before the writer, which is on the same thread, can take the first.
    let (two, stale, of_b, four, ahead) = tokio::join!(
        log.append(append("a", 1, &["two", "three"])),
        log.append(append("a", 1, &["stale", "stale"])),
        log.append(append("b", 0, &["one"])),
        log.append(append("a", 3, &["four"])),
        log.append(append("a", 9, &["ahead"])),
    );
    for refused in [stale, ahead] {
        assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");
    }
    for (note, sequence, appended) in [("a", 3, two), ("b", 1, of_b), ("a", 4, four)] {
        assert_eq!(
            log.position_of::<Note>(note, sequence).await.unwrap(),
            Some(appended.unwrap()),
            "{note} {sequence}"
        );
    }
    let texts: Vec<_> =
        log.load::<Note>("a", 0).await.unwrap().into_iter().map(|event| event.payload).collect();
    assert_eq!(texts, ["one", "two", "three", "four"].map(|text| json!({ "Noted": text })));
    let positions: Vec<_> =
        log.read_after(Position(0), 10).await.unwrap().iter().map(|e| e.position.0).collect();
    assert_eq!(positions, [1, 2, 3, 4, 5]);
}

#[test]
fn an_epoch_is_eight_hex_digits() {
    assert_eq!(Epoch(0x1f).to_string(), "0000001f");
}
