//! Looks into the files and tables that the program leaves behind. Reading is done beside the running program; writing
//! only while it stands still.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{Column, ConnectOptions, Connection, PgConnection, Row, SqliteConnection, TypeInfo, ValueRef};

use crate::waiting::{PATIENCE, eventually};

/// Columns of Postgres's `projection_checkpoint` that say who is projecting and not what has been projected: they differ
/// from one moment to the next.
const LEASE: [&str; 4] = ["fence", "leased_until", "holder_pid", "holder_started"];

/// Every file below a folder; a socket is none.
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
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The log and the tables of a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// The files in a data folder.
    Sqlite {
        /// The folder.
        data_dir: PathBuf,
    },
    /// One database.
    Postgres {
        /// Where it is.
        url: String,
    },
}

/// One of the parts, which are files of their own on SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What must not be lost.
    Log,
    /// What is derived from it.
    ReadModel,
    /// Who was woken.
    Deliveries,
    /// What opens the persons in the log.
    PersonKeys,
}

/// An event as somebody puts it into the log by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct HandmadeEvent<'a> {
    /// Type of its aggregate.
    pub aggregate_type: &'a str,
    /// Which aggregate.
    pub aggregate_id: &'a str,
    /// What happened.
    pub kind: &'a str,
    /// And how.
    pub payload: Value,
}

/// An event as it is in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Type of its aggregate.
    pub aggregate_type: String,
    /// Which aggregate.
    pub aggregate_id: String,
    /// What happened.
    pub payload: Value,
}

impl Recorded {
    /// The serial number of the pass that it happened to, if it was a pass.
    pub fn pass_serial_number(&self) -> Option<&str> {
        let (_, serial_number) = self.aggregate_id.split_once('/')?;
        (self.aggregate_type == "Pass").then_some(serial_number)
    }

    /// The tag that it gave to a pass, and the date in Unix seconds.
    pub fn tag(&self) -> Option<(&str, i64)> {
        let fields = self.payload.as_object()?.values().next()?;
        Some((fields["etag"].as_str()?, fields["updatedAt"].as_i64()?))
    }
}

impl Storage {
    /// Every position of the log, in order.
    ///
    /// # Panics
    ///
    /// When the log cannot be read.
    pub async fn positions(&self) -> Vec<i64> {
        // The table's column: a bare name would be that of the text, on Postgres, and ten come before nine.
        let sql = "select cast(position as text) from events order by events.position";
        let positions = self.reads(Part::Log, sql, &[]).await;
        positions.iter().map(|position| position.parse().expect("a position")).collect()
    }

    /// The whole log, by position.
    ///
    /// # Panics
    ///
    /// When the log cannot be read.
    pub async fn recorded(&self) -> BTreeMap<u64, Recorded> {
        // Neither a type nor an identifier holds a line break.
        let sql = "select cast(position as text) || chr(10) || aggregate_type || chr(10) || aggregate_id || chr(10) || cast(payload as text)
                   from events";
        let sql = match self {
            Self::Sqlite { .. } => sql.replace("chr(", "char("),
            Self::Postgres { .. } => sql.to_owned(),
        };
        let rows = self.reads(Part::Log, &sql, &[]).await;
        let parsed = rows.iter().map(|row| {
            let mut columns = row.splitn(4, '\n');
            let mut column = || columns.next().expect("four columns");
            let position = column().parse().expect("a position");
            let (aggregate_type, aggregate_id) = (column().to_owned(), column().to_owned());
            let payload = serde_json::from_str(column()).expect("JSON");
            (position, Recorded { aggregate_type, aggregate_id, payload })
        });
        parsed.collect()
    }

    /// Waits until the read model shows everything that is in the log now.
    ///
    /// # Panics
    ///
    /// When it takes too long.
    pub async fn waits_for_read_model(&self) {
        let head = self.positions().await.last().copied().unwrap_or_default();
        eventually(PATIENCE, "the read model is at the head of the log", async || {
            let sql = "select cast(position as text) from projection_checkpoint";
            let position = self.reads(Part::ReadModel, sql, &[]).await;
            let position = position.first().and_then(|position| position.parse::<i64>().ok());
            (position >= Some(head)).then_some(())
        })
        .await;
    }

