//! Sixteen processes write a million events into one log while four follow it: positions appear in order, without a gap.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "says how fast it was")]

use std::time::{Duration, Instant};

use honoken_event_store::{EventLog, Position, PostgresLog};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::note::append;
use crate::store::{EPOCH, Store, open};

const EVENTS: u64 = 1_000_000;
const WRITERS: u64 = 16;
const READERS: u64 = 4;

/// Streams per writer, each with one append in flight.
const STREAMS: u64 = 8;

const EVENTS_PER_APPEND: u64 = 200;

/// More events than a reader is ever given at once.
const PAGE: u32 = 2_000;

/// When nothing has come for so long, nothing will.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_reader_sees_a_position_before_a_smaller_one_and_none_is_missing() {
    let store = Store::postgres().await;
    let Store::Postgres(database) = &store else { unreachable!("just made") };
    let started = Instant::now();
    let mut writers = JoinSet::new();
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let log = open(database.url(), EPOCH).await;
        readers.spawn(async move { follow(log).await });
    }
    for writer in 0..WRITERS {
        let log = open(database.url(), EPOCH).await;
        writers.spawn(async move { write(log, writer).await });
    }
    let waits: u64 = writers.join_all().await.into_iter().sum();
    let written = started.elapsed();
    readers.join_all().await;
    let read = started.elapsed();

    let log = open(database.url(), EPOCH).await;
    assert_eq!(*log.head().borrow(), Position(EVENTS));
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = |seconds: Duration| (EVENTS as f64 / seconds.as_secs_f64()).round();
    println!(
        "{EVENTS} events in {waits} appends by {WRITERS} processes: written in {written:.1?} ({} events/s), \
         read by each of {READERS} in {read:.1?} ({} events/s)",
        rate(written),
        rate(read)
    );
}

/// Appends to streams of its own, to all of them at once; how many appends it took.
async fn write(log: PostgresLog, writer: u64) -> u64 {
    let log = std::sync::Arc::new(log);
    let mut streams = JoinSet::new();
    for stream in 0..STREAMS {
        let log = log.clone();
        let name = format!("{writer}-{stream}");
        let events = EVENTS / WRITERS / STREAMS + u64::from(stream < EVENTS / WRITERS % STREAMS);
        streams.spawn(async move {
            let (mut sequence, mut appends) = (0, 0);
            while sequence < events {
                let next = EVENTS_PER_APPEND.min(events - sequence);
                let texts = vec!["x"; usize::try_from(next).unwrap()];
                log.append(append(&name, sequence, &texts)).await.unwrap();
                (sequence, appends) = (sequence + next, appends + 1);
            }
            appends
        });
    }
    streams.join_all().await.into_iter().sum()
}

/// Reads all the time, also where there is nothing yet, until everything has been there.
async fn follow(log: PostgresLog) {
    let (mut head, mut seen) = (log.head(), 0);
    while seen < EVENTS {
        let events = log.read_after(Position(seen), PAGE).await.unwrap();
        if events.is_empty() {
            let woken = timeout(PATIENCE, head.wait_for(|head| head.0 > seen)).await;
            woken.expect("there is more to come").expect("the log is open");
        }
        for event in events {
            assert_eq!(event.position.0, seen + 1, "a position appeared out of order");
            seen += 1;
        }
    }
    assert_eq!(log.read_after(Position(seen), PAGE).await.unwrap(), [], "nothing else was written");
}
