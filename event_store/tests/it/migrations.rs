//! Migrations: those that were released never change, and an older process can live beside a newer schema.

use std::fs;
use std::path::{Path, PathBuf};

use honoken_database::MigrationError;
use honoken_event_store::{EventLog, LogError, Position, PostgresLog, postgres};
use sha2::{Digest, Sha256};

use crate::note::append;
use crate::store::{EPOCH, Store, open, options};

on_both_engines![a_database_with_the_schema_of_a_later_release_is_opened_and_written_to,];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files below a folder, by their path from the root of the repository.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut files(&path));
        } else {
            found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn a_released_migration_never_changes() {
    let mut files = files(&root().join("migrations"));
    files.sort_unstable();
    let line = |file: &String| {
        format!("{}  {file}", hex::encode(Sha256::digest(fs::read(root().join(file)).unwrap())))
    };
    let now: Vec<_> = files.iter().map(line).collect();
    let released = fs::read_to_string(root().join("fixtures/migrations.txt")).unwrap();
    assert_eq!(
        now,
        released.lines().collect::<Vec<_>>(),
        "databases out there have had the released migrations as they were: add a migration instead of editing one, \
         and a line for it to fixtures/migrations.txt"
    );
}

#[tokio::test]
async fn a_database_without_the_tables_is_outdated() {
    let database = honoken_test_postgres::database().await;
    let options = options(database.url());
    let fault = PostgresLog::open(&options, EPOCH).await.unwrap_err();
    assert!(matches!(fault, LogError::Schema(MigrationError::Outdated)), "{fault}");
    let fault = postgres::change_epoch(&options, EPOCH).await.unwrap_err();
    assert!(matches!(fault, LogError::Schema(MigrationError::Outdated)), "{fault}");

    postgres::migrate(&options).await.unwrap();
    assert_eq!(open(database.url(), EPOCH).await.append(append("a", 0, &["x"])).await.unwrap(), Position(1));
    postgres::migrate(&options).await.expect("there is nothing to do");
}

#[tokio::test]
async fn a_database_that_may_not_be_read_is_not_called_outdated() {
    let store = Store::postgres().await;
    let Store::Postgres(database) = &store else { unreachable!("just made") };
    // As with a user who was given no rights: a superuser, which the tests are, can only be denied what is not there.
    store.spoil("alter table _sqlx_migrations rename column version to number").await;
    let fault = PostgresLog::open(&options(database.url()), EPOCH).await.unwrap_err();
    assert!(matches!(fault, LogError::Schema(MigrationError::Failed(_))), "{fault}");
}

async fn a_database_with_the_schema_of_a_later_release_is_opened_and_written_to(store: Store) {
    let log = store.open().await;
    log.append(append("a", 0, &["one"])).await.unwrap();
    store
        .spoil(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (900, 'causes', true, '', 1);
             alter table events add column caused_by text;
             create table cause (id text primary key);",
        )
        .await;
    log.append(append("a", 1, &["two"])).await.expect("the process that was running goes on");
    log.close().await;

    if let Store::Postgres(database) = &store {
        postgres::migrate(&options(database.url())).await.expect("an older release has nothing to do");
    }
    let log = store.open().await;
    assert_eq!(log.append(append("a", 2, &["three"])).await.unwrap(), Position(3));
    assert_eq!(log.read_after(Position(0), 10).await.unwrap().len(), 3);
}

/// On Postgres only: the lock of the data folder keeps a second process away from a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_migrate_an_empty_database_at_the_same_moment_all_succeed() {
    for _ in 0..5 {
        let database = honoken_test_postgres::database().await;
        let mut processes = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let options = options(database.url());
            processes.spawn(async move {
                postgres::migrate(&options).await.unwrap();
                PostgresLog::open(&options, EPOCH).await.unwrap();
            });
        }
        processes.join_all().await;
    }
}