    /// The push tokens that the read model has for a device, one per pass type.
    ///
    /// # Panics
    ///
    /// When the read model cannot be read.
    pub async fn push_tokens(&self, device: &str) -> Vec<String> {
        let sql = "select push_token from wallet_device
                   where device_library_identifier = $1 and deleted_at is null
                   order by pass_type_identifier";
        self.reads(Part::ReadModel, sql, &[device]).await
    }

    /// Every row of every table of the read model, as text, by table, in order. What the program keeps about itself
    /// (`sqlite_…`, migrations, who is projecting) is left out, so that what was read at two times can be compared.
    ///
    /// # Panics
    ///
    /// When the read model cannot be read.
    pub async fn dump_read_model(&self) -> BTreeMap<String, Vec<String>> {
        match self {
            Self::Sqlite { data_dir } => dump_file(&read_model_file(data_dir).await).await,
            Self::Postgres { .. } => {
                let mut dump = BTreeMap::new();
                for table in self.read_model_tables().await {
                    dump.insert(table.clone(), self.rows(&table).await);
                }
                dump
            }
        }
    }

    /// Throws the tables away, while the program stands still: on SQLite the file; on Postgres what is in the tables,
    /// because the tables themselves are made by migrations, once.
    ///
    /// # Panics
    ///
    /// When there is no read model.
    pub async fn throws_read_model_away(&self) {
        match self {
            Self::Sqlite { data_dir } => {
                let file = read_model_file(data_dir).await;
                fs::remove_file(&file).expect("the file is there");
                for suffix in ["-wal", "-shm"] {
                    let mut beside = file.clone().into_os_string();
                    beside.push(suffix);
                    // After a clean end these are gone already.
                    drop(fs::remove_file(beside));
                }
            }
            Self::Postgres { .. } => {
                let tables = self.read_model_tables().await.join(", ");
                self.executes(Part::ReadModel, &format!("truncate {tables}"), &[]).await;
            }
        }
    }

