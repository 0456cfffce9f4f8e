//! Puts the parts together: log, projector, read model, images, certificates. What a handler can reach is here, and nothing else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use honoken_domain::sealed::SealingKeys;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Log, Metadata};
use honoken_projections::{Part, Projector, ReadModel};
use honoken_pushers::ledger::Ledger;
use prometheus::IntCounter;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::blobs::Blobs;
use crate::budget::Bodies;
use crate::built_passes::BuiltPasses;
use crate::clock::Clock;
use crate::commands::Commands;
use crate::config::{AdminCredentials, Config};
use crate::device::turns::Turns;
use crate::ending::Ending;
use crate::ids::IdSource;
use crate::jobs::worker::Worker;
use crate::load::{Gate, Gates};
use crate::log_output::AnonymousLines;
use crate::metrics::{Metric, Metrics, Queue};
use crate::place::Place;
use crate::push_credentials::PushCredentials;
use crate::pushing::{self, Pushing};
use crate::rates::Rates;
use crate::request_context::InFlight;
use crate::set_back;
use crate::signers::Signers;

/// What handlers share.
#[derive(Clone)]
pub struct App {
    /// The log; handlers need its epoch and its head.
    pub log: Arc<Log>,
    /// Carries commands to aggregates.
    pub dispatcher: Arc<Commands>,
    /// Answers questions.
    pub read_model: ReadModel,
    /// Tells how far the read model is.
    pub projector: Projector,
    /// Images.
    pub blobs: Blobs,
    /// `.pkpass` files.
    pub built_passes: BuiltPasses,
    /// Who the operator is; without one nobody is.
    pub admin: Option<AdminCredentials>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random values.
    pub ids: Arc<dyn IdSource>,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether the metrics are answered at an address of their own.
    pub metrics_are_elsewhere: bool,
    /// How many requests there are in each area.
    pub in_flight: InFlight,
    /// How often a handler has panicked.
    pub panicked: IntCounter,
    /// Where requests wait when there are many.
    pub gates: Arc<Gates>,
    /// How much of bodies is in memory.
    pub bodies: Arc<Bodies>,
    /// Which phones are to be woken.
    pub ledger: Ledger,
    /// The way that changes take to it, by the name of its checkpoint.
    pub feed: &'static str,
    /// Whether `ENVIRONMENT` is `production`.
    pub is_production: bool,
    /// Who has asked how often.
    pub rates: Arc<Rates>,
    /// Where the requests of a device meet.
    pub turns: Arc<Turns>,
    /// The share of successful requests that are logged.
    pub sample_success_rate: f64,
    /// What callers without credentials have caused in the log output.
    pub anonymous_lines: Arc<AnonymousLines>,
    /// What browsers reach the service under, where that was configured.
    pub public_url: Option<Url>,
}

/// The state of the router.
pub type AppState = Arc<App>;

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

impl App {
    /// What handlers share, over these stores.
    pub fn new(
        stores: &Stores,
        built_passes: BuiltPasses,
        admin: Option<AdminCredentials>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        config: &Config,
    ) -> Self {
        let metrics = stores.metrics.clone();
        Self {
            gates: Arc::new(Gates::new(config.load, &metrics)),
            bodies: Arc::default(),
            rates: Arc::new(Rates::new(config.rates, &metrics)),
            anonymous_lines: Arc::new(AnonymousLines::new(&metrics)),
            public_url: config.public_url.clone(),
            turns: Arc::default(),
            in_flight: InFlight::of(&metrics),
            panicked: metrics.counter(Metric::RequestsPanicked, &[]),
            metrics_are_elsewhere: config.metrics_listen.is_some(),
            ledger: stores.ledger.clone(),
            feed: pushing::feed_of(config),
            is_production: config.identity.environment.as_deref() == Some("production"),
            sample_success_rate: config.logging.sample_success_rate,
            metrics,
            log: stores.log.clone(),
            dispatcher: stores.dispatcher.clone(),
            read_model: stores.read_model.clone(),
            projector: stores.projector.clone(),
            blobs: stores.blobs.clone(),
            built_passes,
            admin,
            clock,
            ids,
        }
    }

