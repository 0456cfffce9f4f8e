//! Commands made durable, beside plain inserts of the very same rows into a table of the same kind.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use futures::future::join_all;
use honoken_database::sqlite::{Durability, open_writer};
use honoken_domain::pass::PassCommand;
use honoken_event_store::{Epoch, EventLog, Position, SqliteLog};
use honoken_test_postgres::Database;
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::rounds::{Comparison, PAIRS, Pair, Side, Spread, Stopwatch};
use crate::tickets::{self, Office};
use crate::{FOLDER, disk};

const SQLITE: Comparison = Comparison {
    title: "append, SQLite: 32 writers",
    ours: Side {
        name: "ours",
        does: "32 tasks, each replacing the content (0.9 KB, an event of about 1 KB) of one pass of its own through `Dispatcher::dispatch`",
        unit: "commands/s",
    },
    ceiling: Side {
        name: "ceiling",
        does: "the rows of that round again, one prepared insert each, 32 to a transaction, one connection",
        unit: "rows/s",
    },
    boundary: "from commands in memory to the last answer, after the sync; both files WAL and synchronous=FULL. Ours decides, serialises and \
               stores a snapshot every 100 events as well; the passes are in memory",
};

const SQLITE_COLD: Comparison = Comparison {
    title: "append, SQLite: 32 writers, nothing in memory",
    ours: Side {
        name: "ours",
        does: "as above, but the passes of a round have been forgotten before it: a command loads one to four events",
        unit: "commands/s",
    },
    boundary: "as above; each task goes round 100 passes of its own, which are too young for a snapshot",
    ..SQLITE
};

/// The other ceiling of a crowd on SQLite: more to a transaction than there are writers who wait.
const HUNDRED: Side = Side {
    name: "ceiling",
    does: "the same, 100 to a transaction: more than writers who wait for their answers can bring together",
    unit: "rows/s",
};

const SQLITE_ALONE: Comparison = Comparison {
    title: "append, SQLite: one writer alone",
    ours: Side {
        name: "ours",
        does: "one task, one pass, the next command after the answer to the last",
        unit: "commands/s",
    },
    ceiling: Side {
        name: "ceiling",
        does: "the rows of that round again, one prepared insert to a transaction",
        unit: "transactions/s",
    },
    ..SQLITE
};

const POSTGRES: Comparison = Comparison {
    title: "append, Postgres: 32 writers",
    ours: Side { name: "ours", does: SQLITE.ours.does, unit: "commands/s" },
    ceiling: Side {
        name: "ceiling",
        does: "`pgbench -M prepared -c 32 -j 2`: as many inserts of such a row, each a transaction, into a table with the same columns and indexes",
        unit: "rows/s",
    },
    boundary: "from commands in memory to the last answer, after the commit; one server, its default settings, on the same cores. Ours decides, \
               serialises, checks the streams under the lock of the log and stores a snapshot every 100 events as well; the passes are in memory",
};

const POSTGRES_COLD: Comparison = Comparison {
    title: "append, Postgres: 32 writers, nothing in memory",
    ours: Side { name: "ours", does: SQLITE_COLD.ours.does, unit: "commands/s" },
    boundary: SQLITE_COLD.boundary,
    ..POSTGRES
};

const POSTGRES_ALONE: Comparison = Comparison {
    title: "append, Postgres: one writer alone",
    ours: Side { name: "ours", does: SQLITE_ALONE.ours.does, unit: "commands/s" },
    ceiling: Side { name: "ceiling", does: "the same with `-c 1 -j 1`", unit: "rows/s" },
    ..POSTGRES
};

/// Who writes how much.
struct Case {
    comparison: Comparison<'static>,
    writers: usize,
    /// Passes of each writer.
    passes: usize,
    /// Commands of each writer in one round.
    commands: usize,
    /// Rows to a transaction of each plain file.
    batches: &'static [usize],
    /// Whether every round begins with an empty memory.
    cold: bool,
}

const CASES: [Case; 6] = [
    Case { comparison: SQLITE, writers: 32, passes: 1, commands: 300, batches: &[32, 100], cold: false },
    Case {
        comparison: SQLITE_COLD,
        writers: 32,
        passes: 100,
        commands: 100,
        batches: &[32, 100],
        cold: true,
    },
    Case { comparison: SQLITE_ALONE, writers: 1, passes: 1, commands: 1000, batches: &[1], cold: false },
    Case { comparison: POSTGRES, writers: 32, passes: 1, commands: 300, batches: &[1], cold: false },
    Case { comparison: POSTGRES_COLD, writers: 32, passes: 100, commands: 100, batches: &[1], cold: true },
    Case { comparison: POSTGRES_ALONE, writers: 1, passes: 1, commands: 1000, batches: &[1], cold: false },
];

