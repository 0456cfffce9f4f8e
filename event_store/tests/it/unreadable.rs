//! Rows that are not JSON. In a file only: Postgres has seen to it that its `json` columns hold JSON.

use honoken_event_store::{EventLog, LogError, Position};

use crate::note::{Note, append, append_payloads};
use crate::store::Store;

#[tokio::test]
async fn a_stored_row_that_is_not_json_is_named_by_its_position() {
    let store = Store::sqlite();
    let log = store.open().await;
    log.append(append_payloads("a", 0, vec!["{".into()])).await.unwrap();
    let fault = log.load::<Note>("a", 0).await.unwrap_err();
    assert!(matches!(fault, LogError::Unreadable { position: Position(1), .. }), "{fault}");
    let fault = log.history::<Note>("a", 0, 9).await.unwrap_err();
    assert!(matches!(fault, LogError::Unreadable { position: Position(1), .. }), "{fault}");
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
        Err(LogError::Unreadable { position: Position(2), event, .. }) => {
            assert_eq!((event.aggregate_id.as_str(), event.sequence), ("b", 1));
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
