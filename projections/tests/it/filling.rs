//! A task that fills copies of the tables, beside a projector or alone.

use std::sync::Arc;

use honoken_domain::ids::UnixSeconds;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::EventLog;
use honoken_projections::{Copy, CopyState, Filler, ReadModel, Times};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::{NEVER, eventually, soon};

/// The time on its clock.
pub(crate) const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

/// A task that fills copies.
pub(crate) struct Filling {
    pub(crate) model: ReadModel,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Filling {
    /// In the process of a model. It purges nothing.
    pub(crate) fn beside<L: EventLog>(model: &ReadModel, log: Arc<L>) -> Self {
        Self::purging(model, log, NEVER)
    }

    /// Likewise. It leaves out rows that left before `cutoff`.
    fn purging<L: EventLog>(model: &ReadModel, log: Arc<L>, cutoff: UnixSeconds) -> Self {
        let at = |moment: UnixSeconds| Arc::new(move || moment) as Arc<dyn Fn() -> UnixSeconds + Send + Sync>;
        let times = Times { now: at(NOW), cutoff: at(cutoff) };
        let filler = Filler::new(log, Upcasters::current(), model.clone(), times);
        let stop = CancellationToken::new();
        Self { model: model.clone(), stop: stop.clone(), task: tokio::spawn(filler.run(stop)) }
    }

    pub(crate) async fn rebuild(&self, held: bool) -> i64 {
        let id = self.model.copies().rebuild(held, UnixSeconds(1_600_000_000)).await.unwrap();
        self.model.wishes_changed();
        id
    }

    pub(crate) async fn copy(&self, id: i64) -> Copy {
        let copies = self.model.copies().all().await.unwrap();
        copies.into_iter().find(|copy| copy.id == id).expect("the copy is known")
    }

    pub(crate) async fn reaches(&self, id: i64, state: CopyState) {
        eventually(state.as_str(), async || {
            let copies = self.model.copies().all().await.unwrap();
            copies.iter().any(|copy| copy.id == id && copy.state == state)
        })
        .await;
    }

    pub(crate) async fn stops(self) {
        self.stop.cancel();
        soon("the end of the filler", self.task).await.unwrap();
    }

    pub(crate) async fn dies(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Fills a copy of the tables of a model, and lets it take over.
pub(crate) async fn rebuilds<L: EventLog>(model: &ReadModel, log: &Arc<L>, cutoff: UnixSeconds) {
    let filling = Filling::purging(model, log.clone(), cutoff);
    let id = filling.rebuild(false).await;
    filling.reaches(id, CopyState::Live).await;
    filling.stops().await;
}