pub(crate) async fn run() {
    let folder = TempDir::new_in(FOLDER).expect("a folder");
    let mut probe = File::create(folder.path().join("probe")).expect("a file");
    let mut syncs = Vec::new();
    let (sqlite, postgres) = CASES.split_at(3);
    for (number, case) in sqlite.iter().enumerate() {
        let mut bench = Bench::on_sqlite(folder.path(), number, case).await;
        bench.runs(&mut probe, &mut syncs).await;
    }
    for case in postgres {
        let mut bench = Bench::on_postgres(folder.path(), case).await;
        bench.runs(&mut probe, &mut syncs).await;
    }
    println!(
        "\ndisk of append: {}; 4 KiB writes with fsync, between the rounds: {} a second",
        disk::file_system(folder.path()),
        Spread::of(syncs)
    );
}

/// An office with passes, and a place for plain inserts.
struct Bench<'a> {
    case: &'a Case,
    office: Office,
    /// The passes of each writer.
    passes: Vec<Vec<String>>,
    /// One for each number of rows to a transaction.
    plain: Vec<Plain>,
    /// Positions up to here are not for the plain table, or in it already.
    copied: Position,
    seat: usize,
}

/// Where rows are inserted without anything else.
enum Plain {
    Sqlite(SqliteConnection),
    Postgres(Box<Server>),
}

struct Server {
    /// Where the office is; dropped with the rest.
    _office: Database,
    plain: Database,
    script: PathBuf,
}

impl<'a> Bench<'a> {
    async fn on_sqlite(folder: &Path, number: usize, case: &'a Case) -> Self {
        let mut plain = Vec::new();
        for batch in case.batches {
            let file = folder.join(format!("plain-{number}-{batch}.sqlite"));
            plain.push(Plain::Sqlite(plain_file(&file).await));
        }
        let log = folder.join(format!("log-{number}.sqlite"));
        Self::new(case, Office::in_file(&log).await, plain).await
    }

    async fn on_postgres(folder: &Path, case: &'a Case) -> Self {
        let (ours, plain) =
            (honoken_test_postgres::database().await, honoken_test_postgres::database().await);
        let office = Office::on_server(ours.url()).await;
        make_plain_table(plain.url()).await;
        let plain =
            Plain::Postgres(Box::new(Server { _office: ours, plain, script: folder.join("insert.sql") }));
        Self::new(case, office, vec![plain]).await
    }

    async fn new(case: &'a Case, office: Office, plain: Vec<Plain>) -> Self {
        let mut passes = Vec::new();
        for writer in 0..case.writers {
            let serial_numbers = (0..case.passes).map(|pass| format!("{writer}-{pass}"));
            passes.push(join_all(serial_numbers.map(|serial| office.issues(serial))).await);
        }
        let copied = *office.log.head().borrow();
        Self { case, office, passes, plain, copied, seat: 0 }
    }

    async fn runs(&mut self, probe: &mut File, syncs: &mut Vec<f64>) {
        let mut pairs = vec![Vec::new(); self.plain.len()];
        for _ in 0..=PAIRS {
            syncs.push(disk::syncs_per_second(probe));
            for (pairs, pair) in pairs.iter_mut().zip(self.round().await) {
                pairs.push(pair);
            }
        }
        let others = [Comparison { ceiling: HUNDRED, ..self.case.comparison }];
        for (comparison, pairs) in [self.case.comparison].into_iter().chain(others).zip(pairs) {
            comparison.report(&pairs[1..]);
        }
    }

    /// A round of commands, with one of each ceiling.
    async fn round(&mut self) -> Vec<Pair> {
        if self.case.cold {
            self.office = self.office.next_morning();
        }
        let (commands, ours) = self.commands().await;
        let rows = self.new_rows().await;
        assert_eq!(rows.len(), commands, "every command is one row");
        let mut pairs = Vec::new();
        for number in 0..self.plain.len() {
            pairs.push(Pair { ours, ceiling: self.inserts(number, &rows).await });
        }
        pairs
    }

    /// One round of commands: how many, and how many a second.
    async fn commands(&mut self) -> (usize, f64) {
        let each = self.case.commands;
        let mut writers = Vec::new();
        for passes in &self.passes {
            let commands: Vec<(String, PassCommand)> = (1..=each)
                .map(|n| (passes[(self.seat + n) % passes.len()].clone(), tickets::moves_to(self.seat + n)))
                .collect();
            writers.push((self.office.clone(), commands));
        }
        self.seat += each;
        let watch = Stopwatch::start();
        let mut tasks = JoinSet::new();
        for (office, commands) in writers {
            tasks.spawn(async move {
                for (pass, command) in commands {
                    office.dispatches(&pass, command).await;
                }
            });
        }
        tasks.join_all().await;
        let count = each * self.passes.len();
        (count, watch.rate(count))
    }

