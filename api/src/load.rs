//! Load shedding: a bounded number of requests is worked on at a time, a bounded number waits for its turn, for a bounded time, and what is beyond
//! is answered 503 at once. Phones, integrators and operators each have a gate of their own, so that none of them can keep the others out, and so
//! has the building of passes, so that a wave of downloads starves nobody who asks for something else.
//!
//! Health and metrics have no gate: they are asked for when it matters.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use prometheus::IntCounter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::AppState;
use crate::config::Load;
use crate::error::ApiError;
use crate::limits;
use crate::metrics::{Area, Metric, Metrics, Queue};
use crate::request_context::{self, Spent};

/// Where requests wait for their turn, first come, first served.
#[derive(Debug)]
pub struct Gate {
    queue: Queue,
    at_work: Arc<Semaphore>,
    waiting: Semaphore,
    places: usize,
    longest: Duration,
    shed: IntCounter,
}

/// The right to work, given back when it is dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held, not looked at")] OwnedSemaphorePermit);

impl Gate {
    /// A gate that lets `at_work` through at a time, and `waiting` wait for `longest`.
    pub fn new(queue: Queue, at_work: usize, waiting: u32, longest: Duration, metrics: &Metrics) -> Self {
        let places = waiting as usize;
        Self {
            queue,
            at_work: Arc::new(Semaphore::new(at_work)),
            waiting: Semaphore::new(places),
            places,
            longest,
            shed: metrics.counter(Metric::RequestsShed, &[queue.into()]),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// 503 when too many wait already, or it takes too long.
    pub async fn turn(&self) -> Result<Turn, ApiError> {
        if let Ok(permit) = self.at_work.clone().try_acquire_owned() {
            return Ok(Turn(permit));
        }
        let waits = async {
            let _place = self.waiting.try_acquire().ok()?;
            let permit = tokio::time::timeout(self.longest, self.at_work.clone().acquire_owned()).await;
            // Never closed, so what fails is the time.
            permit.ok()?.ok()
        };
        let waited = request_context::timed(Spent::Waiting, waits).await;
        waited.map(Turn).ok_or_else(|| {
            self.shed.inc();
            ApiError::Overloaded
        })
    }

    /// Which one it is, and how many wait at it.
    pub fn waiting(&self) -> (Queue, usize) {
        (self.queue, self.places - self.waiting.available_permits())
    }
}

/// The gates of the areas.
#[derive(Debug)]
pub struct Gates {
    device: Arc<Gate>,
    manage: Arc<Gate>,
    admin: Arc<Gate>,
}

impl Gates {
    /// One for each area.
    pub fn new(load: Load, metrics: &Metrics) -> Self {
        let at_work = load.requests_at_work.get() as usize;
        let gate = |queue| Arc::new(Gate::new(queue, at_work, load.requests_waiting, limits::TURN, metrics));
        Self { device: gate(Queue::Device), manage: gate(Queue::Manage), admin: gate(Queue::Admin) }
    }

    /// The place of a request before the gate of its area. Where there is no gate, [`Admission::steps_in`] lets everybody in.
    pub fn before(&self, area: Area) -> Admission {
        let gate = match area {
            Area::Device => &self.device,
            Area::Manage => &self.manage,
            Area::Admin => &self.admin,
            Area::Service => return Admission::default(),
        };
        Admission(Some(Arc::new(Admitted { gate: gate.clone(), turn: Mutex::new(None) })))
    }

    /// All of them.
    pub fn all(&self) -> [&Gate; 3] {
        [&self.device, &self.manage, &self.admin]
    }
}

/// The turn of a request, which it can do without while it waits for something else than the stores: its own body, or the building of a pass.
#[derive(Debug, Clone, Default)]
pub struct Admission(Option<Arc<Admitted>>);

#[derive(Debug)]
struct Admitted {
    gate: Arc<Gate>,
    turn: Mutex<Option<Turn>>,
}

impl Admission {
    /// Lets somebody else have the turn.
    pub fn steps_aside(&self) {
        if let Some(admitted) = &self.0 {
            drop(admitted.turn.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// As [`Gate::turn`].
    pub async fn steps_in(&self) -> Result<(), ApiError> {
        if let Some(admitted) = &self.0 {
            let turn = admitted.gate.turn().await?;
            *admitted.turn.lock().unwrap_or_else(PoisonError::into_inner) = Some(turn);
        }
        Ok(())
    }
}

impl FromRequestParts<AppState> for Admission {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_parts: &mut Parts, _app: &AppState) -> Result<Self, Self::Rejection> {
        Ok(request_context::admission())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::config::Identity;

    fn gate(at_work: usize, waiting: u32, longest: Duration) -> Arc<Gate> {
        let metrics = Metrics::new(&Identity::default());
        Arc::new(Gate::new(Queue::Device, at_work, waiting, longest, &metrics))
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn beyond_those_at_work_and_those_that_wait_a_request_is_shed_at_once() {
        let gate = gate(1, 1, LONG);
        let first = gate.turn().await.unwrap();
        let mut second = Box::pin(gate.turn());
        assert!((&mut second).now_or_never().is_none(), "the second one waits");
        assert_eq!(gate.waiting().1, 1);
        assert!(matches!(gate.turn().now_or_never(), Some(Err(ApiError::Overloaded))));
        assert_eq!(gate.shed.get(), 1);
        drop(first);
        second.await.unwrap();
        assert_eq!(gate.waiting().1, 0);
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let gate = gate(1, 1, Duration::from_millis(1));
        let _first = gate.turn().await.unwrap();
        assert!(matches!(gate.turn().await, Err(ApiError::Overloaded)));
        assert_eq!((gate.waiting().1, gate.shed.get()), (0, 1));
    }

    #[tokio::test]
    async fn whoever_steps_aside_lets_the_next_one_in_and_comes_back_behind_it() {
        let gate = gate(1, 2, LONG);
        let turn = Mutex::new(Some(gate.turn().await.unwrap()));
        let first = Admission(Some(Arc::new(Admitted { gate: gate.clone(), turn })));
        let mut second = Box::pin(gate.turn());
        assert!((&mut second).now_or_never().is_none());
        first.steps_aside();
        let second = second.await.unwrap();
        let mut again = Box::pin(first.steps_in());
        assert!((&mut again).now_or_never().is_none());
        drop(second);
        again.await.unwrap();
    }
}