    /// How many requests wait for what.
    pub fn waiting(&self) -> impl Iterator<Item = (Queue, usize)> {
        self.gates.all().into_iter().chain([self.built_passes.gate()]).map(Gate::waiting)
    }

    /// Who asked, in which request, and when: kept beside the events of a command.
    pub fn metadata(&self, actor: String, organization: Option<&str>, request_id: &str) -> Metadata {
        Metadata {
            actor,
            organization: organization.map(str::to_owned),
            request_id: request_id.to_owned(),
            urgent: false,
            recorded_at_ms: self.clock.unix_ms(),
        }
    }
}

/// The stores, opened, with the projector running or watching.
pub struct Stores {
    /// The log.
    pub log: Arc<Log>,
    /// Carries commands to aggregates.
    pub dispatcher: Arc<Commands>,
    /// Answers questions.
    pub read_model: ReadModel,
    /// Tells how far the read model is.
    pub projector: Projector,
    /// Which phones are to be woken.
    pub ledger: Ledger,
    /// Images.
    pub blobs: Blobs,
    /// What is counted.
    pub metrics: Metrics,
    running: JoinHandle<()>,
    /// Keep certificates and APNs keys up to date; end with the projector.
    following: Vec<JoinHandle<()>>,
    stop: CancellationToken,
    /// What wakes phones, as far as it runs here.
    pushing: Option<Pushing>,
    /// The worker of jobs, if this process has one.
    jobs: Option<(JoinHandle<()>, CancellationToken)>,
}

/// Between two lines about a read model that takes long to catch up.
const PROGRESS_LINES: Duration = Duration::from_secs(5);

/// Between two looks at a read model that does not fit the log.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

impl Stores {
    /// Opens log and read model in their place, and the images in the data folder.
    ///
    /// # Errors
    /// When a store cannot be opened.
    pub async fn open(
        place: &Place,
        data_dir: &Path,
        part: Part,
        ids: &dyn IdSource,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let read_model = place.open_read_model().await?;
        let ledger = place.open_ledger().await?;
        let log = Arc::new(set_back::open_log(place, ids, &read_model, &ledger).await?);
        let stop = CancellationToken::new();
        let (projector, run) =
            Projector::start(log.clone(), Upcasters::current(), read_model.clone(), part, stop.clone())
                .await?;
        let running = tokio::spawn(run);
        let blobs = Blobs::in_folder(&data_dir.join("blobs"))?;
        let dispatcher = Arc::new(Commands::new(log.clone(), metrics.clone()));
        Ok(Self {
            log,
            dispatcher,
            read_model,
            projector,
            ledger,
            blobs,
            metrics,
            running,
            following: Vec::new(),
            stop,
            pushing: None,
            jobs: None,
        })
    }

