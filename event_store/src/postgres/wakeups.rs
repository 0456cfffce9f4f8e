//! Hears of the work of other processes, and tells them of the work of this one: events that were appended, or projected.
//!
//! A notification is sent after the commit, in a transaction of its own: one that notifies takes a lock of the whole server when it commits, and
//! appends would line up behind it. It carries the position, so that no process has to ask. Asking now and then makes up for lost ones.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::position::Position;
use honoken_database::postgres::within;
use honoken_telemetry::error_chain;

/// Asks without having been woken, in case a notification was lost.
const POLL: Duration = Duration::from_secs(1);

/// Between two notifications at least. Each is a transaction, and a process that hears of one sees everything that was done by then.
const PAUSE: Duration = Duration::from_millis(5);

/// The subject of positions.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// The name under which the server passes them on.
    pub channel: &'static str,
    /// A statement that yields the newest.
    pub newest: &'static str,
}

/// Listens and tells while it lives.
#[derive(Debug)]
pub struct Wakeups {
    own: watch::Sender<Position>,
    _running: DropGuard,
}

impl Wakeups {
    /// Starts listening. `heard` is called with every position, also with those that this process told.
    pub fn start(pool: PgPool, topic: Topic, heard: impl Fn(Position) + Send + Sync + 'static) -> Self {
        let (own, told) = watch::channel(Position(0));
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(tell(pool.clone(), topic, told)));
        tokio::spawn(stop.clone().run_until_cancelled_owned(listen(pool, topic, heard)));
        Self { own, _running: stop.drop_guard() }
    }

    /// Tells the others, soon. Of several positions at once only the last is told.
    pub fn tell(&self, position: Position) {
        self.own.send_replace(position);
    }
}

async fn tell(pool: PgPool, topic: Topic, mut positions: watch::Receiver<Position>) {
    while positions.changed().await.is_ok() {
        let position = *positions.borrow_and_update();
        let told = sqlx::query("select pg_notify($1, $2)").bind(topic.channel).bind(position.to_string());
        if let Err(fault) = within(told.execute(&pool)).await {
            tracing::debug!(
                error = error_chain(&fault),
                topic.channel,
                "other processes were not notified of position {position}"
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(pool: PgPool, topic: Topic, heard: impl Fn(Position)) {
    loop {
        if let Err(fault) = follow(&pool, topic, &heard).await {
            tracing::warn!(
                error = error_chain(&fault),
                topic.channel,
                "cannot listen for notifications of other processes; retrying in {POLL:?}"
            );
            tokio::time::sleep(POLL).await;
        }
    }
}

async fn follow(pool: &PgPool, topic: Topic, heard: impl Fn(Position)) -> sqlx::Result<()> {
    let mut listener = within(PgListener::connect_with(pool)).await?;
    within(listener.listen(topic.channel)).await?;
    loop {
        // Also the first time: notifications from before the listening were not heard.
        let newest: i64 = within(sqlx::query_scalar(topic.newest).fetch_one(pool)).await?;
        heard(Position(newest.cast_unsigned()));
        let deadline = tokio::time::Instant::now() + POLL;
        while let Ok(notification) = tokio::time::timeout_at(deadline, listener.try_recv()).await {
            // `None` says that the connection was lost and has been made again, perhaps with notifications missed.
            let Some(notification) = notification? else { break };
            if let Ok(position) = notification.payload().parse() {
                heard(Position(position));
            }
        }
    }
}
