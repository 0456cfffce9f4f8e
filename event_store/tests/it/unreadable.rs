//! Rows that are not JSON, in a file only, since Postgres has seen to it that its `json` columns hold JSON; and rows that are not even text, which a
//! disk can make of any.

use honoken_event_store::{EventLog, LogError, Position, Snapshots, StoredSnapshot};
use honoken_telemetry::error_chain;

use crate::note::{Note, append, append_payloads};
use crate::store::Store;

#[tokio::test]
async fn a_stored_row_that_is_not_json_is_named_by_its_position() {
    let store = Store::sqlite();
    let log = store.open().await;
    log.append(append_payloads("a", 0, vec!["{".into()])).await.unwrap();
    let fault = log.load::<Note>("a", 0).await.unwrap_err();
    assert_eq!(fault.to_string(), "the event at position 1 is not readable");
    assert_eq!(error_chain(&fault).matches("`payload` is not JSON").count(), 1, "{}", error_chain(&fault));
}

#[tokio::test]
async fn a_reader_comes_as_far_as_to_a_row_that_is_not_json_and_can_go_on_behind_it() {
    let store = Store::sqlite();
    let log = store.open().await;
    log.append(append("a", 0, &["one"])).await.unwrap();
    log.append(append_payloads("b", 0, vec!["{".into()])).await.unwrap();
    log.append(append("c", 0, &["three"])).await.unwrap();

    let before = log.read_after(Position(0), 10).await.unwrap();
    assert_eq!(before.iter().map(|event| event.position.0).collect::<Vec<_>>(), [1]);
    match log.read_after(Position(1), 10).await {
        Err(LogError::Unreadable { event, .. }) => {
            assert_eq!(event.position, Position(2));
            assert_eq!((event.event.aggregate_id.as_str(), event.event.sequence), ("b", 1));
        }
        other => panic!("{other:?}"),
    }
    let behind = log.read_after(Position(2), 10).await.unwrap();
    assert_eq!(behind.iter().map(|event| event.position.0).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn postgres_refuses_what_is_not_json_and_goes_on() {
    let store = Store::postgres().await;
    let log = store.open().await;
    let refused = log.append(append_payloads("a", 0, vec!["{".into()])).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(log.append(append("a", 0, &["one"])).await.unwrap(), Position(1));
}

/// Columns that hold text.
const TEXTS: [&str; 6] =
    ["payload", "metadata", "event_type", "event_version", "aggregate_id", "aggregate_type"];

async fn a_row_that_is_not_text_is_known_as_far_as_it_can_be_and_stops_nothing_else(store: Store) {
    let log = store.open().await;
    for stream in ["one", "two", "three"] {
        log.append(append(stream, 0, &["text"])).await.unwrap();
    }
    for column in TEXTS {
        let as_it_was = store.spoils_text(column, 2).await;
        let before = log.read_after(Position(0), 10).await.unwrap();
        assert_eq!(before.iter().map(|event| event.position.0).collect::<Vec<_>>(), [1], "{column}");
        match log.read_after(Position(1), 10).await {
            Err(fault @ LogError::Unreadable { .. }) => {
                let told = error_chain(&fault);
                assert!(
                    told.contains("position 2") && told.contains(&format!("`{column}` is not UTF-8")),
                    "{told}"
                );
                let LogError::Unreadable { event, .. } = fault else { unreachable!() };
                assert_eq!((event.position, event.event.sequence), (Position(2), 1));
                assert!(event.event.payload.is_null(), "{column}");
            }
            other => panic!("{column}: {other:?}"),
        }
        let behind = log.read_after(Position(2), 10).await.unwrap();
        assert_eq!(behind.iter().map(|event| event.position.0).collect::<Vec<_>>(), [3], "{column}");
        if !column.starts_with("aggregate") {
            let fault = log.load::<Note>("two", 0).await.unwrap_err();
            assert!(matches!(fault, LogError::Unreadable { .. }), "{column}: {fault}");
            let history = log.history::<Note>("two", 0, 9).await.unwrap();
            assert_eq!((history.len(), history[0].position), (1, Position(2)), "{column}: it is shown");
        }
        assert_eq!(log.load::<Note>("three", 0).await.unwrap().len(), 1);
        store.puts_text(column, 2, &as_it_was).await;
    }
    assert_eq!(log.read_after(Position(0), 10).await.unwrap().len(), 3);
}

/// What is not read costs time and nothing else.
#[tokio::test]
async fn a_snapshot_that_is_not_text_is_as_good_as_none() {
    let store = Store::sqlite();
    let log = store.open().await;
    let snapshot = StoredSnapshot { sequence: 1, position: Position(1), shape: 1, state: "{}".into() };
    log.store_snapshot("Note", "a".into(), snapshot);
    // Behind it in the queue of the writer.
    log.append(append("b", 0, &["one"])).await.unwrap();
    assert!(log.load_snapshot("Note", "a").await.unwrap().is_some());
    store.spoil("update snapshots set state = cast(x'7bff7d' as text)").await;
    assert_eq!(log.load_snapshot("Note", "a").await.unwrap(), None);
}

on_both_engines! {
    a_row_that_is_not_text_is_known_as_far_as_it_can_be_and_stops_nothing_else,
}
