//! The stores, opened, with the projector that fills the read model.
//!
//! Functions that return a [`BoxFuture`] do so to be compiled here, beside what they call: the body of an `async fn` is compiled in the crate that
//! awaits it, with all that it awaits in turn.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::future::BoxFuture;
use honoken_domain::ids::UnixSeconds;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Log, Position};
use honoken_office::Office;
use honoken_projections::{Comparison, Filler, OperationError, Part, Projector, ReadModel, Times};
use honoken_pushers::ledger::Ledger;
use honoken_telemetry::metrics::Metrics;
use honoken_vault::Vault;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::blobs::Blobs;
use crate::commands::Commands;
use crate::ids::IdSource;
use crate::image_store::{DiskCache, ImageOptions, ImageStore, Place};
use crate::set_back;
use crate::shutdown::Shutdown;
use crate::storage::Storage;

/// The stores, opened, with the projector running or watching.
pub struct Stores {
    /// The event log.
    pub log: Arc<Log>,
    /// Carries commands to aggregates.
    pub dispatcher: Arc<Commands>,
    /// The read model.
    pub read_model: ReadModel,
    /// Knows how far the read model is.
    pub projector: Projector,
    /// The ledger of deliveries.
    pub ledger: Ledger,
    /// The keys of personal data.
    pub vault: Vault,
    /// The records of the operators' office.
    pub office: Office,
    /// Images.
    pub blobs: Blobs,
    /// The metrics.
    pub metrics: Metrics,
    running: JoinHandle<()>,
    stop: CancellationToken,
}

/// The folder of the images, in the data folder.
pub const IMAGES: &str = "blobs";

/// The folder of the cache of images, in the data folder.
const IMAGE_CACHE: &str = "image-cache";

/// The time between two log lines about a read model that takes long to catch up.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// The time between two checks of a read model that does not fit the event log.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

impl Stores {
    /// Opens the event log, the read model, the ledger, the keys of personal data and the records of the office in their storage, and the images in
    /// their place, which is in the data folder if none is named.
    ///
    /// # Errors
    /// When a store cannot be opened.
    pub fn open<'a>(
        storage: &'a Storage,
        data_dir: &'a Path,
        images: &'a ImageOptions,
        (part, times): (Part, Times),
        ids: &'a dyn IdSource,
        metrics: Metrics,
    ) -> BoxFuture<'a, anyhow::Result<Self>> {
        Box::pin(async move {
            let blobs = open_images(images, data_dir).await?.counted(&metrics);
            let read_model = storage.open_read_model().await?;
            let ledger = storage.open_ledger().await?;
            let vault = storage.open_vault().await?;
            let office = storage.open_office().await?;
            let log = Arc::new(set_back::open_log(storage, ids, &read_model, &ledger).await?);
            let stop = CancellationToken::new();
            let (projector, running) =
                start_projector(log.clone(), read_model.clone(), (part, times), stop.clone()).await?;
            let dispatcher = Arc::new(Commands::new(log.clone(), metrics.clone()));
            Ok(Self {
                log,
                dispatcher,
                read_model,
                projector,
                ledger,
                vault,
                office,
                blobs,
                metrics,
                running,
                stop,
            })
        })
    }

    /// Waits until the read model has caught up with the event log, and logs the progress while that takes long.
    ///
    /// # Errors
    /// When the projector ends before that.
    pub async fn caught_up(&self) -> anyhow::Result<()> {
        let head = *self.log.head().borrow();
        let mut progress = self.projector.progress();
        loop {
            let reached = progress.wait_for(|progress| progress.position >= head);
            if let Ok(reached) = tokio::time::timeout(PROGRESS_INTERVAL, reached).await {
                reached.context("the projector ended before it had caught up with the event log")?;
                return Ok(());
            }
            let position = self.projector.progress().borrow().position;
            tracing::info!("the read model catches up with the event log: {position} of {head} events");
        }
    }

    /// Waits while the read model is that of another event log. After `honoken log restored` it is, until a process has filled it again;
    /// its old content must not be given to phones as if it came from this log.
    ///
    /// # Errors
    /// When the read model cannot be asked.
    pub async fn fit_together(&self) -> anyhow::Result<()> {
        let mut waits = false;
        while self.read_model.is_of_another_log(self.log.epoch()).await? {
            if !std::mem::replace(&mut waits, true) {
                tracing::warn!(
                    "the read model belongs to another event log: waiting for a process with the role projector to fill it again"
                );
            }
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
        Ok(())
    }

    /// Completes when the writer of the event log or the projector ends, which neither should before [`Stores::close`].
    pub async fn failed(&mut self) {
        tokio::select! {
            () = self.log.ended() => {}
            _ = &mut self.running => {}
        }
    }

    /// Ends the projector, and with it the followers.
    pub(crate) async fn end_projector(&mut self, shutdown: Shutdown) {
        self.stop.cancel();
        shutdown.close("the projector", ended(&mut self.running, "the projector")).await;
    }

    /// Finishes and closes the stores, after the projector has ended. The caller must hold no reference to the event log any more.
    pub(crate) async fn close_behind_projector(self, shutdown: Shutdown) {
        drop(self.projector);
        shutdown.close("the ledger of deliveries", self.ledger.close()).await;
        shutdown.close("the keys of personal data", self.vault.close()).await;
        shutdown.close("the records of the office", self.office.close()).await;
        shutdown.close("the read model", self.read_model.close()).await;
        drop(self.dispatcher);
        if let Some(log) = Arc::into_inner(self.log) {
            shutdown.close("the event log", log.close()).await;
        } else {
            // A request took longer than it was given. Its events are on disk; only the file is not tidied up.
            tracing::warn!("the event log is still in use and is not closed");
        }
    }

    /// Stops the projector, then finishes and closes the stores.
    pub fn close(mut self, shutdown: Shutdown) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.end_projector(shutdown).await;
            self.close_behind_projector(shutdown).await;
        })
    }
}

