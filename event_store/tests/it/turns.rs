//! Processes that have met at an aggregate take turns at it, and do without when a turn does not come.

use std::sync::Arc;

use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Dispatcher, EventLog, PostgresLog};
use sqlx::{Connection, PgConnection, PgPool};

use crate::frozen_writer::until_waiting;
use crate::note::{Note, NoteCommand, deadline, metadata};
use crate::store::{EPOCH, Store, open};

use NoteCommand::Write;

/// The turn at the note `n`, as a process takes it.
const TURN: &str = "begin; select pg_advisory_xact_lock(1953853038, hashtext('Note/n'))";

type Process = Dispatcher<PostgresLog>;

async fn writes(process: &Process, note: &str, text: &'static str) -> u64 {
    let command = Write(text);
    let committed = process.dispatch::<Note>(note, command, &(), &metadata(), deadline()).await.unwrap();
    assert_eq!(committed.events.len(), 1);
    committed.position.0
}

/// Two processes of which the first has met the other at the note `n`, and what else looks at their database.
async fn two_that_met(url: &str) -> (Arc<PostgresLog>, Arc<Process>, Process) {
    let log = Arc::new(open(url, EPOCH).await);
    let process = || Dispatcher::new(log.clone(), Upcasters::current());
    let (here, there) = (process(), process());
    writes(&here, "n", "one").await;
    writes(&there, "n", "two").await;
    writes(&here, "n", "three").await;
    (log, Arc::new(here), there)
}

async fn takes_the_turn(url: &str) -> PgConnection {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(TURN).execute(&mut connection).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_met_another_waits_for_its_turn_at_this_aggregate_alone() {
    let store = Store::postgres().await;
    let Store::Postgres(database) = &store else { unreachable!("just made") };
    let witness = PgPool::connect(database.url()).await.unwrap();
    let (log, here, there) = two_that_met(database.url()).await;
    let turn = takes_the_turn(database.url()).await;
    let waiting = {
        let here = here.clone();
        tokio::spawn(async move { writes(&here, "n", "four").await })
    };
    until_waiting(&witness, 1).await;
    assert_eq!(writes(&there, "elsewhere", "one").await, 4, "other aggregates are changed meanwhile");
    turn.close().await.unwrap();
    assert_eq!(waiting.await.unwrap(), 5);
    // No other process was met, so none is waited for.
    let turn = takes_the_turn(database.url()).await;
    assert_eq!(writes(&here, "n", "five").await, 6);
    turn.close().await.unwrap();
    assert_eq!(log.load::<Note>("n", 0).await.unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_whose_turn_does_not_come_does_without() {
    let store = Store::postgres().await;
    let Store::Postgres(database) = &store else { unreachable!("just made") };
    let (_, here, there) = two_that_met(database.url()).await;
    let turn = takes_the_turn(database.url()).await;
    assert_eq!(writes(&here, "n", "four").await, 4);
    assert_eq!(writes(&there, "n", "five").await, 5);
    turn.close().await.unwrap();
}
