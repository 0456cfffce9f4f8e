//! The composition root: which parts a process runs, over which stores, and how they end. `serve`, `dev` and the tests start the service here.
//! Its futures are boxed for the reason that [`crate::stores`] gives.

use std::sync::Arc;

use futures::future::BoxFuture;
use honoken_domain::sealed::SealingKeys;
use honoken_event_store::{EventLog, Position};
use honoken_projections::{Progress, ReadModel};
use honoken_telemetry::error_chain;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::apns_keys::at_start;
use crate::built_passes::BuiltPasses;
use crate::clock::Clock;
use crate::ids::IdSource;
use crate::jobs::worker::Worker;
use crate::key_uses::KeyUses;
use crate::personalization::Personalizations;
use crate::push_credentials::PushCredentials;
use crate::push_destination::Destination;
use crate::pushing::options::{ApnsOptions, NatsOptions, Options as PushingOptions};
use crate::pushing::trial::Trials;
use crate::pushing::{self, Given, Parts, Pushing};
use crate::retention::{self, RetentionDays};
use crate::shutdown::Shutdown;
use crate::signers::Signers;
use crate::stores::{Stores, ended};

/// The roles of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of four roles, each of which a process has or not")]
pub struct Roles {
    /// Answers phones, integrators and operators.
    pub api: bool,
    /// Fills the read model and carries background jobs out.
    pub projector: bool,
    /// Publishes changes.
    pub relay: bool,
    /// Sends pushes.
    pub pusher: bool,
}

impl Roles {
    /// Everything in one process.
    pub const ALL: Self = Self { api: true, projector: true, relay: true, pusher: true };

    /// Whether it cannot do its work without the encryption keys: to sign passes, or to push.
    pub fn need_keys(self) -> bool {
        self.api || self.pusher
    }
}

/// The options of the service, besides its stores.
pub struct Options {
    /// The roles of this process.
    pub roles: Roles,
    /// The keys that open private keys.
    pub keys: Option<SealingKeys>,
    /// The `webServiceURL` of every pass.
    pub web_service_url: String,
    /// Requests that may wait for a pass to be built.
    pub builds_waiting: u32,
    /// How pushes are sent.
    pub pushing: PushingOptions,
    /// How APNs is reached.
    pub apns: ApnsOptions,
    /// The reason why nothing is pushed, in a process that sends no pushes.
    pub not_sent: Option<&'static str>,
    /// NATS, where it is configured.
    pub nats: Option<NatsOptions>,
    /// The name under which NATS knows this process.
    pub service_name: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random values.
    pub ids: Arc<dyn IdSource>,
    /// The days for which rows of devices and registrations that left are kept.
    pub retention: RetentionDays,
}

/// The parts of a process, running.
pub struct Service {
    /// The stores.
    pub stores: Stores,
    /// `.pkpass` files.
    pub built_passes: BuiltPasses,
    /// Signs the tokens of persons who enrol, and seals their data.
    pub personalizations: Personalizations,
    /// The keys that open and seal private keys.
    pub keys: Option<SealingKeys>,
    /// Asks APNs about credentials.
    pub trials: Trials,
    /// The feed through which changes reach the ledger of deliveries, by the name of its checkpoint.
    pub feed: &'static str,
    /// Takes note of the uses of API keys.
    pub key_uses: KeyUses,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random values.
    pub ids: Arc<dyn IdSource>,
    /// The parts of pushing, until they are ended.
    pushing: Option<Pushing>,
    /// Keep certificates and APNs keys up to date; end with the projector.
    followers: Vec<JoinHandle<()>>,
    /// The worker of jobs, if this process has one.
    jobs: Option<(JoinHandle<()>, CancellationToken)>,
    /// Purges rows of devices that left, if this process may run the projection.
    purging: Option<(JoinHandle<()>, CancellationToken)>,
    /// Writes the uses of API keys.
    noting: (JoinHandle<()>, CancellationToken),
}