/// Opens the image store of a place, and makes sure that it answers; with a cache in the data folder, if it is on another machine.
async fn open_images(options: &ImageOptions, data_dir: &Path) -> anyhow::Result<Blobs> {
    let Some(place) = &options.place else {
        return Ok(Blobs::of(ImageStore::open(&Place::Folder(data_dir.join(IMAGES)))?));
    };
    let about = "HONOKEN_ASSETS_URL names an image store that cannot be used";
    let store = ImageStore::open(place).context(about)?;
    store.reach().await.context(about)?;
    let cache = if place.is_remote() && options.cache_bytes > 0 {
        let folder = data_dir.join(IMAGE_CACHE);
        let about = || format!("the cache of images in {} cannot be used", folder.display());
        Some(DiskCache::open(&folder, options.cache_bytes).with_context(about)?)
    } else {
        None
    };
    Ok(Blobs::of(store).behind(cache))
}

/// Starts a projector, and a task that does its work until `stop`. Where it may run the projection, it fills copies of the tables too, when an operator
/// wishes so or there are none of this release's version.
///
/// # Errors
/// When the read model cannot be read or written.
pub fn start_projector(
    log: Arc<Log>,
    read_model: ReadModel,
    (part, times): (Part, Times),
    stop: CancellationToken,
) -> BoxFuture<'static, Result<(Projector, JoinHandle<()>), OperationError>> {
    Box::pin(async move {
        let filler = Filler::new(log.clone(), Upcasters::current(), read_model.clone(), times);
        let (projector, run) = Projector::start(log, Upcasters::current(), read_model, part, stop).await?;
        let work = async move {
            if part == Part::Watch {
                return run.await;
            }
            let stop = CancellationToken::new();
            let filling = tokio::spawn(filler.run(stop.clone()));
            run.await;
            stop.cancel();
            if let Err(fault) = filling.await {
                tracing::error!(error = %fault, "rebuilding the read model ended with an error");
            }
        };
        Ok((projector, tokio::spawn(work)))
    })
}

/// Compares the read model with a fresh one: see [`honoken_projections::compare_with_fresh`].
///
/// # Errors
/// Those of [`honoken_projections::compare_with_fresh`].
pub fn compare_with_fresh<'a>(
    log: &'a Log,
    read_model: &'a ReadModel,
    cutoff: &'a (dyn Fn() -> UnixSeconds + Sync),
    report: &'a mut (dyn FnMut(Position) + Send),
    difference: &'a mut (dyn FnMut(String) + Send),
) -> BoxFuture<'a, Result<Comparison, OperationError>> {
    Box::pin(async move {
        let upcasters = Upcasters::current();
        honoken_projections::compare_with_fresh(log, &upcasters, read_model, cutoff, report, difference).await
    })
}

/// Waits for the end of a task.
pub(crate) async fn ended(task: &mut JoinHandle<()>, part: &'static str) {
    if let Err(fault) = task.await {
        tracing::error!(error = %fault, "{part} ended with an error");
    }
}
