//! The SQLite that is linked (`docs/decisions/0053-sqlite-is-newer-than-sqlx.md`).

use sqlx::{Connection, SqliteConnection};

/// The first release in which a second connection cannot damage a database whose WAL starts anew.
const MENDED: [u32; 3] = [3, 51, 3];

#[tokio::test]
async fn a_second_writer_cannot_damage_the_database() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let version: String =
        sqlx::query_scalar("select sqlite_version()").fetch_one(&mut connection).await.unwrap();
    let numbers: Vec<u32> = version.split('.').map(|number| number.parse().unwrap()).collect();
    assert!(numbers.as_slice() >= MENDED.as_slice(), "SQLite {version} is linked");
}
