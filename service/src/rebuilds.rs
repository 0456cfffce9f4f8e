//! Rebuilds of the read model: a copy of its tables is filled beside the live one, and takes its place.

use std::sync::Arc;

use futures::future::BoxFuture;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::Log;
use honoken_projections::{Filler, ReadModel, Times};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::retention::RetentionDays;

/// The clock, as rebuilds need it.
pub fn times(clock: Arc<dyn Clock>, retention: RetentionDays) -> Times {
    let now = clock.clone();
    Times {
        now: Arc::new(move || now.unix_seconds()),
        cutoff: Arc::new(move || retention.cutoff(clock.unix_seconds())),
    }
}

/// The task that fills copies where no projector runs, in this process unless another is at it.
#[derive(Debug)]
pub struct Rebuilds {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Rebuilds {
    /// Starts it. It looks at the directory of copies, where wishes of operators are, and does nothing while there are none.
    pub fn start(
        log: Arc<Log>,
        read_model: ReadModel,
        clock: Arc<dyn Clock>,
        retention: RetentionDays,
    ) -> Self {
        let times = times(clock, retention);
        let filler = Filler::new(log, Upcasters::current(), read_model, times);
        let stop = CancellationToken::new();
        let work: BoxFuture<'static, ()> = Box::pin(filler.run(stop.clone()));
        Self { task: tokio::spawn(work), stop }
    }

    /// Ends it between two batches. A rebuild goes on with the next process.
    pub async fn end(mut self) {
        self.stop.cancel();
        crate::stores::ended(&mut self.task, "rebuilding the read model").await;
    }
}