    /// The certificates of the read model, and those that are installed later, opened with these keys.
    ///
    /// # Errors
    /// When the read model cannot be asked.
    pub async fn signers(
        &mut self,
        keys: Option<SealingKeys>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Signers> {
        let progress = self.projector.progress();
        let (signers, follow) = Signers::follow(self.read_model.clone(), keys, clock, progress).await?;
        self.following.push(tokio::spawn(follow));
        Ok(signers)
    }

    /// What to push with: the APNs keys of the read model, opened with these keys, else the certificates that sign.
    ///
    /// # Errors
    /// When the read model cannot be asked.
    pub async fn push_credentials(
        &mut self,
        keys: Option<SealingKeys>,
        signers: Signers,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<PushCredentials> {
        let (read_model, progress) = (self.read_model.clone(), self.projector.progress());
        let (credentials, follow) =
            PushCredentials::follow(read_model, keys, signers, clock, progress).await?;
        self.following.push(tokio::spawn(follow));
        Ok(credentials)
    }

    /// Lets the read model catch up with the log, and says how far it is while that takes long.
    ///
    /// # Errors
    /// When the projector ends before it has.
    pub async fn caught_up(&self) -> anyhow::Result<()> {
        let head = *self.log.head().borrow();
        let mut progress = self.projector.progress();
        loop {
            let reached = progress.wait_for(|progress| progress.position >= head);
            if let Ok(reached) = tokio::time::timeout(PROGRESS_LINES, reached).await {
                reached.context("the projector ended before it had caught up with the log")?;
                return Ok(());
            }
            let position = self.projector.progress().borrow().position;
            tracing::info!("the read model catches up with the log: {position} of {head} events");
        }
    }

    /// Waits while the read model is another log's, which it is after `honoken log restored` until some process has filled it again. What it
    /// says until then would be given to phones as if this log had said it.
    ///
    /// # Errors
    /// When the read model cannot be asked.
    pub async fn fit_together(&self) -> anyhow::Result<()> {
        let mut waits = false;
        while self.read_model.is_of_another_log(self.log.epoch()).await? {
            if !std::mem::replace(&mut waits, true) {
                tracing::warn!(
                    "the read model is that of another log: waiting for a process with the role projector to fill it again"
                );
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    /// Begins to carry jobs out, while this process runs the projection.
    pub fn start_jobs(&mut self, clock: Arc<dyn Clock>) {
        let stop = CancellationToken::new();
        let worker = Worker {
            dispatcher: self.dispatcher.clone(),
            read_model: self.read_model.clone(),
            projector: self.projector.clone(),
            clock,
            stop: stop.clone(),
        };
        self.jobs = Some((tokio::spawn(worker.run()), stop));
    }

    /// Sees to what wakes phones from now on: that it does not end, and that it ends first when the stores are closed.
    pub fn keep(&mut self, pushing: Pushing) {
        self.pushing = Some(pushing);
    }

    /// Ends when the log's writer, the projector, the worker of jobs or a part of pushing does, which none ever should before [`Stores::close`].
    pub async fn failed(&mut self) {
        let worker = async {
            match &mut self.jobs {
                Some((worker, _)) => drop(worker.await),
                None => std::future::pending().await,
            }
        };
        let pushing = async {
            match &mut self.pushing {
                Some(pushing) => pushing.failed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.log.ended() => {}
            _ = &mut self.running => {}
            () = worker => {}
            () = pushing => {}
        }
    }

    /// Stops what wakes phones, while requests in flight are finished. Before the log is closed: what APNs says about a token is a command.
    pub async fn end_pushing(&mut self, ending: Ending) {
        if let Some(pushing) = self.pushing.take() {
            pushing.close(ending).await;
        }
    }

    /// Stops what wakes phones, the worker of jobs and the projector, then finishes and closes the log. Nobody may hold the log any more.
    pub async fn close(mut self, ending: Ending) {
        self.end_pushing(ending).await;
        if let Some((worker, stop)) = self.jobs {
            stop.cancel();
            ending.closes("the worker of jobs", ended(worker, "the worker of jobs")).await;
        }
        self.stop.cancel();
        ending.closes("the projector", ended(self.running, "the projector")).await;
        drop(self.projector);
        for following in self.following {
            let part = "keeping up with certificates and APNs keys";
            ending.closes(part, ended(following, part)).await;
        }
        ending.closes("the ledger of deliveries", self.ledger.close()).await;
        ending.closes("the read model", self.read_model.close()).await;
        drop(self.dispatcher);
        if let Some(log) = Arc::into_inner(self.log) {
            ending.closes("the event log", log.close()).await;
        } else {
            // A request outlived the time it had; what it appended is on disk, only the file is not tidied up.
            tracing::warn!("the event log is still in use and is left as it is");
        }
    }
}

/// Waits for the end of a task.
async fn ended(task: JoinHandle<()>, part: &'static str) {
    if let Err(fault) = task.await {
        tracing::error!(error = %fault, "{part} ended badly");
    }
}
