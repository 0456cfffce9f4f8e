//! A bounded number of requests is worked on at a time, a bounded number waits for a permit for a bounded time, and any more are refused at
//! once.

use std::sync::Arc;
use std::time::Duration;

use honoken_telemetry::metrics::{Metric, Metrics, Queue};
use honoken_telemetry::request::{self, Spent};
use prometheus::IntCounter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Too many wait already, or it takes too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests wait for a permit")]
pub struct Overloaded;

/// A bounded number of permits, and a bounded queue for them: first come, first served.
#[derive(Debug)]
pub struct Permits {
    queue: Queue,
    at_work: Arc<Semaphore>,
    waiting: Semaphore,
    places: usize,
    longest: Duration,
    shed: IntCounter,
}

/// The right to work, given back when it is dropped.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held, not looked at")] OwnedSemaphorePermit);

impl Permits {
    /// `at_work` permits; `waiting` requests may wait for one, each for `longest`.
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

    /// Waits for a permit.
    ///
    /// # Errors
    /// When too many wait already, or it takes too long.
    pub async fn acquire(&self) -> Result<Permit, Overloaded> {
        if let Ok(permit) = self.at_work.clone().try_acquire_owned() {
            return Ok(Permit(permit));
        }
        let waits = async {
            let _place = self.waiting.try_acquire().ok()?;
            let permit = tokio::time::timeout(self.longest, self.at_work.clone().acquire_owned()).await;
            // The semaphore is never closed, so the only failure is the timeout.
            permit.ok()?.ok()
        };
        let waited = request::timed(Spent::Waiting, waits).await;
        waited.map(Permit).ok_or_else(|| {
            self.shed.inc();
            Overloaded
        })
    }

    /// Which queue it is, and how many requests wait in it.
    pub fn waiting(&self) -> (Queue, usize) {
        (self.queue, self.places - self.waiting.available_permits())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use honoken_telemetry::Identity;
    use honoken_telemetry::metrics::LabelSets;

    use super::*;

    fn permits(at_work: usize, waiting: u32, longest: Duration) -> Arc<Permits> {
        let metrics = Metrics::new(&Identity::default(), &LabelSets::default());
        Arc::new(Permits::new(Queue::Device, at_work, waiting, longest, &metrics))
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn beyond_those_at_work_and_those_that_wait_a_request_is_shed_at_once() {
        let permits = permits(1, 1, LONG);
        let first = permits.acquire().await.unwrap();
        let mut second = Box::pin(permits.acquire());
        assert!((&mut second).now_or_never().is_none(), "the second one waits");
        assert_eq!(permits.waiting().1, 1);
        assert!(matches!(permits.acquire().now_or_never(), Some(Err(Overloaded))));
        assert_eq!(permits.shed.get(), 1);
        drop(first);
        second.await.unwrap();
        assert_eq!(permits.waiting().1, 0);
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let permits = permits(1, 1, Duration::from_millis(1));
        let _first = permits.acquire().await.unwrap();
        assert!(matches!(permits.acquire().await, Err(Overloaded)));
        assert_eq!((permits.waiting().1, permits.shed.get()), (0, 1));
    }
}
