//! A command for a pass with 10,000 events, beside one for a pass with 100.

use std::time::Duration;

use tempfile::TempDir;

use crate::FOLDER;
use crate::rounds::{Comparison, PAIRS, Pair, Side, Spread, Stopwatch};
use crate::tickets::{self, Office};

/// Commands for each of the two passes in one round. Nine rounds take both through the hundred events between snapshots nearly five times.
const COMMANDS: usize = 50;

const LONG: usize = 10_000;
const SHORT: usize = 100;

const SQLITE: Comparison = Comparison {
    title: "snapshots, SQLite: 10,000 events",
    ours: Side {
        name: "old",
        does: "a command for a pass that has 10,000 events",
        unit: "µs, median of the round's commands",
    },
    ceiling: Side {
        name: "young",
        does: "a command for a pass that has 100 events",
        unit: "µs, median of the round's commands",
    },
    boundary: "one `Dispatcher::dispatch`, to the answer after the sync, by a dispatcher that has nothing in memory; one at a time, the two \
               passes in turn, in one log; both are always equally far behind their last snapshot. Smaller is better, 1 means that age does \
               not matter",
};

const POSTGRES: Comparison = Comparison { title: "snapshots, Postgres: 10,000 events", ..SQLITE };

pub(crate) async fn run() {
    let folder = TempDir::new_in(FOLDER).expect("a folder");
    compare(SQLITE, Office::in_file(&folder.path().join("log.sqlite")).await).await;
    let database = honoken_test_postgres::database().await;
    compare(POSTGRES, Office::on_server(database.url()).await).await;
}

async fn compare(comparison: Comparison<'_>, office: Office) {
    let [long, short] = [grown(&office, "long", LONG).await, grown(&office, "short", SHORT).await];
    let mut seat = LONG;
    let mut pairs = Vec::new();
    for _ in 0..=PAIRS {
        let (mut of_long, mut of_short) = (Vec::new(), Vec::new());
        for _ in 0..COMMANDS {
            seat += 1;
            of_long.push(micros(timed(&office, &long, seat).await));
            of_short.push(micros(timed(&office, &short, seat).await));
        }
        pairs.push(Pair { ours: Spread::of(of_long).median, ceiling: Spread::of(of_short).median });
    }
    comparison.report(&pairs[1..]);
}

/// A pass with so many events.
async fn grown(office: &Office, serial_number: &str, events: usize) -> String {
    let pass = office.issues(serial_number.to_owned()).await;
    for seat in 1..events {
        office.dispatches(&pass, tickets::moves_to(seat)).await;
    }
    pass
}

async fn timed(office: &Office, pass: &str, seat: usize) -> Duration {
    let (office, command) = (office.next_morning(), tickets::moves_to(seat));
    let watch = Stopwatch::start();
    office.dispatches(pass, command).await;
    watch.elapsed()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
