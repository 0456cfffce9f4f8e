//! A store that refuses every change, as a full disk does, and takes them again. On a server, where a trigger can play the disk; what a file does is
//! tested through the program.

use honoken_event_store::EventLog;

use crate::note::{Note, append, append_payloads};
use crate::store::{Store, eventually};

const FULL: &str = "
    create function is_full() returns trigger language plpgsql as
    $$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;
    create trigger is_full before insert on events for each row execute function is_full();
    create trigger is_full before insert on snapshots for each row execute function is_full()";

const ROOM_AGAIN: &str = "drop trigger is_full on events; drop trigger is_full on snapshots";

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_refuses_changes_says_so_until_it_would_take_one() {
    let store = Store::postgres().await;
    let log = store.open().await;
    log.append(append("a", 0, &["one"])).await.unwrap();
    assert!(!log.refuses_writes());
    store.spoil(FULL).await;
    log.append(append("a", 1, &["two"])).await.unwrap_err();
    assert!(log.refuses_writes(), "from the first change that is refused");
    log.append(append("a", 1, &["two"])).await.unwrap_err();
    assert!(log.refuses_writes());
    store.spoil(ROOM_AGAIN).await;
    // No process appends anything.
    eventually(async || (!log.refuses_writes()).then_some(())).await;
    log.append(append("a", 1, &["two"])).await.unwrap();
    assert_eq!(log.load::<Note>("a", 0).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_succeeds_ends_it_at_once() {
    let store = Store::postgres().await;
    let log = store.open().await;
    store.spoil(FULL).await;
    log.append(append("a", 0, &["one"])).await.unwrap_err();
    store.spoil(ROOM_AGAIN).await;
    log.append(append("a", 0, &["one"])).await.unwrap();
    assert!(!log.refuses_writes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_refused_for_what_is_in_it_says_nothing_of_others() {
    let store = Store::postgres().await;
    let log = store.open().await;
    log.append(append_payloads("a", 0, vec!["{".into()])).await.unwrap_err();
    assert!(!log.refuses_writes());
}