    /// Appends an event to the log of a program that stands still and gives its position.
    ///
    /// # Panics
    ///
    /// When the log does not take it.
    pub async fn appends(&self, event: HandmadeEvent<'_>) -> u64 {
        let json = self.json();
        let sql = format!(
            "insert into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
                                 metadata, recorded_at)
             select (select max(position) + 1 from events), $1, $2,
                    (select coalesce(max(sequence), 0) + 1 from events where aggregate_type = $1 and aggregate_id = $2),
                    $3, '1', cast($4 as {json}), cast('{{}}' as {json}), 0
             returning cast(position as text)"
        );
        let payload = event.payload.to_string();
        let binds = [event.aggregate_type, event.aggregate_id, event.kind, &payload];
        let position = match self {
            Self::Sqlite { data_dir } => {
                let mut log = writes(&log_file(data_dir).await).await;
                sqlite_texts(&mut log, &sql, &binds).await
            }
            Self::Postgres { url } => postgres_texts(url, &sql, &binds).await,
        };
        position.first().and_then(|position| position.parse().ok()).expect("a position")
    }

    /// Puts another organisation with a key and a pass type into the log of a program that stands still.
    ///
    /// # Panics
    ///
    /// When the log does not take it.
    pub async fn founds_another_organization(&self, key: &str, pass_type_identifier: &str) {
        let organization = |kind, payload| HandmadeEvent {
            aggregate_type: "Organization",
            aggregate_id: "another",
            kind,
            payload: json!({ kind: payload }),
        };
        self.appends(organization(
            "OrganizationCreated",
            json!({ "organizationId": "another", "name": "Another" }),
        ))
        .await;
        let key_digest = crate::etag::sha256(key.as_bytes());
        self.appends(organization("ApiKeyAdded", json!({ "keyDigest": key_digest, "label": "test" }))).await;
        self.appends(HandmadeEvent {
            aggregate_type: "PassType",
            aggregate_id: pass_type_identifier,
            kind: "PassTypeCreated",
            payload: json!({ "PassTypeCreated": {
                "passTypeIdentifier": pass_type_identifier,
                "organizationId": "another",
                "teamIdentifier": "ABCDE12345",
            }}),
        })
        .await;
    }

    /// Writes over what an event in the log says, while the program stands still.
    ///
    /// # Panics
    ///
    /// When there is no such event.
    pub async fn replaces_payload(&self, position: u64, payload: &Value) {
        let sql = format!(
            "update events set payload = cast($1 as {}) where position = cast($2 as bigint)",
            self.json()
        );
        let binds = [payload.to_string(), position.to_string()];
        let replaced = self.executes(Part::Log, &sql, &[&binds[0], &binds[1]]).await;
        assert_eq!(replaced, 1, "there is no event at {position}");
    }

    /// Makes a column of an event something else than text, as a disk does, while the program stands still.
    ///
    /// # Panics
    ///
    /// When there is no such event.
    pub async fn spoils_text(&self, column: &str, position: u64) {
        // `{"?":1}` with a byte that is nowhere in UTF-8.
        let bytes = "7b22ff223a317d";
        match self {
            Self::Sqlite { .. } => {
                let sql = format!(
                    "update events set {column} = cast(x'{bytes}' as text) where position = {position}"
                );
                assert_eq!(self.executes(Part::Log, &sql, &[]).await, 1, "there is no event at {position}");
            }
            Self::Postgres { url } => {
                let r#type = if ["payload", "metadata"].contains(&column) { "json" } else { "text" };
                let condition = format!("position = {position}");
                honoken_test_postgres::put_bytes(url, "events", (column, r#type), bytes, &condition).await;
            }
        }
    }

    /// Keeps the running program from writing a table, until this ends: on SQLite its whole file.
    ///
    /// # Panics
    ///
    /// When it cannot be locked.
    pub async fn holds(&self, part: Part, table: &str) -> Hold {
        match self {
            Self::Sqlite { data_dir } => {
                let mut connection = writes(&file(data_dir, part).await).await;
                sqlx::query("begin immediate").execute(&mut connection).await.expect("the file is free");
                Hold::Sqlite(connection)
            }
            Self::Postgres { url } => {
                let mut connection = connects(url).await;
                let lock = format!("begin; lock table {table} in exclusive mode");
                sqlx::raw_sql(&lock).execute(&mut connection).await.expect("the table is free");
                Hold::Postgres(connection)
            }
        }
    }

    /// Asks something whose answer is one column of text. Placeholders are `$1` and so on, and take text.
    ///
    /// # Panics
    ///
    /// When it cannot be asked, or the answer is not text.
    pub async fn reads(&self, part: Part, sql: &str, binds: &[&str]) -> Vec<String> {
        match self {
            Self::Sqlite { data_dir } => {
                sqlite_texts(&mut reads(&file(data_dir, part).await).await, sql, binds).await
            }
            Self::Postgres { url } => postgres_texts(url, sql, binds).await,
        }
    }

    /// Executes a statement and gives the number of rows it touched, while the program stands still.
    ///
    /// # Panics
    ///
    /// When it cannot be executed.
    pub async fn executes(&self, part: Part, sql: &str, binds: &[&str]) -> u64 {
        match self {
            Self::Sqlite { data_dir } => {
                let mut connection = writes(&file(data_dir, part).await).await;
                let query = binds.iter().fold(sqlx::query(sql), |query, bind| query.bind(*bind));
                let done = query.execute(&mut connection).await;
                let done = done.unwrap_or_else(|error| panic!("{sql}: {error}"));
                connection.close().await.expect("the connection closes");
                done.rows_affected()
            }
            Self::Postgres { url } => {
                let mut connection = connects(url).await;
                let query = binds.iter().fold(sqlx::query(sql), |query, bind| query.bind(*bind));
                let done = query.execute(&mut connection).await;
                let done = done.unwrap_or_else(|error| panic!("{sql}: {error}"));
                connection.close().await.expect("the connection closes");
                done.rows_affected()
            }
        }
    }

    /// The names of all tables in a database, whatever they are for; none on SQLite, whose files can be counted.
    ///
    /// # Panics
    ///
    /// When they cannot be read.
    pub async fn tables(&self) -> Vec<String> {
        match self {
            Self::Sqlite { .. } => Vec::new(),
            Self::Postgres { url } => {
                let sql = "select distinct tablename::text from pg_tables where schemaname = any (current_schemas(false)) order by 1";
                postgres_texts(url, sql, &[]).await
            }
        }
    }

    /// The tables of the read model in a database.
    async fn read_model_tables(&self) -> Vec<String> {
        let all = self.tables().await.into_iter();
        let tables: Vec<String> = all
            .filter(|table| {
                table.starts_with("wallet_")
                    || ["projection_checkpoint", "parked_event", "skipped_event"].contains(&table.as_str())
            })
            .collect();
        assert!(!tables.is_empty(), "the database has no read model");
        tables
    }

    async fn rows(&self, table: &str) -> Vec<String> {
        let row = if table == "projection_checkpoint" {
            format!("to_jsonb(t) - '{{{}}}'::text[]", LEASE.join(","))
        } else {
            "to_jsonb(t)".to_owned()
        };
        let mut rows =
            self.reads(Part::ReadModel, &format!("select ({row})::text from {table} t"), &[]).await;
        rows.sort();
        rows
    }

    /// What JSON is stored as.
    fn json(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "text",
            Self::Postgres { .. } => "json",
        }
    }
}

