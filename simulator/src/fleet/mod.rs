//! Many made-up phones at once, for load: each registers, lists, fetches, asks again, and leaves.
//!
//! What a phone would think of the answers is [`conformance`](crate::conformance)'s business; here they are counted and timed. Memory
//! is bounded: a device is a tag and a date, and of the times only their distribution is kept. So are connections: each of the workers
//! has one.

mod device;
mod figures;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::figures::{FleetReport, Route, RouteReport};

use self::device::Device;
use self::figures::Figures;
use crate::http::{HttpError, Line, Trust};
use crate::identities::Identities;
use crate::phone::{Package, WebService};

/// A longer list or a larger pass than this is a failure.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// What a fleet does.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The passes, given out in turn: one for all phones, or some for each.
    pub passes: Vec<FleetPass>,
    /// How many phones.
    pub count: u64,
    /// How many of them ask at the same time, over a connection each.
    pub concurrency: usize,
    /// How often each asks for its list after it has arrived, as phones do that are woken.
    pub rounds: u64,
    /// Whether they stay registered.
    pub keep: bool,
    /// How long each request may take.
    pub timeout: Duration,
    /// Whose certificates are believed.
    pub trust: Option<Trust>,
}

/// A pass as far as asking for it goes.
#[derive(Clone)]
pub struct FleetPass {
    web_service: WebService,
    serial_number: String,
    authorization: ::http::HeaderValue,
}

/// How far a fleet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Steps of single phones that are done: arriving, each round, leaving.
    pub done: u64,
    /// All steps.
    pub of: u64,
}

impl FleetPass {
    /// A pass, at its own web service or at another one. `None` for a pass without one.
    pub fn new(package: &Package, web_service_url: Option<&str>) -> Option<Self> {
        let updates = package.updates.as_ref()?;
        let url = web_service_url.unwrap_or(&updates.web_service.url);
        Some(Self {
            web_service: WebService::new(url, package.pass_type_identifier()),
            serial_number: package.serial_number().to_owned(),
            authorization: updates.authorization.clone(),
        })
    }
}

// The token is inside, so it is named and not shown.
impl std::fmt::Debug for FleetPass {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("FleetPass")
            .field("web_service", &self.web_service)
            .field("serial_number", &self.serial_number)
            .finish_non_exhaustive()
    }
}

/// What all workers share.
struct Shared {
    fleet: Fleet,
    identities: Identities,
    figures: Figures,
    done: AtomicU64,
    stop: CancellationToken,
    /// Everybody has arrived before anybody goes on.
    together: Barrier,
}

impl Fleet {
    /// Plays it. `stop` ends it early: those who are registered leave all the same.
    ///
    /// # Errors
    /// When nobody can be reached at the beginning. What fails later is counted.
    pub async fn run(
        self,
        identities: Identities,
        progress: impl Fn(Progress) + Send + Sync + 'static,
        stop: &CancellationToken,
    ) -> Result<FleetReport, HttpError> {
        self.somebody_is_there(&identities).await?;
        let workers = u64::try_from(self.concurrency).unwrap_or(u64::MAX).clamp(1, self.count.max(1));
        let of = self.count * (1 + self.rounds + u64::from(!self.keep));
        let started = Instant::now();
        let shared = Arc::new(Shared {
            identities,
            figures: Figures::default(),
            done: AtomicU64::new(0),
            stop: stop.clone(),
            together: Barrier::new(usize::try_from(workers).unwrap_or(usize::MAX)),
            fleet: self,
        });
        let progress = Arc::new(progress);
        let mut working = JoinSet::new();
        for first in 0..workers {
            let (shared, progress) = (Arc::clone(&shared), Arc::clone(&progress));
            working.spawn(async move {
                let tells =
                    || progress(Progress { done: shared.done.fetch_add(1, Ordering::Relaxed) + 1, of });
                shared.works(first, workers, &tells).await
            });
        }
        let mut registered = 0;
        while let Some(left) = working.join_next().await {
            match left {
                Ok(left) => registered += left,
                Err(fault) => std::panic::resume_unwind(fault.into_panic()),
            }
        }
        Ok(shared.figures.report(shared.fleet.count, started.elapsed(), registered, stop.is_cancelled()))
    }

    /// Asks once for a device that does not exist, so that a wrong address is one error and not a thousand.
    async fn somebody_is_there(&self, identities: &Identities) -> Result<(), HttpError> {
        let Some(pass) = self.passes.first() else { return Ok(()) };
        let mut line = Line::new(self.timeout, MAX_BODY_BYTES, self.trust.clone());
        let nobody = identities.device(self.count);
        match device::asks_for_list(&mut line, pass, &nobody, None).await {
            Err(fault) if fault.is_unreachable() => Err(fault),
            _ => Ok(()),
        }
    }
}

impl Shared {
    /// One worker: every so many-th phone, one after the other. Returns how many of them are still registered.
    async fn works(&self, first: u64, step: u64, tells: &(dyn Fn() + Sync)) -> u64 {
        let mut line = Line::new(self.fleet.timeout, MAX_BODY_BYTES, self.fleet.trust.clone());
        let mine = (first..self.fleet.count).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        let mut devices: Vec<Device> = mine.map(Device::new).collect();
        for device in &mut devices {
            if self.stop.is_cancelled() {
                break;
            }
            device.arrives(self, &mut line).await;
            tells();
        }
        self.waits_for_the_others().await;
        for _ in 0..self.fleet.rounds {
            if self.stop.is_cancelled() {
                break;
            }
            for device in &mut devices {
                if self.stop.is_cancelled() {
                    break;
                }
                device.wakes(self, &mut line).await;
                tells();
            }
            self.waits_for_the_others().await;
        }
        if !self.fleet.keep {
            for device in &mut devices {
                device.leaves(self, &mut line).await;
                tells();
            }
        }
        devices.iter().map(|device| u64::from(device.is_registered())).sum()
    }

    /// Not once it is to end: then nobody waits for anybody.
    async fn waits_for_the_others(&self) {
        tokio::select! {
            _ = self.together.wait() => {}
            () = self.stop.cancelled() => {}
        }
    }

    fn pass_of(&self, device: u64) -> &FleetPass {
        let passes = self.fleet.passes.len();
        let at = device % u64::try_from(passes).unwrap_or(u64::MAX).max(1);
        &self.fleet.passes[usize::try_from(at).unwrap_or_default()]
    }
}
