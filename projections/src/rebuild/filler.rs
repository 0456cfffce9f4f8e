//! The task that fills copies of the tables: in one process at a time, beside the projector, which goes on. All that an operator wishes is in the
//! directory of copies, so a rebuild goes on wherever it was after the process has died.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use honoken_database::lease::Held;
use honoken_database::statements::Connection;
use honoken_domain::ids::UnixSeconds;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Position};
use honoken_telemetry::error_chain;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::copies::claims;
use crate::copies::directory::{Copy, CopyState, Report};
use crate::projection::VERSION;
use crate::projector::lease;
use crate::projector::operation::OperationError;
use crate::projector::purge::purge_all;
use crate::read_model::ReadModel;
use crate::rebuild::comparing::compare_with_live;
use crate::rebuild::filling::{StepError, resume_filling, step};
use crate::rebuild::switching::{Switch, agree_on_skipped};

/// How often the directory is looked at while there is nothing to do: wishes may come from another process.
const POLL: Duration = Duration::from_secs(1);

/// How long events are applied before wishes are looked at, and progress is reported.
const SLICE: Duration = Duration::from_millis(200);

/// The clock, as the filler needs it.
#[derive(Clone)]
pub struct Times {
    /// Now.
    pub now: Arc<dyn Fn() -> UnixSeconds + Send + Sync>,
    /// The moment before which rows of devices and registrations that left are purged.
    pub cutoff: Arc<dyn Fn() -> UnixSeconds + Send + Sync>,
}

impl fmt::Debug for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Times").finish_non_exhaustive()
    }
}

/// The task.
#[derive(Debug)]
pub struct Filler<L> {
    log: Arc<L>,
    upcasters: Upcasters,
    read_model: ReadModel,
    times: Times,
    /// The copy that is being filled here.
    work: Option<Work>,
    /// The number of the copy that was last worked on.
    at_work: Option<i64>,
}

/// A copy that is being filled.
#[derive(Debug)]
struct Work {
    copy: i64,
    connection: Connection,
    lease: Held,
    position: Position,
    events: u64,
    pace: Pace,
}

/// What comes after a round.
enum Next {
    /// More work, at once.
    Again,
    /// The copy is at the head of the event log.
    AtHead(Position),
    /// Nothing is to be done here.
    Idle,
}

impl<L: EventLog> Filler<L> {
    /// A task that has not begun.
    pub fn new(log: Arc<L>, upcasters: Upcasters, read_model: ReadModel, times: Times) -> Self {
        Self { log, upcasters, read_model, times, work: None, at_work: None }
    }

