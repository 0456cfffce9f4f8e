//! Turns of processes at one aggregate, in the order in which they ask.
//!
//! An append that was decided on an old state is a conflict, so the event log is right without turns. They are for aggregates that several
//! processes change all the time: the process that appended last has a current state and is faster than the others, which have to read first,
//! and without an order these lose most races. A turn is a lock of the server's, held by a transaction that does nothing else, so it ends with
//! its process, and with the connection of one that is frozen or cut off.

use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgPool};
use tokio::sync::Semaphore;

use crate::turn::{LONGEST, Turn};
use honoken_database::postgres::SILENCE;

/// Turns that a process can have or wait for at a time, each with a connection. Commands for further aggregates do without.
const AT_A_TIME: u32 = 4;

/// A lock of its own for each aggregate, or almost: two that share one wait for each other. Locks with two numbers are apart from those with
/// one, which the event log and the projection have. The first of these is "turn" in ASCII.
const TAKE: &str = "select pg_advisory_xact_lock(1953853038, hashtext($1))";

/// The turns of a process.
#[derive(Debug)]
pub(super) struct Turns {
    connections: PgPool,
    free: Arc<Semaphore>,
}

impl Turns {
    /// Connects when the first turn is asked for.
    pub(super) fn new(options: &PgConnectOptions) -> Self {
        let connections = PgPoolOptions::new()
            .max_connections(AT_A_TIME)
            .acquire_timeout(LONGEST)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    let (silence, wait) = (SILENCE.as_secs(), LONGEST.as_secs());
                    let settings = format!(
                        "set idle_in_transaction_session_timeout = '{silence}s'; set lock_timeout = '{wait}s'"
                    );
                    connection.execute(settings.as_str()).await.map(drop)
                })
            })
            .connect_lazy_with(options.clone());
        Self { connections, free: Arc::new(Semaphore::new(AT_A_TIME as usize)) }
    }

    /// Waits for a turn at an aggregate. `None` when it does not come soon, for any reason: the command can do without.
    pub(super) async fn take(&self, aggregate_type: &str, aggregate_id: &str) -> Option<Turn> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        let asked = async {
            let mut lock = self.connections.begin().await?;
            sqlx::query(TAKE).bind(format!("{aggregate_type}/{aggregate_id}")).execute(&mut *lock).await?;
            Ok::<_, sqlx::Error>(Turn::new(lock, permit))
        };
        match tokio::time::timeout(2 * LONGEST, asked).await {
            Ok(Ok(turn)) => Some(turn),
            Ok(Err(fault)) => {
                tracing::debug!(error = %fault, "a command goes on without waiting for its turn");
                None
            }
            Err(_) => None,
        }
    }

    pub(super) async fn close(&self) {
        self.connections.close().await;
    }
}