/// A table that nobody writes.
#[derive(Debug)]
pub enum Hold {
    /// A transaction on its file.
    Sqlite(SqliteConnection),
    /// A transaction that has locked it.
    Postgres(PgConnection),
}

impl Hold {
    /// The table may be written again.
    ///
    /// # Panics
    ///
    /// When the connection is lost.
    pub async fn ends(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await.expect("the connection closes"),
            Self::Postgres(connection) => connection.close().await.expect("the connection closes"),
        }
    }
}

/// A connection that finds the tables of the live copy of the read model before those of the first.
async fn connects(url: &str) -> PgConnection {
    let mut connection = PgConnection::connect(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    let has_copies = "select to_regclass('read_model_copy') is not null";
    let has_copies: bool =
        sqlx::query_scalar(has_copies).fetch_one(&mut connection).await.expect("an answer");
    let live = if has_copies {
        sqlx::query_scalar(LIVE).fetch_optional(&mut connection).await.expect("the copies can be read")
    } else {
        None
    };
    if let Some(live) = live.filter(|live: &i64| *live > 1) {
        let path = format!("set search_path to read_model_{live}, public");
        sqlx::raw_sql(&path).execute(&mut connection).await.expect("the path is set");
    }
    connection
}

/// The copy of the read model that is read.
const LIVE: &str = "select copy from read_model_copy where state = 'live' order by version desc limit 1";

async fn postgres_texts(url: &str, sql: &str, binds: &[&str]) -> Vec<String> {
    let mut connection = connects(url).await;
    let query = binds.iter().fold(sqlx::query_scalar(sql), |query, bind| query.bind(*bind));
    let texts = query.fetch_all(&mut connection).await;
    let texts = texts.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.expect("the connection closes");
    texts
}

async fn sqlite_texts(connection: &mut SqliteConnection, sql: &str, binds: &[&str]) -> Vec<String> {
    let query = binds.iter().fold(sqlx::query_scalar(sql), |query, bind| query.bind(*bind));
    query.fetch_all(connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The file of a part.
async fn file(data_dir: &Path, part: Part) -> PathBuf {
    match part {
        Part::Log => log_file(data_dir).await,
        Part::ReadModel => read_model_file(data_dir).await,
        Part::Deliveries => file_with_table(data_dir, "delivery").await,
        Part::PersonKeys => file_with_table(data_dir, "person_key").await,
    }
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
async fn writes(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file);
    options.connect().await.unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The SQLite file of a data folder that has a table of this name.
async fn file_with_table(data_dir: &Path, table: &str) -> PathBuf {
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
async fn log_file(data_dir: &Path) -> PathBuf {
    file_with_table(data_dir, "events").await
}

/// The file of the read model.
async fn read_model_file(data_dir: &Path) -> PathBuf {
    let mut directory = reads(&file_with_table(data_dir, "read_model_copy").await).await;
    let live: i64 = sqlx::query_scalar(LIVE).fetch_one(&mut directory).await.expect("a copy is live");
    directory.close().await.expect("a reader closes");
    data_dir.join(if live == 1 {
        "read_model.sqlite".to_owned()
    } else {
        format!("read_model.{live}.sqlite")
    })
}

/// Every row of every table of a file, as text, by table, in order.
async fn dump_file(file: &Path) -> BTreeMap<String, Vec<String>> {
    let mut connection = reads(file).await;
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