    /// Works until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut head = self.log.head();
        while !stop.is_cancelled() {
            let next = match self.round().await {
                Ok(next) => next,
                Err(fault) => {
                    self.stands_still(&fault).await;
                    Next::Idle
                }
            };
            let read_model = self.read_model.clone();
            match next {
                Next::Again => tokio::task::yield_now().await,
                Next::AtHead(position) => tokio::select! {
                    () = stop.cancelled() => {}
                    () = read_model.wishes.notified() => {}
                    // An event log that has been closed has no further events.
                    Ok(_) = head.wait_for(|head| *head > position) => {}
                    () = tokio::time::sleep(SLICE) => {}
                },
                Next::Idle => tokio::select! {
                    () = stop.cancelled() => {}
                    () = read_model.wishes.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                },
            }
        }
        if let Err(fault) = self.put_down().await {
            tracing::debug!(error = %fault, "the lease of a copy was not released and will expire");
        }
    }

    /// Tells why a rebuild does not go on. It is tried again.
    async fn stands_still(&mut self, fault: &OperationError) {
        let why = error_chain(fault);
        tracing::error!(error = why, "a rebuild stands still; retrying in {POLL:?}");
        let Some(copy) = self.at_work.take() else { return };
        self.work = None;
        if let Err(fault) = self.read_model.directory.note_while_filling(copy, &why).await {
            tracing::debug!(error = %fault, "the directory of copies could not be written");
        }
    }

    /// Looks at the directory, and does the next piece of work.
    async fn round(&mut self) -> Result<Next, OperationError> {
        let store = OperationError::Store;
        let directory = &self.read_model.directory;
        directory.retire_unread().await.map_err(store)?;
        if !self.read_model.is_of_this_version() {
            let provided = directory.provide((self.times.now)()).await;
            provided.map_err(|fault| store(sqlx::Error::Configuration(Box::new(fault))))?;
        }
        let copies = directory.rows().await.map_err(store)?;
        for leaving in copies.iter().filter(|copy| copy.state == CopyState::Leaving) {
            if self.work.as_ref().is_some_and(|work| work.copy == leaving.id) {
                self.put_down().await.map_err(store)?;
            }
            let ReadModel { home, directory, base, .. } = &self.read_model;
            claims::remove(home, directory, base.as_ref(), leaving).await.map_err(store)?;
        }
        let wanted = copies.into_iter().find(|copy| copy.version == VERSION && copy.state.is_at_work());
        let Some(wanted) = wanted.filter(|copy| !copy.paused) else {
            self.put_down().await.map_err(store)?;
            return Ok(Next::Idle);
        };
        self.at_work = Some(wanted.id);
        match self.goes_on(&wanted).await {
            Ok(next) => Ok(next),
            Err(StepError::Superseded) => {
                self.work = None;
                Ok(Next::Idle)
            }
            Err(StepError::Failed(fault)) => Err(fault),
        }
    }

    /// Works on a copy for a moment.
    async fn goes_on(&mut self, copy: &Copy) -> Result<Next, StepError> {
        let Some(mut work) = self.take_up(copy).await? else { return Ok(Next::Idle) };
        let head = self.fill(&mut work).await?;
        let reached = work.position >= head;
        let pace = work.pace.measure(work.position, work.events, head);
        let report = Report {
            position: work.position,
            target: head,
            events: work.events,
            events_per_second: pace.events_per_second,
            seconds_left: pace.seconds_left,
        };
        self.read_model.directory.report(copy.id, &report).await?;
        self.shows(report.position.0, report.seconds_left.unwrap_or_default());
        if !reached {
            self.work = Some(work);
            return Ok(Next::Again);
        }
        self.at_head(copy, work).await
    }

    /// What is left once a copy is at the head.
    async fn at_head(&mut self, copy: &Copy, mut work: Work) -> Result<Next, StepError> {
        let directory = &self.read_model.directory;
        if copy.state == CopyState::Filling {
            work.connection.begin().await?;
            purge_all(&mut work.connection, (self.times.cutoff)()).await?;
            work.connection.commit().await?;
            directory.advance(copy.id, CopyState::CatchingUp).await?;
            self.work = Some(work);
            return Ok(Next::Again);
        }
        let alone =
            agree_on_skipped(&mut work.connection, &*self.log, &self.upcasters, &self.read_model).await?;
        if copy.compares {
            let (connection, lease) = (&mut work.connection, work.lease);
            let compared = compare_with_live(
                (connection, lease),
                &*self.log,
                &self.upcasters,
                &self.read_model,
                (self.times.cutoff)(),
            );
            if let Some(comparison) = compared.await? {
                work.position = work.position.max(Position(comparison.position));
                directory.compared(copy.id, &comparison).await?;
            }
        }
        if copy.state == CopyState::CatchingUp {
            directory.advance(copy.id, CopyState::Ready).await?;
        }
        let note = alone.first().map(|first| {
            let number = alone.len();
            format!(
                "{number} events are parked in this copy and not in the live one, the first at position {first}: it does not take over before they \
                 are skipped, or can be applied"
            )
        });
        if note != copy.note {
            directory.note(copy.id, note.as_deref()).await?;
        }
        let position = work.position;
        if copy.held || copy.compares || note.is_some() {
            self.work = Some(work);
            return Ok(Next::AtHead(position));
        }
        self.switch(work).await?;
        Ok(Next::Again)
    }

    async fn switch(&self, work: Work) -> Result<(), StepError> {
        let switch = Switch {
            log: &*self.log,
            upcasters: &self.upcasters,
            read_model: &self.read_model,
            copy: work.copy,
            lease: work.lease,
            now: (self.times.now)(),
        };
        switch.run(work.connection).await?;
        tracing::info!("copy {} of the tables is the live one from here on", work.copy);
        Ok(())
    }

    /// The copy to work on, opened and leased; `None` when another process works on it.
    async fn take_up(&mut self, copy: &Copy) -> Result<Option<Work>, StepError> {
        if self.work.as_ref().is_some_and(|work| work.copy != copy.id) {
            self.put_down().await?;
        }
        if let Some(work) = self.work.take() {
            return Ok(Some(work));
        }
        let ReadModel { home, directory, base, .. } = &self.read_model;
        let prepared = claims::prepare(home, directory, base.as_ref(), copy).await;
        if !prepared.map_err(|fault| sqlx::Error::Configuration(Box::new(fault)))? {
            return Ok(None);
        }
        let mut connection = home.of(copy.id).open().await?;
        let Some(lease) = lease::take(&mut connection).await? else {
            connection.close().await?;
            return Ok(None);
        };
        let Some(position) = resume_filling(&mut connection, lease, &*self.log).await? else {
            return Err(StepError::Superseded);
        };
        tracing::info!("a rebuild fills copy {} of the tables from position {position}", copy.id);
        let events = if position == Position(0) { 0 } else { copy.events };
        Ok(Some(Work {
            copy: copy.id,
            connection,
            lease,
            position,
            events,
            pace: Pace::new(position, events),
        }))
    }

    /// Applies events for a moment. Returns the head of the event log.
    async fn fill(&self, work: &mut Work) -> Result<Position, StepError> {
        let head = *self.log.head().borrow();
        let end = Instant::now() + SLICE;
        loop {
            let to = (work.position, Position(u64::MAX));
            let taken = step(&mut work.connection, work.lease, &*self.log, &self.upcasters, to).await?;
            // At the end the position may be beyond the head that was known before.
            let Some(taken) = taken else { return Ok(work.position) };
            work.position = taken.position;
            work.events += taken.events;
            if Instant::now() >= end {
                return Ok(head.max(work.position));
            }
        }
    }

    /// For those who watch this process.
    fn shows(&self, position: u64, seconds_left: u64) {
        self.read_model.rebuild.0.store(position, Ordering::Relaxed);
        self.read_model.rebuild.1.store(seconds_left, Ordering::Relaxed);
    }

    /// Lets go of the copy that is filled here, so that another process can go on.
    async fn put_down(&mut self) -> sqlx::Result<()> {
        self.shows(0, 0);
        let Some(mut work) = self.work.take() else { return Ok(()) };
        lease::release(&mut work.connection, work.lease).await?;
        work.connection.close().await
    }
}

/// The pace of a filling, over the last seconds.
#[derive(Debug)]
struct Pace {
    since: Instant,
    position: Position,
    events: u64,
    last: Measured,
}

#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    events_per_second: u64,
    seconds_left: Option<u64>,
}

/// The time over which a pace is measured.
const WINDOW: Duration = Duration::from_secs(2);

impl Pace {
    fn new(position: Position, events: u64) -> Self {
        Self { since: Instant::now(), position, events, last: Measured::default() }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a pace"
    )]
    fn measure(&mut self, position: Position, events: u64, head: Position) -> Measured {
        let elapsed = self.since.elapsed();
        let seconds = elapsed.as_secs_f64().max(0.001);
        let positions = (position.0.saturating_sub(self.position.0)) as f64 / seconds;
        let left = head.0.saturating_sub(position.0) as f64;
        self.last = Measured {
            events_per_second: (events.saturating_sub(self.events) as f64 / seconds) as u64,
            seconds_left: if left == 0.0 {
                Some(0)
            } else {
                (positions > 0.0).then(|| (left / positions).ceil() as u64)
            },
        };
        if elapsed >= WINDOW {
            *self = Self { last: self.last, ..Self::new(position, events) };
        }
        self.last
    }
}
