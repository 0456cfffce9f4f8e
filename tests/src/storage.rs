//! Looks into the files that the program leaves behind. Reading is done beside the running program; writing only while
//! it stands still.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{Column, ConnectOptions, Connection, Row, SqliteConnection, TypeInfo, ValueRef};

/// Every file below a folder.
///
/// # Panics
///
/// When a folder cannot be read.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // A folder that is not there yet, or not any more, holds nothing.
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// A connection that only reads.
///
/// # Panics
///
/// When the file cannot be opened.
pub async fn reads(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    options.connect().await.unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A connection that writes, for a program that stands still.
///
/// # Panics
///
/// When the file cannot be opened.
pub async fn writes(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file);
    options.connect().await.unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The SQLite file of a data folder that has a table of this name.
///
/// # Panics
///
/// When there is none.
pub async fn file_with_table(data_dir: &Path, table: &str) -> PathBuf {
    for file in files_below(data_dir) {
        if file.extension().is_none_or(|extension| extension != "sqlite") {
            continue;
        }
        let mut connection = reads(&file).await;
        let found: i64 =
            sqlx::query_scalar("select count(*) from sqlite_master where type = 'table' and name = $1")
                .bind(table)
                .fetch_one(&mut connection)
                .await
                .expect("the schema can be read");
        connection.close().await.expect("a reader closes");
        if found > 0 {
            return file;
        }
    }
    panic!("no SQLite file below {} has a table {table}", data_dir.display());
}

/// The file of the log.
pub async fn log_file(data_dir: &Path) -> PathBuf {
    file_with_table(data_dir, "events").await
}

/// The file of the read model.
pub async fn read_model_file(data_dir: &Path) -> PathBuf {
    file_with_table(data_dir, "wallet_pass").await
}

/// Every position of the log, in order.
///
/// # Panics
///
/// When the log cannot be read.
pub async fn positions(data_dir: &Path) -> Vec<i64> {
    let mut connection = reads(&log_file(data_dir).await).await;
    let positions = sqlx::query_scalar("select position from events order by position");
    positions.fetch_all(&mut connection).await.expect("the log can be read")
}

/// The push tokens that the read model has for a device, one per pass type.
///
/// # Panics
///
/// When the read model cannot be read.
pub async fn push_tokens(data_dir: &Path, device: &str) -> Vec<String> {
    let mut connection = reads(&read_model_file(data_dir).await).await;
    let tokens =
        sqlx::query_scalar("select push_token from wallet_device where device_library_identifier = $1");
    tokens.bind(device).fetch_all(&mut connection).await.expect("the read model can be read")
}

/// Every row of every table of the read model, as text, by table, in order. What the program keeps about itself
/// (`sqlite_…`, migrations) is left out.
///
/// # Panics
///
/// When the read model cannot be read.
pub async fn dump_read_model(data_dir: &Path) -> BTreeMap<String, Vec<String>> {
    let mut connection = reads(&read_model_file(data_dir).await).await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select name from sqlite_master
         where type = 'table' and name not like 'sqlite_%' and name not like '\\_%' escape '\\'",
    )
    .fetch_all(&mut connection)
    .await
    .expect("the schema can be read");
    let mut dump = BTreeMap::new();
    for table in tables {
        let rows = sqlx::query(&format!("select * from {table}")).fetch_all(&mut connection).await;
        let mut rows: Vec<String> = rows.expect("a table can be read").iter().map(as_text).collect();
        rows.sort();
        dump.insert(table, rows);
    }
    dump
}

fn as_text(row: &SqliteRow) -> String {
    let cells = row.columns().iter().map(|column| {
        let value = row.try_get_raw(column.ordinal()).expect("a value");
        let text = match (value.is_null(), value.type_info().name()) {
            (true, _) => "null".to_owned(),
            (false, "INTEGER") => row.get::<i64, _>(column.ordinal()).to_string(),
            (false, _) => format!("{:?}", row.get::<String, _>(column.ordinal())),
        };
        format!("{}: {text}", column.name())
    });
    cells.collect::<Vec<_>>().join(", ")
}
