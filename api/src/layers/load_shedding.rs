//! Load shedding: a bounded number of requests is worked on at a time, a bounded number waits for a permit for a bounded time, and any more
//! are answered 503 at once. Phones, integrators and operators each have permits of their own, so that none of them can keep the others
//! out. The building of passes has its own permits too, so that a wave of downloads does not starve other requests.
//!
//! Health and metrics need no permit: they matter most under load.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use honoken_service::permits::{Overloaded, Permit, Permits};
use honoken_telemetry::metrics::{Area, Metrics, Queue};

use crate::limits;

/// How many requests are worked on at a time, and how many may wait. Any more are answered 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// `HONOKEN_REQUESTS_AT_WORK`: in each of the areas for phones, integrators and operators.
    pub requests_at_work: NonZeroU32,
    /// `HONOKEN_REQUESTS_WAITING`: likewise.
    pub requests_waiting: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { requests_at_work: limits::REQUESTS_AT_WORK, requests_waiting: limits::REQUESTS_WAITING }
    }
}

/// The permits of the areas.
#[derive(Debug)]
pub struct AreaPermits {
    device: Arc<Permits>,
    manage: Arc<Permits>,
    admin: Arc<Permits>,
}

impl AreaPermits {
    /// The permits of each area.
    pub fn new(options: Options, metrics: &Metrics) -> Self {
        let at_work = options.requests_at_work.get() as usize;
        let permits =
            |queue| Arc::new(Permits::new(queue, at_work, options.requests_waiting, limits::TURN, metrics));
        Self { device: permits(Queue::Device), manage: permits(Queue::Manage), admin: permits(Queue::Admin) }
    }

    /// The admission of a request to its area. Where no permit is needed, [`Admission::acquire`] lets every request in.
    pub fn admission(&self, area: Area) -> Admission {
        let permits = match area {
            Area::Device => &self.device,
            Area::Manage => &self.manage,
            Area::Admin => &self.admin,
            Area::Service => return Admission::default(),
        };
        Admission(Some(Arc::new(Admitted { permits: permits.clone(), held: Mutex::new(None) })))
    }

    /// All of them.
    pub fn all(&self) -> [&Permits; 3] {
        [&self.device, &self.manage, &self.admin]
    }
}

/// The permit of a request. The request can release it while it waits for something other than the stores: its own body, or the building of
/// a pass.
#[derive(Debug, Clone, Default)]
pub struct Admission(Option<Arc<Admitted>>);

#[derive(Debug)]
struct Admitted {
    permits: Arc<Permits>,
    held: Mutex<Option<Permit>>,
}

impl Admission {
    /// Gives the permit back, so that another request can have it.
    pub fn release(&self) {
        if let Some(admitted) = &self.0 {
            drop(admitted.held.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// As [`Permits::acquire`].
    pub async fn acquire(&self) -> Result<(), Overloaded> {
        if let Some(admitted) = &self.0 {
            let permit = admitted.permits.acquire().await?;
            *admitted.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use honoken_telemetry::Identity;
    use honoken_telemetry::metrics::LabelSets;

    use super::*;

    #[tokio::test]
    async fn a_request_that_releases_its_permit_lets_the_next_one_in_and_comes_back_behind_it() {
        let metrics = Metrics::new(&Identity::default(), &LabelSets::default());
        let permits = Arc::new(Permits::new(Queue::Device, 1, 2, Duration::from_mins(1), &metrics));
        let held = Mutex::new(Some(permits.acquire().await.unwrap()));
        let first = Admission(Some(Arc::new(Admitted { permits: permits.clone(), held })));
        let mut second = Box::pin(permits.acquire());
        assert!((&mut second).now_or_never().is_none());
        first.release();
        let second = second.await.unwrap();
        let mut again = Box::pin(first.acquire());
        assert!((&mut again).now_or_never().is_none());
        drop(second);
        again.await.unwrap();
    }
}
