//! Many made-up phones at once, for load: each registers, lists, fetches, asks again, and leaves.
//!
//! [`conformance`](crate::conformance) judges answers as a phone would; here they are counted and timed. Memory is bounded: a device is a
//! tag and a date, and of the times only their distribution is kept. So are connections: each of the workers has one.

mod device;
mod figures;
mod plan;
mod run;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::figures::{FleetReport, Route, RouteReport};
pub use self::plan::{Fleet, FleetPass, Progress};

use self::device::Device;
use self::figures::Figures;
use self::run::Run;
use crate::http::{HttpError, Line};
use crate::identities::Identities;

/// A longer list or a larger pass than this is a failure.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

impl Fleet {
    /// Plays it. `stop` ends it early: phones that are registered leave all the same.
    ///
    /// # Errors
    /// When no server can be reached at the beginning. What fails later is counted.
    pub fn run(
        self,
        identities: Identities,
        progress: Arc<dyn Fn(Progress) + Send + Sync>,
        stop: &CancellationToken,
    ) -> Pin<Box<dyn Future<Output = Result<FleetReport, HttpError>> + Send + '_>> {
        // Boxed to be compiled here, and not in the crate that awaits it.
        Box::pin(self.play(identities, progress, stop))
    }

    async fn play(
        self,
        identities: Identities,
        progress: Arc<dyn Fn(Progress) + Send + Sync>,
        stop: &CancellationToken,
    ) -> Result<FleetReport, HttpError> {
        self.ensure_reachable(&identities).await?;
        let workers = u64::try_from(self.concurrency).unwrap_or(u64::MAX).clamp(1, self.count.max(1));
        let of = self.count * (1 + self.rounds + u64::from(!self.keep));
        let started = Instant::now();
        let run = Arc::new(Run {
            identities,
            figures: Figures::default(),
            done: AtomicU64::new(0),
            stop: stop.clone(),
            together: Barrier::new(usize::try_from(workers).unwrap_or(usize::MAX)),
            fleet: self,
        });
        let mut working = JoinSet::new();
        for first in 0..workers {
            let (run, progress) = (Arc::clone(&run), Arc::clone(&progress));
            working.spawn(async move {
                let tells = || progress(Progress { done: run.done.fetch_add(1, Ordering::Relaxed) + 1, of });
                work(&run, first, workers, &tells).await
            });
        }
        let mut registered = 0;
        while let Some(left) = working.join_next().await {
            match left {
                Ok(left) => registered += left,
                Err(fault) => std::panic::resume_unwind(fault.into_panic()),
            }
        }
        Ok(run.figures.report(run.fleet.count, started.elapsed(), registered, stop.is_cancelled()))
    }

    /// Asks once for a device that does not exist, so that a wrong address is one error and not a thousand.
    async fn ensure_reachable(&self, identities: &Identities) -> Result<(), HttpError> {
        let Some(pass) = self.passes.first() else { return Ok(()) };
        let mut line = Line::new(self.timeout, MAX_BODY_BYTES, self.trust.clone());
        let unknown = identities.device(self.count);
        match device::asks_for_list(&mut line, pass, &unknown, None).await {
            Err(fault) if fault.is_unreachable() => Err(fault),
            _ => Ok(()),
        }
    }
}

/// One worker: every so many-th phone, one after the other. Returns how many of them are still registered.
async fn work(run: &Run, first: u64, step: u64, tells: &(dyn Fn() + Sync)) -> u64 {
    let mut line = Line::new(run.fleet.timeout, MAX_BODY_BYTES, run.fleet.trust.clone());
    let mine = (first..run.fleet.count).step_by(usize::try_from(step).unwrap_or(usize::MAX));
    let mut devices: Vec<Device> = mine.map(Device::new).collect();
    for device in &mut devices {
        if run.stop.is_cancelled() {
            break;
        }
        device.arrives(run, &mut line).await;
        tells();
    }
    run.wait_for_the_others().await;
    for _ in 0..run.fleet.rounds {
        if run.stop.is_cancelled() {
            break;
        }
        for device in &mut devices {
            if run.stop.is_cancelled() {
                break;
            }
            device.wakes(run, &mut line).await;
            tells();
        }
        run.wait_for_the_others().await;
    }
    if !run.fleet.keep {
        for device in &mut devices {
            device.leaves(run, &mut line).await;
            tells();
        }
    }
    devices.iter().map(|device| u64::from(device.is_registered())).sum()
}
