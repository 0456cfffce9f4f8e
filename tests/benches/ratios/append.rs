//! Commands made durable, beside plain inserts of the very same rows into a file of the same kind.

use std::fs::File;
use std::path::{Path, PathBuf};

use futures::future::join_all;
use honoken_domain::pass::PassCommand;
use honoken_event_store::database::sqlite::{Durability, open_writer};
use honoken_event_store::{Epoch, SqliteLog};
use honoken_tests::storage;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::rounds::{Comparison, PAIRS, Pair, Side, Spread, Stopwatch};
use crate::tickets::{self, Office};
use crate::{FOLDER, disk};

const CROWD: Comparison = Comparison {
    title: "append: 32 writers",
    ours: Side {
        name: "ours",
        does: "32 tasks, each replacing the content (0.9 KB, an event of about 1 KB) of one pass of its own through `Dispatcher::dispatch`",
        unit: "commands/s",
    },
    ceiling: Side {
        name: "ceiling",
        does: "the rows of that round again, one prepared insert each, 100 to a transaction, one connection",
        unit: "rows/s",
    },
    boundary: "from commands in memory to the last answer, after the sync; both files WAL and synchronous=FULL. Ours loads, decides, \
               serialises and stores a snapshot every 100 events as well: a command loads a snapshot and about 50 events",
};

const CROWD_WITH_SEVERAL: Comparison = Comparison {
    title: "append: 32 writers, young passes",
    ours: Side {
        name: "ours",
        does: "as above, each task going round 250 passes of its own: a command loads one to four events",
        unit: "commands/s",
    },
    boundary: "as above, but that no pass is old enough for a snapshot",
    ..CROWD
};

const ALONE: Comparison = Comparison {
    title: "append: one writer alone",
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
    ..CROWD
};

/// Who writes how much.
struct Case {
    comparison: Comparison,
    writers: usize,
    /// Passes of each writer.
    passes: usize,
    /// Commands of each writer in one round.
    commands: usize,
    /// Rows to a transaction of the plain file.
    batch: usize,
}

const CASES: [Case; 3] = [
    Case { comparison: CROWD, writers: 32, passes: 1, commands: 100, batch: 100 },
    Case { comparison: CROWD_WITH_SEVERAL, writers: 32, passes: 250, commands: 100, batch: 100 },
    Case { comparison: ALONE, writers: 1, passes: 1, commands: 500, batch: 1 },
];

pub(crate) async fn run() {
    let folder = TempDir::new_in(FOLDER).expect("a folder");
    let mut probe = File::create(folder.path().join("probe")).expect("a file");
    let mut syncs = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        let mut bench = Bench::new(folder.path(), number, case).await;
        let mut pairs = Vec::new();
        for _ in 0..=PAIRS {
            syncs.push(disk::syncs_per_second(&mut probe));
            pairs.push(bench.pair().await);
        }
        case.comparison.report(&pairs[1..]);
    }
    println!(
        "\ndisk of append: {}; 4 KiB writes with fsync, between the rounds: {} a second",
        disk::file_system(folder.path()),
        Spread::of(syncs)
    );
}

/// An office with passes, and a second file for plain inserts.
struct Bench<'a> {
    case: &'a Case,
    office: Office,
    log: PathBuf,
    /// The passes of each writer.
    passes: Vec<Vec<String>>,
    plain: SqliteConnection,
    /// Positions up to here are not for the plain file, or in it already.
    copied: i64,
    seat: usize,
}

impl<'a> Bench<'a> {
    async fn new(folder: &Path, number: usize, case: &'a Case) -> Self {
        let [log, plain] = ["log", "plain"].map(|name| folder.join(format!("{name}-{number}.sqlite")));
        let office = Office::open(&log).await;
        let mut passes = Vec::new();
        for writer in 0..case.writers {
            let serial_numbers = (0..case.passes).map(|pass| format!("{writer}-{pass}"));
            passes.push(join_all(serial_numbers.map(|serial| office.issues(serial))).await);
        }
        let copied = i64::try_from(case.writers * case.passes).expect("a small number");
        Self { case, office, log, passes, plain: plain_file(&plain).await, copied, seat: 0 }
    }

    async fn pair(&mut self) -> Pair {
        let (commands, ours) = self.commands().await;
        let rows = self.new_rows().await;
        assert_eq!(rows.len(), commands, "every command is one row");
        let watch = Stopwatch::start();
        for rows in rows.chunks(self.case.batch) {
            insert(&mut self.plain, rows).await.expect("the rows are inserted");
        }
        Pair { ours, ceiling: watch.rate(commands) }
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

    /// The rows that the log has and the plain file has not.
    async fn new_rows(&mut self) -> Vec<Row> {
        let rows: Vec<Row> = sqlx::query_as(
            "select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at
             from events
             where position > $1
             order by position",
        )
        .bind(self.copied)
        .fetch_all(&mut storage::reads(&self.log).await)
        .await
        .expect("the log can be read");
        self.copied = rows.last().map_or(self.copied, |row| row.0);
        rows
    }
}

/// A row of `events`.
type Row = (i64, String, String, i64, String, String, String, String, i64);

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
        .bind(row.0)
        .bind(&row.1)
        .bind(&row.2)
        .bind(row.3)
        .bind(&row.4)
        .bind(&row.5)
        .bind(&row.6)
        .bind(&row.7)
        .bind(row.8)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}
