//! How a process hears of the events of others, and notices that the log was set back.
//!
//! It asks, often, for the end of the server's log, and where that has moved for the events of ours up to there. A subscription would be told at once,
//! but the client turns round and round in one that the server ends without an error, and one that a broken network holds up says nothing at all; a
//! question has an answer or fails in a bounded time.
//!
//! The place up to which was asked is kept, so that the events of others who use the server are not gone through again and again.
//!
//! A log that was set back (a backup that was restored, a fail-over to a node that lacked its end) gives out positions again that phones have seen. As on
//! Postgres (`postgres/set_back.rs`) a process knows it by the furthest event it has seen, changes the epoch, and ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventstore::RecordedEvent;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::about;
use super::connection::{Connection, Fault};
use super::reading;
use super::stored_form::position_of;
use crate::epoch::Epoch;
use crate::position::Position;
use honoken_telemetry::error_chain;

/// Between two questions for the end of the log.
const POLL: Duration = Duration::from_millis(50);

/// Between two questions while they fail.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Between two looks whether the log was set back.
const LOOK: Duration = Duration::from_secs(1);

/// Events that are asked for at once.
const PAGE: usize = 500;

/// The furthest event that this process knows by more than its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) stream: String,
    pub(super) revision: u64,
    pub(super) position: Position,
    pub(super) id: Uuid,
}

impl Seen {
    pub(super) fn of(event: &RecordedEvent) -> Self {
        Self {
            stream: event.stream_id().to_owned(),
            revision: event.revision,
            position: position_of(event),
            id: event.id,
        }
    }
}

/// The knowledge of this process about the log.
#[derive(Debug)]
pub(super) struct Knowledge {
    head: watch::Sender<Position>,
    furthest: Mutex<Option<Seen>>,
    /// Whether the server did not answer the last question.
    is_away: watch::Sender<bool>,
    /// Whether the server refused the last append.
    refuses: watch::Sender<bool>,
}

impl Knowledge {
    pub(super) fn new(last: Option<&RecordedEvent>) -> Self {
        let furthest = last.map(Seen::of);
        let head = furthest.as_ref().map_or(Position(0), |seen| seen.position);
        Self {
            head: watch::Sender::new(head),
            furthest: Mutex::new(furthest),
            is_away: watch::Sender::new(false),
            refuses: watch::Sender::new(false),
        }
    }

    pub(super) fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    /// The head never goes back: news of other processes may be older than the last append of this one.
    fn advances_to(&self, position: Position) {
        self.head.send_if_modified(|known| {
            let grown = position > *known;
            *known = position.max(*known);
            grown
        });
    }

    /// Whether nothing is behind a position, as far as is known, and the server would have said so.
    pub(super) fn is_at_the_end(&self, position: Position) -> bool {
        position >= *self.head.borrow() && !*self.is_away.borrow()
    }

    pub(super) fn refuses_writes(&self) -> bool {
        *self.refuses.borrow()
    }

    pub(super) fn took_an_append(&self, took: bool) {
        self.refuses.send_if_modified(|refuses| std::mem::replace(refuses, !took) == took);
    }

    /// Takes note of an event that is in the log.
    pub(super) fn has(&self, event: Seen) {
        let position = event.position;
        let mut furthest = self.furthest();
        if furthest.as_ref().is_none_or(|known| known.position < position) {
            *furthest = Some(event);
        }
        drop(furthest);
        self.advances_to(position);
    }

    fn furthest(&self) -> MutexGuard<'_, Option<Seen>> {
        // Nothing between lock and unlock can panic half way.
        self.furthest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of an answer, or of a failure.
    fn answered(&self, fault: Option<&Fault>) {
        let has_changed = self.is_away.send_if_modified(|is_away| {
            let was_away = std::mem::replace(is_away, fault.is_some());
            was_away != fault.is_some()
        });
        match fault {
            Some(fault) if has_changed => {
                tracing::warn!(
                    error = error_chain(fault),
                    "the server of the event log does not answer; asking again every second"
                );
            }
            None if has_changed => tracing::info!("the server of the event log answers again"),
            _ => {}
        }
        if fault.is_none() {
            // Nothing is written to find out; the next append does.
            self.refuses.send_if_modified(|refuses| std::mem::replace(refuses, false));
        }
    }
}

