//! What tests may expect of the Postgres they are given.

use honoken_test_postgres::{Cluster, database};
use sqlx::{Connection, PgConnection};

async fn connected(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Makes a table of numbers with these in it.
async fn notes(url: &str, numbers: &str) {
    let mut connection = connected(url).await;
    let sql = format!("create table note (number bigint); insert into note values {numbers}");
    sqlx::raw_sql(&sql).execute(&mut connection).await.expect("the database takes the numbers");
    connection.close().await.expect("the connection closes");
}

async fn noted(url: &str) -> Vec<i64> {
    let numbers = sqlx::query_scalar("select number from note order by number");
    numbers.fetch_all(&mut connected(url).await).await.expect("the numbers can be read")
}

#[tokio::test]
async fn a_database_is_empty_and_belongs_to_one_test() {
    let (one, other) = (database().await, database().await);
    notes(one.url(), "(1)").await;
    let tables = "select count(*) from pg_tables where schemaname = current_schema()";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut connected(other.url()).await).await.unwrap();
    assert_eq!(tables, 0);
}

#[tokio::test]
async fn a_database_goes_with_its_test_whoever_is_connected() {
    let (database, witness) = (database().await, database().await);
    let _connected = connected(database.url()).await;
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    drop(database);
    let databases: i64 = sqlx::query_scalar("select count(*) from pg_database where datname = $1")
        .bind(name)
        .fetch_one(&mut connected(witness.url()).await)
        .await
        .unwrap();
    assert_eq!(databases, 0);
}

#[tokio::test]
async fn a_killed_cluster_comes_back_with_what_was_committed() {
    let mut cluster = Cluster::start().await;
    let url = cluster.create_database().await;
    notes(&url, "(1), (2)").await;
    let mut connection = connected(&url).await;
    let mut unfinished = connection.begin().await.unwrap();
    sqlx::query("insert into note values (3)").execute(&mut *unfinished).await.unwrap();
    cluster.kill().await;
    assert!(PgConnection::connect(&url).await.is_err(), "nobody is there");
    assert!(
        sqlx::query("select 1").execute(&mut *unfinished).await.is_err(),
        "nor for those who were connected"
    );
    cluster.start_again().await;
    assert_eq!(noted(&url).await, [1, 2]);
    assert!(cluster.log().contains("was not properly shut down"), "{}", cluster.log());
}

#[tokio::test]
async fn a_stopped_cluster_leaves_its_clients_and_comes_back() {
    let mut cluster = Cluster::start().await;
    let url = cluster.create_database().await;
    notes(&url, "(1)").await;
    let _idle = connected(&url).await;
    cluster.stop().await;
    assert!(PgConnection::connect(&url).await.is_err(), "nobody is there");
    cluster.start_again().await;
    assert_eq!(noted(&url).await, [1]);
    assert!(!cluster.log().contains("was not properly shut down"), "{}", cluster.log());
}