impl Service {
    /// Starts the parts of these roles, over opened stores.
    ///
    /// # Errors
    /// When a store cannot be read, or the configuration cannot be used; the sentence says what to do.
    pub fn start(stores: Stores, options: Options) -> BoxFuture<'static, anyhow::Result<Self>> {
        Box::pin(Self::start_here(stores, options))
    }

    async fn start_here(stores: Stores, options: Options) -> anyhow::Result<Self> {
        let Options { roles, keys, clock, ids, .. } = options;
        if roles != (Roles { projector: true, ..Roles::default() }) {
            stores.fit_together().await?;
        }
        let mut followers = Vec::new();
        let (keys_of_persons, keys_of_operators, keys_of_jobs) = (keys.clone(), keys.clone(), keys.clone());
        let (mut signers, mut credentials) =
            (Signers::none(), PushCredentials::not_sent("this process does not push"));
        if roles.need_keys() {
            let configured = options.apns.key.as_ref();
            at_start::ensure(configured, keys.as_ref(), &stores.dispatcher, &*clock, &*ids).await?;
            let (read_model, progress) = (stores.read_model.clone(), stores.projector.progress());
            let (followed, follow) =
                Signers::follow(read_model, keys.clone(), clock.clone(), progress).await?;
            signers = followed;
            followers.push(tokio::spawn(follow));
        }
        if roles.api {
            followers.push(tokio::spawn(warn_without_certificate(
                stores.read_model.clone(),
                stores.projector.progress(),
                *stores.log.head().borrow(),
            )));
        }
        if let Some(why) = options.not_sent {
            credentials = PushCredentials::not_sent(why);
        } else if roles.pusher {
            let (read_model, progress) = (stores.read_model.clone(), stores.projector.progress());
            let destination = Destination::of(options.apns.endpoint.as_ref());
            let followed = PushCredentials::follow(
                read_model,
                keys,
                signers.clone(),
                clock.clone(),
                progress,
                destination,
            );
            let (followed, follow) = followed.await?;
            credentials = followed;
            followers.push(tokio::spawn(follow));
        }
        let jobs = roles.projector.then(|| start_jobs(&stores, keys_of_jobs, clock.clone(), ids.clone()));
        let purging = roles.projector.then(|| {
            let (projector, stop) = (stores.projector.clone(), CancellationToken::new());
            let purge = retention::purge(projector, clock.clone(), options.retention, stop.clone());
            (tokio::spawn(purge), stop)
        });
        let (url, waiting) = (&options.web_service_url, options.builds_waiting);
        let personalizations =
            Personalizations::new(stores.vault.clone(), signers.clone(), keys_of_persons, ids.clone());
        let built_passes = BuiltPasses::new(signers, stores.blobs.clone(), url, waiting, &stores.metrics);
        let given = Given {
            stores: &stores,
            options: options.pushing,
            apns: &options.apns,
            nats: options.nats.as_ref(),
            service_name: &options.service_name,
            credentials,
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let (apns, push_type) = (options.apns.clone(), options.pushing.push_type);
        let trials = Trials::new(apns, push_type, options.not_sent, clock.clone(), ids.clone());
        let parts = Parts { relay: roles.relay, pusher: roles.pusher, commands: roles.api };
        let pushing = Some(Pushing::start(parts, given).await?);
        let feed = pushing::feed_of(options.nats.as_ref());
        let stop = CancellationToken::new();
        let (key_uses, noting) = KeyUses::start(stores.office.clone(), stop.clone());
        let noting = (tokio::spawn(noting), stop);
        Ok(Self {
            stores,
            built_passes,
            personalizations,
            keys: keys_of_operators,
            trials,
            feed,
            key_uses,
            clock,
            ids,
            pushing,
            followers,
            jobs,
            purging,
            noting,
        })
    }

    /// The parts of pushing, until they are ended. A part that uses NATS is run there too.
    pub fn pushing(&mut self) -> Option<&mut Pushing> {
        self.pushing.as_mut()
    }

    /// Completes when a part ends, which none should before [`Service::close`].
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
            () = self.stores.failed() => {}
            () = worker => {}
            () = pushing => {}
        }
    }

    /// Ends pushing while requests in flight are finished. It comes before the event log is closed, because a dead token leads to a
    /// command.
    pub async fn end_pushing(&mut self, shutdown: Shutdown) {
        if let Some(pushing) = self.pushing.take() {
            pushing.close(shutdown).await;
        }
    }

    /// Ends pushing, the worker of jobs and the projector, then finishes and closes the stores. The caller must hold no reference to the
    /// event log any more.
    pub fn close(self, shutdown: Shutdown) -> BoxFuture<'static, ()> {
        Box::pin(self.close_here(shutdown))
    }

    async fn close_here(mut self, shutdown: Shutdown) {
        self.end_pushing(shutdown).await;
        if let Some((mut worker, stop)) = self.jobs {
            stop.cancel();
            shutdown.close("the worker of jobs", ended(&mut worker, "the worker of jobs")).await;
        }
        if let Some((mut purging, stop)) = self.purging {
            stop.cancel();
            shutdown.close("the purge", ended(&mut purging, "the purge")).await;
        }
        let (mut noting, stop) = self.noting;
        stop.cancel();
        shutdown
            .close("noting the uses of API keys", ended(&mut noting, "noting the uses of API keys"))
            .await;
        self.stores.end_projector(shutdown).await;
        for mut follower in self.followers {
            let part = "following certificates and APNs keys";
            shutdown.close(part, ended(&mut follower, part)).await;
        }
        self.stores.close_behind_projector(shutdown).await;
    }
}

/// Warns where no certificate is installed. The read model has to show the event log first: one that is filled again, as after a restore, has no
/// certificates yet.
async fn warn_without_certificate(
    read_model: ReadModel,
    mut progress: watch::Receiver<Progress>,
    head: Position,
) {
    if progress.wait_for(|progress| progress.position >= head).await.is_err() {
        return;
    }
    match read_model.certificates_changed_after(Position(0)).await {
        Ok(certificates) if certificates.iter().all(|certificate| certificate.revoked) => tracing::warn!(
            "no certificate is installed: passes are kept, and cannot be signed (see `honoken certs install --help`)"
        ),
        Ok(_) => {}
        Err(fault) => tracing::warn!(error = error_chain(&fault), "the certificates could not be read"),
    }
}

/// Starts the worker that carries jobs out while this process runs the projection.
fn start_jobs(
    stores: &Stores,
    keys: Option<SealingKeys>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
) -> (JoinHandle<()>, CancellationToken) {
    let stop = CancellationToken::new();
    let personalizations =
        Personalizations::new(stores.vault.clone(), Signers::none(), keys.clone(), ids.clone());
    let worker = Worker {
        dispatcher: stores.dispatcher.clone(),
        read_model: stores.read_model.clone(),
        blobs: stores.blobs.clone(),
        personalizations,
        keys,
        ids,
        projector: stores.projector.clone(),
        clock,
        stop: stop.clone(),
    };
    (tokio::spawn(worker.run()), stop)
}
