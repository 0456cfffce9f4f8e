//! The event log on a KurrentDB that stops, loses answers, refuses, is shared with others, or is set back. These expectations need the stand-in; those
//! that a real server meets too are among the ones of every engine.

use std::sync::Arc;

use honoken_event_store::kurrentdb::{self, Address};
use honoken_event_store::transfer::{Copying, TransferError};
use honoken_event_store::{
    Append, AppendError, Epoch, EventLog, KurrentLog, LogError, Mark, Origin, Position, Snapshots,
    StoredSnapshot,
};
use honoken_telemetry::error_chain;
use honoken_test_kurrentdb::{Kurrent, Refusal};
use tokio::time::timeout;

use crate::note::{Note, append, append_payloads};
use crate::store::{EPOCH, PATIENCE, Store, address_on, eventually};
use crate::transfer::{copy, exported, written};

/// A server of its own, if faults can be asked of it, and a log on it.
macro_rules! stand_in {
    () => {{
        let Some(server) = Kurrent::with_faults() else { return };
        let address = address_on(&server);
        (server, address)
    }};
}

async fn open(address: &Address) -> KurrentLog {
    KurrentLog::open(address, EPOCH).await.unwrap()
}

async fn texts(log: &KurrentLog, stream: &str) -> Vec<String> {
    let events = log.load::<Note>(stream, 0).await.unwrap();
    events.into_iter().map(|event| event.payload["Noted"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_is_lost_is_there_once_and_answered() {
    let (server, address) = stand_in!();
    let log = open(&address).await;
    log.append(append("a", 0, &["one"])).await.unwrap();
    server.lose_answers(1);
    let position = log.append(append("a", 1, &["two", "three"])).await.unwrap();
    assert_eq!(texts(&log, "a").await, ["one", "two", "three"]);
    assert_eq!(log.position_of::<Note>("a", 3).await.unwrap(), Some(position));
}

/// The server takes events with ids that it has for a repetition, and would tell both that theirs is stored.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_that_append_at_one_place_one_has_a_conflict() {
    let (_server, address) = stand_in!();
    let logs = [open(&address).await, open(&address).await];
    for round in 0..20_u64 {
        let stream = format!("round {round}");
        let both = futures::join!(
            logs[0].append(append(&stream, 0, &["mine"])),
            logs[1].append(append(&stream, 0, &["yours"]))
        );
        let stored = match both {
            (Ok(_), Err(AppendError::Conflict)) => "mine",
            (Err(AppendError::Conflict), Ok(_)) => "yours",
            other => panic!("{other:?}"),
        };
        assert_eq!(texts(&logs[0], &stream).await, [stored]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_refuses_and_is_used_again_when_it_is_back() {
    let (server, address) = stand_in!();
    let (log, other) = (open(&address).await, open(&address).await);
    log.append(append("a", 0, &["one"])).await.unwrap();
    server.stop();
    let refused = log.append(append("a", 1, &["two"])).await.unwrap_err();
    assert!(
        matches!(
            refused,
            AppendError::Log(LogError::Unavailable { doing: "written", .. }) | AppendError::Unknown(_)
        ),
        "{refused:?}"
    );
    assert!(log.refuses_writes());
    assert!(matches!(log.load::<Note>("a", 0).await, Err(LogError::Unavailable { doing: "loaded", .. })));
    server.start_again();
    eventually(async || (!log.refuses_writes()).then_some(())).await;
    let position = log.append(append("a", 1, &["two"])).await.unwrap();
    assert_eq!(texts(&log, "a").await, ["one", "two"]);
    timeout(PATIENCE, other.head().wait_for(|head| *head == position)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_hears_of_the_events_of_others_and_of_no_other_logs() {
    let (server, address) = stand_in!();
    let beside = address_on(&server);
    let (log, other, foreign) = (open(&address).await, open(&address).await, open(&beside).await);
    for round in 0..5_u64 {
        foreign.append(append("a", round, &["theirs"])).await.unwrap();
        let position = log.append(append("a", round, &["ours"])).await.unwrap();
        timeout(PATIENCE, other.head().wait_for(|head| *head == position)).await.unwrap().unwrap();
        server.cut_connections();
    }
    let last = *log.head().borrow();
    foreign.append(append("a", 5, &["theirs"])).await.unwrap();
    let events = other.read_after(Position(0), 100).await.unwrap();
    assert_eq!(events.len(), 5);
    assert!(events.iter().all(|event| event.event.payload == serde_json::json!({ "Noted": "ours" })));
    assert!(other.read_after(last, 100).await.unwrap().is_empty());
    assert!(log.reaches(last).await.unwrap() && !log.reaches(Position(last.0 + 1)).await.unwrap());
    assert_eq!(log.event_at(events[2].position).await.unwrap().as_ref(), Some(&events[2]));
    assert!(log.has_more_than(2, events[1].position).await.unwrap());
    assert!(!log.has_more_than(3, events[1].position).await.unwrap());
}

/// Nothing rests on the server to leave out the events of others.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_others_are_no_events_of_the_log_whoever_sorts_them_out() {
    let (server, address) = stand_in!();
    let foreign = open(&address_on(&server)).await;
    server.ignore_filters(true);
    let (log, other) = (open(&address).await, open(&address).await);
    assert_eq!(*log.head().borrow(), Position(0));
    for round in 0..30_u64 {
        foreign.append(append("a", 3 * round, &["theirs", "theirs", "theirs"])).await.unwrap();
        let position = log.append(append("a", round, &["ours"])).await.unwrap();
        timeout(PATIENCE, other.head().wait_for(|head| *head == position)).await.unwrap().unwrap();
    }
    foreign.append(append("a", 90, &["theirs"])).await.unwrap();
    for limit in [1, 7, 30, 100] {
        let events = log.read_after(Position(0), limit).await.unwrap();
        assert_eq!(events.len(), 30.min(limit as usize), "limit {limit}");
        assert!(events.iter().all(|event| event.event.payload == serde_json::json!({ "Noted": "ours" })));
    }
    let head = *log.head().borrow();
    assert_eq!(*open(&address).await.head().borrow(), head);
    assert!(log.reaches(head).await.unwrap() && !log.reaches(Position(head.0 + 1)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_whether_it_is_about_the_events_or_any() {
    let (server, address) = stand_in!();
    let log = open(&address).await;
    log.append(append_payloads("a", 0, vec!["{".into()])).await.unwrap_err();
    assert!(!log.refuses_writes(), "it is no JSON");
    server.limit_appends(1_000);
    let text = "x".repeat(2_000);
    let refused = log.append(append("a", 0, &[&text])).await.unwrap_err();
    assert!(error_chain(&refused).contains("ize"), "it names the limit: {}", error_chain(&refused));
    assert!(!log.refuses_writes(), "others are shorter");
    server.refuse_appends(Some(Refusal::AccessDenied));
    let refused = log.append(append("a", 0, &["one"])).await.unwrap_err();
    assert!(
        matches!(refused, AppendError::Log(LogError::Unavailable { doing: "written", .. })),
        "{refused:?}"
    );
    server.refuse_appends(None);
    log.append(append("a", 0, &["one"])).await.unwrap();
    assert!(!log.refuses_writes());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_waits_for_a_server_that_is_not_ready() {
    let (server, address) = stand_in!();
    let log = Arc::new(open(&address).await);
    server.refuse_appends(Some(Refusal::NotReady));
    let appending = tokio::spawn({
        let log = log.clone();
        async move { log.append(append("a", 0, &["one"])).await }
    });
    // It has been refused at least once by then.
    eventually(async || (!appending.is_finished()).then_some(())).await;
    server.refuse_appends(None);
    appending.await.unwrap().unwrap();
    assert_eq!(texts(&log, "a").await, ["one"]);
}

#[tokio::test]
async fn a_server_that_never_answers_ends_a_start_and_an_append_in_bounded_time() {
    let (server, address) = stand_in!();
    let log = open(&address).await;
    log.append(append("a", 0, &["one"])).await.unwrap();
    server.hang(true);
    let (appended, loaded, opened) = futures::join!(
        log.append(append("a", 1, &["two"])),
        log.load::<Note>("a", 0),
        timeout(PATIENCE / 2, KurrentLog::open(&address, EPOCH)),
    );
    assert!(matches!(appended, Err(AppendError::Unknown(_))), "it may be stored: {appended:?}");
    assert!(matches!(loaded, Err(LogError::Unavailable { doing: "loaded", .. })), "{loaded:?}");
    assert!(opened.expect("within 30 s").is_err());
    server.hang(false);
}

#[tokio::test]
async fn a_server_that_is_not_there_ends_a_start() {
    let (server, _) = stand_in!();
    let url = server.connection_string().replacen("://", "://admin:hush@", 1);
    server.stop();
    let address = Address::parse(&url).unwrap();
    let refused =
        timeout(PATIENCE / 2, KurrentLog::open(&address, EPOCH)).await.expect("within 30 s").unwrap_err();
    assert!(!error_chain(&refused).contains("hush"), "{}", error_chain(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_not_text_is_named_and_stops_nothing_else() {
    let (server, address) = stand_in!();
    let log = open(&address).await;
    for stream in ["one", "two", "three"] {
        log.append(append(stream, 0, &["text"])).await.unwrap();
    }
    let all = log.read_after(Position(0), 10).await.unwrap();
    let damaged = all[1].position;
    let stream = format!(
        "{}_Note-two",
        address.to_string().split("(streams ").nth(1).unwrap().trim_end_matches("_…)")
    );
    for bytes in [&b"{"[..], b"{\"\xff\":1}"] {
        server.replace_event_bytes(&stream, 0, bytes.to_vec());
        assert_eq!(log.read_after(Position(0), 10).await.unwrap(), all[..1]);
        let Err(LogError::Unreadable { event, .. }) = log.read_after(all[0].position, 10).await else {
            panic!("it is told");
        };
        assert_eq!((event.position, event.event.sequence, event.event.payload.is_null()), (damaged, 1, true));
        assert_eq!(log.read_after(damaged, 10).await.unwrap(), all[2..]);
        assert!(matches!(log.load::<Note>("two", 0).await, Err(LogError::Unreadable { .. })));
        assert_eq!(log.history::<Note>("two", 0, 9).await.unwrap()[0].position, damaged);
        assert_eq!(log.load::<Note>("three", 0).await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_set_back_gets_another_epoch_and_its_processes_end() {
    for goes_on in [false, true] {
        let (server, address) = stand_in!();
        open(&address).await.close().await;
        let logs = [
            KurrentLog::open(&address, Epoch(1)).await.unwrap(),
            KurrentLog::open(&address, Epoch(2)).await.unwrap(),
        ];
        let first = logs[0].append(append("one", 0, &["text"])).await.unwrap();
        for stream in ["two", "three"] {
            logs[0].append(append(stream, 0, &["text"])).await.unwrap();
        }
        let head = *logs[0].head().borrow();
        timeout(PATIENCE, logs[1].head().wait_for(|known| *known == head)).await.unwrap().unwrap();
        server.set_back(first.0);
        if goes_on {
            // Somebody else writes further than the log was.
            let beside = open(&address_on(&server)).await;
            beside.append(append("theirs", 0, &["a", "b", "c", "d", "e"])).await.unwrap();
        }
        for log in &logs {
            timeout(PATIENCE, log.ended()).await.expect("it notices");
            assert_eq!(log.epoch(), EPOCH, "what has begun ends as it was");
        }
        let again = KurrentLog::open(&address, Epoch(7)).await.unwrap();
        assert!(
            [Epoch(1), Epoch(2)].contains(&again.epoch()),
            "one of them has changed it: {}",
            again.epoch()
        );
        assert_eq!(*again.head().borrow(), first);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_was_changed_ends_a_process_with_the_old_one() {
    let (_server, address) = stand_in!();
    let log = open(&address).await;
    assert_eq!(kurrentdb::change_epoch(&address, Epoch(7)).await.unwrap(), Epoch(7));
    timeout(PATIENCE, log.ended()).await.expect("it notices");
    assert_eq!(open(&address).await.epoch(), Epoch(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_beginning_of_a_log_is_known_without_reading_it() {
    let (server, address) = stand_in!();
    assert_eq!(kurrentdb::origin(&address).await.unwrap(), Origin::default());
    kurrentdb::put_mark(&address, Mark::Dev).await.unwrap();
    let log = open(&address).await;
    for (aggregate_type, id) in
        [("Organization", "club"), ("Certificate", "default"), ("ApnsKey", "K1"), ("Organization", "bar")]
    {
        log.append(Append { aggregate_type, ..append(id, 0, &["x"]) }).await.unwrap();
    }
    log.append(Append { aggregate_type: "Certificate", ..append("default", 1, &["y"]) }).await.unwrap();
    log.append(append("a", 0, &["x"])).await.unwrap();
    let (reads, origin) = (server.reads(), kurrentdb::origin(&address).await.unwrap());
    let expected = Origin {
        is_of_dev: true,
        is_served: false,
        has_events: true,
        organizations: vec!["bar".into(), "club".into()],
    };
    assert_eq!(origin, expected);
    assert!(server.reads() > reads);
    let secrets = kurrentdb::secret_events(&address).await.unwrap();
    let named: Vec<_> = secrets
        .iter()
        .map(|event| (event.aggregate_type.as_str(), event.aggregate_id.as_str(), event.payload.as_str()))
        .collect();
    let noted = |text| format!("{{\"Noted\":\"{text}\"}}");
    let (x, y) = (noted("x"), noted("y"));
    assert_eq!(
        named,
        [("ApnsKey", "K1", &*x), ("Certificate", "default", &*x), ("Certificate", "default", &*y)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_gives_way_to_a_newer_one_or_another_shape() {
    let (_server, address) = stand_in!();
    let log = open(&address).await;
    let snapshot = |sequence: u64, shape: u32| StoredSnapshot {
        sequence,
        position: Position(sequence * 2),
        shape,
        state: format!("{{\"at\":{sequence}}}"),
    };
    assert_eq!(log.load_snapshot("Note", "a").await.unwrap(), None);
    for (offered, expected) in [
        (snapshot(100, 1), snapshot(100, 1)),
        (snapshot(50, 1), snapshot(100, 1)),
        (snapshot(60, 2), snapshot(60, 2)),
    ] {
        log.store_snapshot("Note", "a".into(), offered.clone());
        if offered == expected {
            eventually(async || {
                (log.load_snapshot("Note", "a").await.unwrap().as_ref() == Some(&expected)).then_some(())
            })
            .await;
        }
    }
    log.close().await;
    let log = open(&address).await;
    assert_eq!(log.load_snapshot("Note", "a").await.unwrap(), Some(snapshot(60, 2)));
    assert_eq!(log.load_snapshot("Note", "b").await.unwrap(), None);
    assert!(log.read_after(Position(0), 9).await.unwrap().is_empty(), "it is no event");
}

/// The lines behind the first, which has the epoch, and before the last, which has the hash.
fn events_of(lines: &[u8]) -> Vec<String> {
    let lines: Vec<String> = String::from_utf8(lines.to_vec()).unwrap().lines().map(str::to_owned).collect();
    lines[1..lines.len() - 1].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_copied_there_and_back_with_every_byte_and_other_epochs() {
    for original in [Store::sqlite(), Store::postgres().await] {
        let log = written(&original, 30).await;
        let there = Store::kurrentdb();
        assert_eq!(copy(&log, &there).await.unwrap(), 120);
        let copied = there.open_with(Epoch(9)).await;
        assert!(![EPOCH, Epoch(9)].contains(&copied.epoch()));
        assert_eq!(events_of(&exported(&copied).await), events_of(&exported(&log).await));
        assert_eq!(copied.identity().await.unwrap().marks, [Mark::Serve]);
        copied.close().await;
        // The same command again has nothing to do, and goes on with what comes.
        let later = log.append(append("later", 0, &["one", "two"])).await.unwrap();
        assert_eq!(copy(&log, &there).await.unwrap(), later.0);
        let copied = there.open().await;
        for back in [Store::sqlite(), Store::postgres().await, Store::kurrentdb()] {
            assert_eq!(copy(&copied, &back).await.unwrap(), 122);
            assert_eq!(copy(&copied, &back).await.unwrap(), 122);
            let returned = back.open().await;
            assert!(![EPOCH, copied.epoch()].contains(&returned.epoch()));
            assert_eq!(events_of(&exported(&returned).await), events_of(&exported(&log).await));
            assert_eq!(returned.append(append("later", 2, &["three"])).await.unwrap(), Position(123));
            let refused = copy(&copied, &back).await;
            assert!(matches!(refused, Err(TransferError::HasGoneOn(Position(123)))), "{refused:?}");
            assert_eq!(returned.append(append("later", 3, &["four"])).await.unwrap(), Position(124));
            drop(returned);
            drop(back.open().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_there_goes_on_after_an_interruption_and_is_not_used_before() {
    let (server, address) = stand_in!();
    let there = Store::Kurrentdb(server, Box::new(address));
    let (here, elsewhere) = (Store::sqlite(), Store::sqlite());
    let log = written(&here, 5).await;
    let mut copying = Copying::begin(&log, there.target().await).await.unwrap();
    copying.catch_up(|_| {}).await.unwrap();
    copying.close().await.unwrap();
    assert!(matches!(there.refusal().await, LogError::Filling));
    log.append(append("later", 0, &["one"])).await.unwrap();
    assert_eq!(copy(&log, &there).await.unwrap(), 21);
    let other = written(&elsewhere, 1).await;
    let refused = copy(&other, &there).await;
    assert!(
        matches!(refused, Err(TransferError::HasGoneOn(Position(21)))),
        "the epoch is the same: {refused:?}"
    );
    assert_eq!(*there.open().await.head().borrow(), Position(21), "it can be used as before");
    assert!(there.open().await.streams_with_gaps(9).await.unwrap().is_empty());
}
