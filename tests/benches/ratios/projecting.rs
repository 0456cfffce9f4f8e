//! The read model filled from the whole log, beside the log's rows merely leaving the server.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use honoken_database::postgres;
use honoken_domain::ids::UnixSeconds;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Position};
use honoken_projections::{CopyState, Filler, ReadModel, Times, WALLET, read_model};
use tokio_util::sync::CancellationToken;

use crate::rounds::{Comparison, PAIRS, Pair, Side, Stopwatch};
use crate::tickets::{self, Office};

/// Passes, and changes of each behind its first event.
const PASSES: usize = 2_000;
const CHANGES: usize = 9;

/// Passes that are written at the same time.
const AT_ONCE: usize = 100;

const COMPARISON: Comparison = Comparison {
    title: "projecting, Postgres",
    ours: Side {
        name: "ours",
        does: "a rebuild: 20,000 events of 2,000 passes (a first event and nine new contents each, about 1 KB an event) read from the log and \
               applied to new tables, which take over",
        unit: "events/s",
    },
    ceiling: Side {
        name: "ceiling",
        does: "`psql -c 'copy (select all columns from events order by position) to stdout'`, thrown away",
        unit: "rows/s",
    },
    boundary: "from the wish to the switch, and from the start of psql to its end; log and read model in one database, the server on the same \
               cores. Ours parses every event, and the server sorts the rows it writes into their indexes",
};

pub(crate) async fn run() {
    let database = honoken_test_postgres::database().await;
    let office = Office::on_server(database.url()).await;
    let events = fill(&office).await;
    let options = postgres::options(database.url()).expect("a URL");
    read_model::migrate(&options).await.expect("the tables are made");
    let read_model = ReadModel::on_server(&options).await.expect("the read model opens");
    let never = || Arc::new(|| UnixSeconds(0));
    let times = Times { now: never(), cutoff: never() };
    let filler = Filler::new(office.log.clone(), Upcasters::current(), read_model.clone(), times);
    let stop = CancellationToken::new();
    let filling = tokio::spawn(filler.run(stop.clone()));
    let reporting = tokio::spawn({
        let read_model = read_model.clone();
        async move { read_model.keep_reporting().await }
    });
    let mut pairs = Vec::new();
    for _ in 0..=PAIRS {
        let watch = Stopwatch::start();
        rebuilds(&read_model).await;
        let ours = watch.rate(events);
        let position = read_model.checkpoint(WALLET).await.expect("the position");
        assert_eq!(position, *office.log.head().borrow(), "all events are applied");
        assert_eq!(read_model.parked_count(WALLET).await.expect("a number"), 0, "none is parked");
        pairs.push(Pair { ours, ceiling: copies(database.url(), events) });
    }
    stop.cancel();
    filling.await.expect("the filler ends");
    reporting.abort();
    COMPARISON.report(&pairs[1..]);
}

/// A rebuild, from the wish to the moment at which its tables are the live ones.
async fn rebuilds(read_model: &ReadModel) {
    let copies = read_model.copies();
    let id = copies.rebuild(false, UnixSeconds(0)).await.expect("none is at work");
    read_model.wishes_changed();
    loop {
        let all = copies.all().await.expect("the copies");
        if all.iter().any(|copy| copy.id == id && copy.state == CopyState::Live) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Issues passes and changes them; how many events that makes.
async fn fill(office: &Office) -> usize {
    for first in (0..PASSES).step_by(AT_ONCE) {
        let lives = (first..first + AT_ONCE).map(|number| async move {
            let pass = office.issues(number.to_string()).await;
            for change in 1..=CHANGES {
                office.dispatches(&pass, tickets::moves_to(change)).await;
            }
        });
        join_all(lives).await;
    }
    let head: Position = *office.log.head().borrow();
    usize::try_from(head.0).expect("a small number")
}

/// One round of `COPY`: how many rows a second.
fn copies(url: &str, rows: usize) -> f64 {
    let copy = "copy (select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at
                      from events order by position) to stdout";
    let mut command = Command::new(honoken_test_postgres::program("psql"));
    command.args([url, "-X", "-q", "-c", copy]).stdout(Stdio::null());
    let watch = Stopwatch::start();
    let status = command.status().expect("psql starts");
    let rate = watch.rate(rows);
    assert!(status.success(), "psql: {status}");
    rate
}