    /// The rows that the log has and the plain table has not.
    async fn new_rows(&mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        loop {
            let events = self.office.log.read_after(self.copied, 1000).await.expect("the log can be read");
            let Some(last) = events.last() else { return rows };
            self.copied = last.position;
            rows.extend(events.into_iter().map(|recorded| {
                let event = recorded.event;
                Row {
                    position: recorded.position.0.cast_signed(),
                    aggregate_type: event.aggregate_type,
                    aggregate_id: event.aggregate_id,
                    sequence: i64::try_from(event.sequence).expect("a small number"),
                    event_type: event.event_type,
                    event_version: event.event_version,
                    payload: event.payload.to_string(),
                    metadata: event.metadata.to_string(),
                    recorded_at: recorded.recorded_at_ms,
                }
            }));
        }
    }

    /// One round of plain inserts: how many a second.
    async fn inserts(&mut self, number: usize, rows: &[Row]) -> f64 {
        match &mut self.plain[number] {
            Plain::Sqlite(connection) => {
                let watch = Stopwatch::start();
                for rows in rows.chunks(self.case.batches[number]) {
                    insert(connection, rows).await.expect("the rows are inserted");
                }
                watch.rate(rows.len())
            }
            Plain::Postgres(server) => {
                fs::write(&server.script, pgbench_script(&rows[0])).expect("a file");
                pgbench(server.plain.url(), &server.script, self.case.writers, self.case.commands)
            }
        }
    }
}

/// A row of `events`.
struct Row {
    position: i64,
    aggregate_type: String,
    aggregate_id: String,
    sequence: i64,
    event_type: String,
    event_version: String,
    payload: String,
    metadata: String,
    recorded_at: i64,
}

/// A file with the tables of the log, opened as the log's writer opens its own.
async fn plain_file(file: &Path) -> SqliteConnection {
    SqliteLog::open(file, Epoch(1)).await.expect("the tables are made").close().await;
    open_writer(file, Durability::EveryCommit).await.expect("the file opens")
}

async fn insert(connection: &mut SqliteConnection, rows: &[Row]) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    for row in rows {
        sqlx::query(
            "insert into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(row.position)
        .bind(&row.aggregate_type)
        .bind(&row.aggregate_id)
        .bind(row.sequence)
        .bind(&row.event_type)
        .bind(&row.event_version)
        .bind(&row.payload)
        .bind(&row.metadata)
        .bind(row.recorded_at)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

/// The table of the log, with numbers that the server gives.
async fn make_plain_table(url: &str) {
    drop(Office::on_server(url).await);
    let mut connection = PgConnection::connect(url).await.expect("the server answers");
    let made = connection.execute("create sequence positions cache 1; create sequence sequences cache 1");
    made.await.expect("sequences are made");
}

/// The insert of a row like this one. `pgbench` takes a colon before a letter for a variable.
fn pgbench_script(row: &Row) -> String {
    let quoted = |json: &str| {
        let json: Value = serde_json::from_str(json).expect("JSON");
        let spaced = json.to_string().replace(':', ": ").replace(": //", "://").replace('\'', "''");
        format!("'{spaced}'")
    };
    format!(
        "insert into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at)
         values (nextval('positions'), '{}', '{}-' || :client_id, nextval('sequences'), '{}', '{}', {}, {}, {});\n",
        row.aggregate_type,
        row.aggregate_id,
        row.event_type,
        row.event_version,
        quoted(&row.payload),
        quoted(&row.metadata),
        row.recorded_at
    )
}

/// Transactions a second, without the time to connect.
fn pgbench(url: &str, script: &Path, clients: usize, transactions: usize) -> f64 {
    let mut command = Command::new(honoken_test_postgres::program("pgbench"));
    command.args(["--no-vacuum", "--protocol=prepared", "--file"]).arg(script);
    command.args(["--client", &clients.to_string(), "--jobs", &clients.min(2).to_string()]);
    command.args(["--transactions", &transactions.to_string()]).arg(url);
    let output = command.output().expect("pgbench starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let tps = line.and_then(|line| line.split(' ').next()).and_then(|tps| tps.parse().ok());
    tps.unwrap_or_else(|| panic!("pgbench says no rate: {text}"))
}