/// Asks again and again, and cancels `set_back` when this process has to end.
pub(super) async fn follow(
    connection: Arc<Connection>,
    knowledge: Arc<Knowledge>,
    (current, next): (Epoch, Epoch),
    set_back: CancellationToken,
) {
    let start = *knowledge.head.borrow();
    let mut following = Following { connection, knowledge, current, next, asked_up_to: start };
    let mut next_look = Instant::now() + LOOK;
    loop {
        tokio::time::sleep(POLL).await;
        let followed = async {
            let caught_up = following.catch_up().await;
            if caught_up.is_err() || Instant::now() >= next_look {
                next_look = Instant::now() + LOOK;
                if following.is_set_back().await? {
                    return Ok(true);
                }
            }
            caught_up.map(|()| false)
        };
        let followed = followed.await;
        following.knowledge.answered(followed.as_ref().err());
        match followed {
            Ok(false) => {}
            Ok(true) => return set_back.cancel(),
            Err(_) => tokio::time::sleep(AFTER_FAILURE).await,
        }
    }
}

struct Following {
    connection: Arc<Connection>,
    knowledge: Arc<Knowledge>,
    current: Epoch,
    next: Epoch,
    /// The place of an event on the server, of whatever stream, before which there is none of ours that this process has not heard of.
    asked_up_to: Position,
}

impl Following {
    /// Hears of what was appended since. The server does not answer from a place where no event is any more, so after a failure it is asked from the last
    /// event of ours.
    async fn catch_up(&mut self) -> Result<(), Fault> {
        let caught_up = self.catch_up_from(self.asked_up_to).await;
        if caught_up.is_err() {
            self.asked_up_to = Position(0);
        }
        caught_up
    }

    async fn catch_up_from(&mut self, asked_up_to: Position) -> Result<(), Fault> {
        let end = reading::end_of_server(&self.connection).await?;
        // Events that this process appended are known, and a place of theirs is as good as one that was asked for.
        let known = *self.knowledge.head.borrow();
        let mut from = if end < asked_up_to { known } else { asked_up_to.max(known) };
        while from < end {
            let events = reading::after(&self.connection, from, PAGE, usize::MAX).await?;
            let is_all = events.len() < PAGE;
            if let Some(last) = events.last() {
                from = position_of(last);
                self.knowledge.has(Seen::of(last));
            }
            if is_all {
                break;
            }
        }
        self.asked_up_to = end;
        Ok(())
    }

    /// Whether the process has to end. It is not before the epoch has been changed: a process that forgets its knowledge leaves nothing by which
    /// the next one could notice.
    async fn is_set_back(&self) -> Result<bool, Fault> {
        let about = about::read(&self.connection).await?;
        let current = self.current;
        let lost = self.lost().await?;
        if let Some(seen) = lost {
            // Where another process was faster, its epoch holds.
            if about.epoch == Some(current) || about.epoch.is_none() {
                about::change_epoch_of(&self.connection, &about, self.next).await?;
            }
            tracing::error!(
                log.seen = seen.position.0,
                "the event log was set back: position {} was seen and is no longer there, or is another event. It got another epoch instead of \
                 {current}, so that phones ask for everything and miss no change. This process ends, and has to be started again; the read model is \
                 filled again then",
                seen.position,
            );
            return Ok(true);
        }
        if let Some(stored) = about.epoch.filter(|stored| *stored != current) {
            tracing::error!(
                "the event log has the epoch {stored} instead of {current}: it was restored, or another process has noticed that it was set back. \
                 This process ends, and has to be started again"
            );
            return Ok(true);
        }
        Ok(false)
    }

    /// The furthest event that was seen, if the log lacks it.
    async fn lost(&self) -> Result<Option<Seen>, Fault> {
        let Some(seen) = self.knowledge.furthest().clone() else { return Ok(None) };
        let found = reading::stream(&self.connection, &seen.stream, seen.revision, 1).await?;
        let is_there = found.first().is_some_and(|event| Seen::of(event) == seen);
        Ok((!is_there).then_some(seen))
    }
}
