//! Logs that were copied somewhere else: they go on where the copy ends, as another log.

use std::fs;

use honoken_event_store::{Epoch, EventLog, Position, postgres, sqlite};
use honoken_test_postgres::{Cluster, dump, restore};
use tempfile::TempDir;

use crate::note::append;
use crate::store::{EPOCH, Store, file, open, options};

/// What the copy gets.
const OTHER: Epoch = Epoch(0xbeef);

#[tokio::test]
async fn a_dump_that_is_restored_on_another_server_goes_on_where_it_ends() {
    let store = Store::postgres().await;
    let Store::Postgres(database) = &store else { unreachable!("just made") };
    let log = open(database.url(), EPOCH).await;
    for sequence in 0..20 {
        log.append(append("a", 2 * sequence, &["ü \" \\ \n", "\0"])).await.unwrap();
    }
    let events = log.read_after(Position(0), 100).await.unwrap();
    let dumped = dump(database.url());
    log.append(append("later", 0, &["not in the dump"])).await.unwrap();

    let cluster = Cluster::start().await;
    let url = cluster.create_database().await;
    restore(&dumped, &url);
    let copy = open(&url, Epoch(7)).await;
    assert_eq!((copy.epoch(), *copy.head().borrow()), (EPOCH, Position(40)), "it still says what it was");
    assert_eq!(copy.read_after(Position(0), 100).await.unwrap(), events);
    assert_eq!(copy.append(append("a", 40, &["x"])).await.unwrap(), Position(41));
    copy.close().await;

    assert_eq!(postgres::change_epoch(&options(&url), OTHER).await.unwrap(), OTHER);
    let copy = open(&url, Epoch(7)).await;
    assert_eq!((copy.epoch(), *copy.head().borrow()), (OTHER, Position(41)));
    assert_eq!(open(database.url(), EPOCH).await.epoch(), EPOCH, "the original is what it was");
}

#[tokio::test]
async fn a_copied_file_goes_on_where_it_ends() {
    let folder = TempDir::new().unwrap();
    let original = Store::Sqlite(folder);
    let log = original.open().await;
    log.append(append("a", 0, &["one", "two"])).await.unwrap();
    let events = log.read_after(Position(0), 10).await.unwrap();
    log.close().await;
    let Store::Sqlite(folder) = &original else { unreachable!("just made") };
    let copied = TempDir::new().unwrap();
    fs::copy(file(folder), file(&copied)).unwrap();

    assert_eq!(sqlite::change_epoch(&file(&copied), OTHER).await.unwrap(), OTHER);
    let copied = Store::Sqlite(copied);
    let copy = copied.open().await;
    assert_eq!((copy.epoch(), *copy.head().borrow()), (OTHER, Position(2)));
    assert_eq!(copy.read_after(Position(0), 10).await.unwrap(), events);
    assert_eq!(copy.append(append("a", 2, &["three"])).await.unwrap(), Position(3));
    assert_eq!(original.open().await.epoch(), EPOCH, "the original is what it was");
}
