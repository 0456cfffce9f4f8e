//! `honoken log copy` from SQLite to Postgres, beside `COPY` of the same rows; and the memory that it takes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use honoken_database::postgres::options;
use honoken_event_store::transfer::{Identity, StoredEvent, Target};
use honoken_event_store::{Epoch, Mark, Position, postgres};
use serde_json::json;

use crate::rounds::{Comparison, Pair, Side, Stopwatch};
use crate::{FOLDER, PROGRAM};

/// Events of the log, and of the one whose memory is compared with it.
const EVENTS: u64 = 1_000_000;
const FEWER: u64 = 100_000;

/// Events of each stream.
const OF_A_STREAM: u64 = 10;

/// Pairs that count: each takes minutes.
const PAIRS: usize = 3;

const COMPARISON: Comparison = Comparison {
    title: "copying, SQLite to Postgres",
    ours: Side {
        name: "ours",
        does: "`honoken log copy`: 1,000,000 events of 100,000 streams, 1 KB each, read from the file, written, read again and compared",
        unit: "events/s",
    },
    ceiling: Side {
        name: "ceiling",
        does: "`psql -c 'copy events from stdin'` of the same rows from a file into the same tables",
        unit: "rows/s",
    },
    boundary: "from the start of either program to its end, the server on the same cores. Ours reads both sides and hashes them",
};

pub(crate) async fn run() {
    let folder = tempfile::tempdir_in(FOLDER).expect("a folder");
    let (fewer, all) = (folder.path().join("fewer"), folder.path().join("all"));
    fill(&fewer, FEWER).await;
    fill(&all, EVENTS).await;
    let (_, small) = copies(&fewer, &database().await).await;
    let mut pairs = Vec::new();
    let mut large = 0;
    let rows = folder.path().join("rows");
    for _ in 0..PAIRS {
        let to = database().await;
        let (ours, memory) = copies(&all, &to).await;
        large = large.max(memory);
        if !rows.exists() {
            let out = File::create(&rows).expect("a file");
            psql(&to, "copy (select * from events order by position) to stdout", Stdio::null(), out.into());
        }
        drop(to);
        let to = database().await;
        let rows = File::open(&rows).expect("the rows");
        let watch = Stopwatch::start();
        psql(&to, "copy events from stdin", rows.into(), Stdio::null());
        pairs.push(Pair { ours, ceiling: watch.rate(count(EVENTS)) });
    }
    COMPARISON.report(&pairs);
    println!("  memory    {small} KB at the most for {FEWER} events, {large} KB for {EVENTS}");
}

fn count(events: u64) -> usize {
    usize::try_from(events).expect("a small number")
}

/// A database with the tables of an event log, which do not know that it is full.
async fn database() -> honoken_test_postgres::Database {
    let database = honoken_test_postgres::database().await;
    postgres::migrate(&options(database.url()).expect("a URL")).await.expect("the tables are made");
    database
}

/// Makes a folder with a log of so many events.
async fn fill(folder: &Path, events: u64) {
    std::fs::create_dir(folder).expect("a folder");
    let mut target = Target::in_file(&folder.join("events.sqlite")).await.expect("a log");
    let identity = Identity { epoch: Epoch(1), marks: vec![Mark::Serve], is_gapless: true };
    target.begin(&identity).await.expect("it is empty");
    let all: Vec<u64> = (0..events).collect();
    for batch in all.chunks(2_000) {
        let batch: Vec<StoredEvent> = batch.iter().map(|number| event(*number)).collect();
        target.append(&batch).await.expect("they are appended");
    }
    target.finish(&identity).await.expect("it is complete");
    target.close().await.expect("it is closed");
}

fn event(number: u64) -> StoredEvent {
    let text = "A text of a pass that is about as long as such texts are. ".repeat(15);
    StoredEvent {
        position: Position(number + 1),
        aggregate_type: "Pass".into(),
        aggregate_id: format!("pass.com.example.ticket/{}", number / OF_A_STREAM),
        sequence: (number % OF_A_STREAM + 1).cast_signed(),
        event_type: "PassContentReplaced".into(),
        event_version: "1".into(),
        recorded_at_ms: 1_700_000_000_000 + number.cast_signed(),
        payload: json!({ "PassContentReplaced": { "number": number, "text": text } }).to_string(),
        metadata: json!({ "actor": "api-key:2c70e12b7a06", "requestId": format!("r-{number}") }).to_string(),
    }
}

/// One copy: its rate, and the most memory that the program had, in KB.
async fn copies(from: &Path, to: &honoken_test_postgres::Database) -> (f64, u64) {
    let events = if from.ends_with("all") { EVENTS } else { FEWER };
    let watch = Stopwatch::start();
    let mut copying = tokio::process::Command::new(PROGRAM)
        .args(["log", "copy", "--from", &format!("sqlite:{}", from.display()), "--to", to.url()])
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let status: PathBuf = format!("/proc/{}/status", copying.id().expect("it runs")).into();
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
    let mut most = 0;
    loop {
        tokio::select! {
            ended = copying.wait() => {
                assert!(ended.expect("it ends").success(), "the copy failed");
                return (watch.rate(count(events)), most);
            }
            _ = ticks.tick() => most = most.max(peak(&status)),
        }
    }
}

/// The most memory that a process has had, in KB; 0 when it has ended.
fn peak(status: &Path) -> u64 {
    let status = std::fs::read_to_string(status).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default()
}

fn psql(database: &honoken_test_postgres::Database, sql: &str, input: Stdio, output: Stdio) {
    let mut command = Command::new(honoken_test_postgres::program("psql"));
    let status = command.args([database.url(), "-X", "-q", "-c", sql]).stdin(input).stdout(output).status();
    assert!(status.expect("psql starts").success(), "psql failed");
}
