//! Notices that the event log was set back under this process: a fail-over to a copy that lacked its end, a backup that was restored, a server
//! that lost acknowledged events.
//!
//! Positions that phones have seen are given out again then, for other events, and a phone that holds an earlier tag would never hear of them.
//! So the epoch is changed in the database, which gives all earlier tags the meaning "tell me everything"; and the process ends, since much of
//! its memory is of a future that is gone. The next start finds another epoch, and fills the read model again.
//!
//! Each process knows its event log by the furthest event that it has seen, which no later answer may lack: so it also recognises an event log
//! that has grown again, beyond its earlier end. A server that still follows another one may merely be behind, and is not judged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::epoch::{self, Epoch};
use crate::group_commit::NewRow;
use crate::position::Position;
use honoken_database::postgres::within;
use honoken_telemetry::error_chain;

/// Between two looks.
const POLL: Duration = Duration::from_secs(1);

/// The values that make an event this one and no other in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) position: i64,
    pub(super) aggregate_type: String,
    pub(super) aggregate_id: String,
    pub(super) sequence: i64,
    pub(super) recorded_at: i64,
}

impl Identity {
    pub(super) fn of(row: &NewRow) -> Self {
        Self {
            position: row.position.cast_signed(),
            aggregate_type: row.aggregate_type.to_owned(),
            aggregate_id: row.aggregate_id.clone(),
            sequence: row.sequence.cast_signed(),
            recorded_at: row.recorded_at_ms,
        }
    }

    fn read(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            position: row.try_get("position")?,
            aggregate_type: row.try_get("aggregate_type")?,
            aggregate_id: row.try_get("aggregate_id")?,
            sequence: row.try_get("sequence")?,
            recorded_at: row.try_get("recorded_at")?,
        })
    }
}

/// The part of the event log that this process has seen: every later answer must show it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// The last position that the process has heard of.
    pub(super) head: Position,
    /// The furthest event that it knows by more than its position.
    pub(super) furthest: Option<Identity>,
}

impl Seen {
    /// Whether an event log lacks it, whose last position is `newest` and which has the furthest event or not.
    pub(super) fn is_lacking(&self, newest: Position, has_furthest: bool) -> bool {
        newest < self.head || (self.furthest.is_some() && !has_furthest)
    }
}

/// The knowledge of this process about the event log.
#[derive(Debug)]
pub(super) struct Knowledge {
    head: watch::Sender<Position>,
    furthest: Mutex<Option<Identity>>,
}

impl Knowledge {
    pub(super) fn new(head: Position) -> Self {
        Self { head: watch::Sender::new(head), furthest: Mutex::default() }
    }

    pub(super) fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    /// To be taken before the event log is asked.
    pub(super) fn seen(&self) -> Seen {
        Seen { head: *self.head.borrow(), furthest: self.furthest().clone() }
    }

    /// Takes note of a position. The head never goes back: news of other processes may be older than the last write of this one.
    pub(super) fn advances_to(&self, position: Position) {
        self.head.send_if_modified(|known| {
            let grown = position > *known;
            *known = position.max(*known);
            grown
        });
    }

    /// Takes note of an event that is in the event log, and with it the furthest one until now.
    pub(super) fn has(&self, event: Identity) {
        let mut furthest = self.furthest();
        if furthest.as_ref().is_none_or(|known| known.position < event.position) {
            *furthest = Some(event);
        }
    }

    fn furthest(&self) -> MutexGuard<'_, Option<Identity>> {
        // Nothing between lock and unlock can panic half way.
        self.furthest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The newest event, the epoch, and whether the furthest one that was seen is there.
const LOOK: &str = "\
    select coalesce(newest.position, 0) as position, newest.aggregate_type, newest.aggregate_id, newest.sequence, newest.recorded_at,
           (select epoch from log) as epoch,
           pg_is_in_recovery() as follows,
           exists (select from events
                   where position = $1 and aggregate_type = $2 and aggregate_id = $3 and sequence = $4 and recorded_at = $5) as has_furthest
    from (select 1) as always
    left join (select position, aggregate_type, aggregate_id, sequence, recorded_at from events order by position desc limit 1) as newest
      on true";

/// Looks again and again, and cancels `set_back` when this process has to end.
pub(super) async fn watch(
    pool: PgPool,
    knowledge: Arc<Knowledge>,
    (current, next): (Epoch, Epoch),
    set_back: CancellationToken,
) {
    let watching = Watching { pool, knowledge, current, next };
    loop {
        tokio::time::sleep(POLL).await;
        match watching.look().await {
            Ok(false) => {}
            Ok(true) => return set_back.cancel(),
            Err(fault) => {
                tracing::debug!(error = error_chain(&fault), "the event log could not be checked");
            }
        }
    }
}

struct Watching {
    pool: PgPool,
    knowledge: Arc<Knowledge>,
    current: Epoch,
    next: Epoch,
}

impl Watching {
    /// Whether the process has to end. It is not before the epoch has been changed: a process that forgets its knowledge leaves nothing by which
    /// the next one could notice.
    async fn look(&self) -> sqlx::Result<bool> {
        let seen = self.knowledge.seen();
        let row = within(asked(seen.furthest.as_ref()).fetch_one(&self.pool)).await?;
        if row.try_get("follows")? {
            return Ok(false);
        }
        let newest = Position(row.try_get::<i64, _>("position")?.cast_unsigned());
        let Watching { current, next, .. } = self;
        if seen.is_lacking(newest, row.try_get("has_furthest")?) {
            within(
                sqlx::query(epoch::CHANGE_FROM)
                    .bind(current.to_string())
                    .bind(next.to_string())
                    .execute(&self.pool),
            )
            .await?;
            tracing::error!(
                log.seen = seen.head.0,
                log.found = newest.0,
                "the event log was set back: position {} was seen and is no longer there, or is another event; the event log ends at {newest} now. It \
                 got another epoch instead of {current}, so that phones ask for everything and miss no change. This process ends, and has to be \
                 started again; the read model is filled again then",
                seen.head,
            );
            return Ok(true);
        }
        let stored: Option<String> = row.try_get("epoch")?;
        if let Some(stored) = stored.filter(|stored| *stored != current.to_string()) {
            tracing::error!(
                "the event log has the epoch {stored} instead of {current}: it was restored, or another process has noticed that it was set back. \
                 This process ends, and has to be started again"
            );
            return Ok(true);
        }
        if newest > Position(0)
            && let Ok(event) = Identity::read(&row)
        {
            self.knowledge.has(event);
        }
        Ok(false)
    }
}

type Query = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn asked(furthest: Option<&Identity>) -> Query {
    sqlx::query(LOOK)
        .bind(furthest.map(|event| event.position))
        .bind(furthest.map(|event| event.aggregate_type.clone()))
        .bind(furthest.map(|event| event.aggregate_id.clone()))
        .bind(furthest.map(|event| event.sequence))
        .bind(furthest.map(|event| event.recorded_at))
}
