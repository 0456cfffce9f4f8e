//! A server that is stopped and killed while processes write: no acknowledged event is lost, and no process opens the event log again.

use std::collections::BTreeMap;
use std::sync::Arc;

use honoken_event_store::{AppendError, EventLog, LogError, Position, PostgresLog, RecordedEvent, postgres};
use honoken_test_postgres::Cluster;
use sqlx::{Connection, PgConnection};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::note::{Note, append};
use crate::proxy::{Network, Proxy};
use crate::store::{EPOCH, PATIENCE, eventually, open, options};

/// Processes, and streams that each of them writes to at once.
const PROCESSES: usize = 3;
const STREAMS: usize = 8;

/// Acknowledged events between one misfortune and the next.
const BETWEEN: usize = 300;

/// An event that was acknowledged.
struct Acknowledged {
    position: Position,
    stream: String,
    sequence: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_outlives_a_server_that_is_killed_and_stopped() {
    let mut cluster = Cluster::start().await;
    let url = cluster.create_database().await;
    postgres::migrate(&options(&url)).await.unwrap();
    let mut logs = Vec::new();
    for _ in 0..PROCESSES {
        logs.push(Arc::new(open(&url, EPOCH).await));
    }
    let (acknowledge, mut acknowledged) = mpsc::unbounded_channel();
    let mut writers = JoinSet::new();
    for stream in 0..PROCESSES * STREAMS {
        let log = logs[stream % PROCESSES].clone();
        writers.spawn(write(log, stream.to_string(), acknowledge.clone()));
    }
    let mut all: BTreeMap<u64, (String, u64)> = BTreeMap::new();
    let mut take = async |events: usize| {
        for _ in 0..events {
            let one = timeout(PATIENCE, acknowledged.recv()).await.expect("the log goes on").unwrap();
            let Acknowledged { position, stream, sequence } = one;
            assert_eq!(all.insert(position.0, (stream, sequence)), None, "position {position} twice");
        }
    };
    take(BETWEEN).await;
    cluster.kill().await;
    cluster.start_again().await;
    take(BETWEEN).await;
    cluster.stop().await;
    cluster.start_again().await;
    take(BETWEEN).await;
    cluster.kill().await;
    cluster.start_again().await;
    take(BETWEEN).await;
    assert!(writers.try_join_next().is_none(), "a writer has given up: see what it printed");
    writers.shutdown().await;
    while let Ok(Acknowledged { position, stream, sequence }) = acknowledged.try_recv() {
        all.insert(position.0, (stream, sequence));
    }

    // A connection that has just been used is not tried before it is used again, so a first question may still meet the killed server.
    let events = eventually(|| async { logs[0].read_after(Position(0), u32::MAX).await.ok() }).await;
    let positions: Vec<_> = events.iter().map(|event| event.position.0).collect();
    assert_eq!(positions, (1..=events.len() as u64).collect::<Vec<_>>(), "no gap");
    let there: BTreeMap<_, _> = events
        .into_iter()
        .map(|event| (event.position.0, (event.event.aggregate_id, event.event.sequence as u64)))
        .collect();
    for (position, event) in &all {
        assert_eq!(there.get(position), Some(event), "position {position} was acknowledged");
    }
}

/// Appends one event after the other until it is stopped. After a failure it looks where the stream is, as a dispatcher does.
async fn write(log: Arc<PostgresLog>, stream: String, acknowledge: mpsc::UnboundedSender<Acknowledged>) {
    let mut sequence = 0;
    loop {
        match log.append(append(&stream, sequence, &["x"])).await {
            Ok(position) => {
                sequence += 1;
                let one = Acknowledged { position, stream: stream.clone(), sequence };
                acknowledge.send(one).expect("the test listens");
            }
            Err(AppendError::Log(LogError::Unavailable { .. }) | AppendError::Unknown(_)) => {
                let events = eventually(|| async { log.load::<Note>(&stream, 0).await.ok() }).await;
                let there = events.len() as u64;
                assert!(there >= sequence, "{stream} has lost acknowledged events: {there} of {sequence}");
                sequence = there;
            }
            Err(fault) => panic!("nobody else writes to {stream}: {fault}"),
        }
    }
}

#[tokio::test]
async fn an_append_after_a_restart_that_nobody_noticed_is_made() {
    let mut cluster = Cluster::start().await;
    let url = cluster.create_database().await;
    postgres::migrate(&options(&url)).await.unwrap();
    let log = open(&url, EPOCH).await;
    assert_eq!(log.append(append("a", 0, &["one"])).await.unwrap(), Position(1));
    cluster.stop().await;
    cluster.start_again().await;
    assert_eq!(log.append(append("a", 1, &["two"])).await.unwrap(), Position(2));
    cluster.kill().await;
    cluster.start_again().await;
    assert_eq!(log.append(append("a", 2, &["three"])).await.unwrap(), Position(3));
    cluster.stop().await;
    let refused = log.append(append("a", 3, &["four"])).await;
    assert!(
        matches!(refused, Err(AppendError::Log(LogError::Unavailable { doing: "written", .. }))),
        "{refused:?}"
    );
    cluster.start_again().await;
    assert_eq!(log.append(append("a", 3, &["four"])).await.unwrap(), Position(4));
}

/// How often the server is given a chance to forget a transaction.
const ATTEMPTS: usize = 10;

#[tokio::test]
async fn an_append_is_not_taken_for_that_of_another_process_to_which_a_crashed_server_gave_its_number() {
    let mut cluster = Cluster::start().await;
    for _ in 0..ATTEMPTS {
        if let Some((outcome, events)) = crash_in_a_transaction(&mut cluster).await {
            assert!(
                matches!(outcome, Err(AppendError::Log(LogError::Unavailable { doing: "written", .. }))),
                "{outcome:?}"
            );
            assert!(events.iter().all(|event| event.event.aggregate_id != "lost"), "{events:?}");
            return;
        }
    }
    panic!("the server never forgot a transaction");
}

/// Kills the server while it waits for a commit. Once another process has committed under the number of the transaction, its writer may ask
/// what became of it. `None` when the server had written the number down.
async fn crash_in_a_transaction(
    cluster: &mut Cluster,
) -> Option<(Result<Position, AppendError>, Vec<RecordedEvent>)> {
    let url = cluster.create_database().await;
    postgres::migrate(&options(&url)).await.unwrap();
    let proxy = Proxy::start(&url).await;
    let log = open(proxy.url(), EPOCH).await;
    proxy.becomes(Network::KeepsCommit);
    let appending = tokio::spawn(async move { log.append(append("lost", 0, &["x"])).await });
    eventually(|| async { (proxy.network() == Network::HasKeptCommit).then_some(()) }).await;
    let number = number_of_open_transaction(&url).await;
    cluster.kill().await;
    cluster.start_again().await;

    let others = open(&url, EPOCH).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut status: Option<String> = None;
    for stream in 0..ATTEMPTS {
        others.append(append(&stream.to_string(), 0, &["x"])).await.unwrap();
        let asked = sqlx::query_scalar("select pg_xact_status($1::xid8)").bind(&number);
        // A number of the future is an error, and another append brings it nearer.
        status = asked.fetch_one(&mut connection).await.unwrap_or(None);
        if status.is_some() {
            break;
        }
    }
    proxy.becomes(Network::Works);
    let outcome = appending.await.unwrap();
    let events = others.read_after(Position(0), 100).await.unwrap();
    (status.as_deref() == Some("committed")).then_some((outcome, events))
}

async fn number_of_open_transaction(url: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let number = "select backend_xid::text from pg_stat_activity
                  where datname = current_database() and backend_xid is not null";
    sqlx::query_scalar(number).fetch_one(&mut connection).await.unwrap()
}
