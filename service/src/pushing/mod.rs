//! Sets up pushing: which parts of it run in a process, what they are given, and how they end.
//!
//! - [`options`]: its configuration
//! - [`trial`]: whether APNs takes a credential
//! - [`counts`] and `figures.rs`: its metrics
//!
//! The parts themselves are in the crate `pushers`. Without NATS, messages go from the event log to the ledger within the process.

pub mod counts;
mod figures;
pub mod options;
pub mod trial;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::Log;
use honoken_pushers::apns::{self, ApnsClient};
use honoken_pushers::dedicated_thread;
use honoken_pushers::feed::Feed;
use honoken_pushers::feed::in_process::InProcessFeed;
use honoken_pushers::ledger::feeds::{IN_PROCESS, RELAY};
use honoken_pushers::nats::feed::JetStreamFeed;
use honoken_pushers::nats::relay::{Relay, RelaySettings};
use honoken_pushers::nats::{self, Nats};
use honoken_pushers::source::Source;
use honoken_pushers::subscriber::fan_out::FanOut;
use honoken_pushers::subscriber::sender::Sender;
use honoken_pushers::subscriber::{Ports, Settings};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dead_tokens::DeadTokenCommands;
use crate::ids::IdSource;
use crate::push_credentials::PushCredentials;
use crate::shutdown::Shutdown;
use crate::stores::Stores;
use counts::Counts;
use figures::Figures;
use options::{ApnsOptions, NatsOptions, Options};

/// Which parts a process runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// Publishes changes.
    pub relay: bool,
    /// Sends pushes.
    pub pusher: bool,
    /// Takes commands over NATS, by a part that is passed to [`Pushing::run`].
    pub commands: bool,
}

/// The dependencies of the parts.
pub(crate) struct Given<'a> {
    /// The stores.
    pub(crate) stores: &'a Stores,
    /// The configuration of pushing.
    pub(crate) options: Options,
    /// How APNs is reached.
    pub(crate) apns: &'a ApnsOptions,
    /// NATS, where it is configured.
    pub(crate) nats: Option<&'a NatsOptions>,
    /// The name under which NATS knows this process.
    pub(crate) service_name: &'a str,
    /// The credentials of pushes.
    pub(crate) credentials: PushCredentials,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Random values.
    pub(crate) ids: Arc<dyn IdSource>,
}

/// The parts that run.
pub struct Pushing {
    running: JoinSet<()>,
    stop: CancellationToken,
    nats: Option<Nats>,
    apns: Option<Arc<ApnsClient>>,
}

impl Pushing {
    /// Starts the parts. An unreachable NATS or APNs does not keep them from starting.
    ///
    /// # Errors
    /// When the configuration cannot be used; the sentence names the variable.
    pub(crate) async fn start(parts: Parts, given: Given<'_>) -> anyhow::Result<Self> {
        let nats = connection(parts, &given).await?;
        let mut pushing = Self { running: JoinSet::new(), stop: CancellationToken::new(), nats, apns: None };
        let mut published = None;
        match pushing.nats.clone() {
            Some(nats) => {
                if parts.relay {
                    let (source, ledger) = (given.source(), given.stores.ledger.clone());
                    let relay = Relay::new(
                        source,
                        ledger,
                        nats.clone(),
                        given.clock.clone(),
                        RelaySettings::default(),
                    );
                    published = Some(relay.figures());
                    pushing.run(|stop| relay.run(stop));
                }
                if parts.pusher {
                    // Messages that were not acknowledged are handed out again by NATS.
                    pushing.wake_phones(&given, JetStreamFeed::new(nats), async |feed| drop(feed))?;
                }
            }
            None if parts.relay && parts.pusher => {
                let sweeps = RelaySettings::default().sweep_every;
                let feed = InProcessFeed::new(given.source(), given.stores.ledger.clone(), sweeps);
                published = Some(feed.figures());
                pushing.wake_phones(&given, feed, InProcessFeed::close)?;
            }
            None => {}
        }
        let figures = Figures {
            log: given.stores.log.clone(),
            ledger: given.stores.ledger.clone(),
            metrics: given.stores.metrics.clone(),
            clock: given.clock.clone(),
            feed: feed_of(given.nats),
            published,
        };
        pushing.run(|stop| figures.run(stop));
        Ok(pushing)
    }

    /// The connection to NATS, where it is configured and a part of this process uses it.
    pub fn nats(&self) -> Option<&Nats> {
        self.nats.as_ref()
    }

    /// Runs a part that ends with the others.
    pub fn run<F>(&mut self, part: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.running.spawn(part(self.stop.clone()));
    }

    /// Starts the fan-out, which writes pending deliveries, and the sender, which sends them.
    fn wake_phones<F: Feed<Receipt: Sync> + Sync, E: Future<Output = ()> + Send>(
        &mut self,
        given: &Given<'_>,
        feed: F,
        end: impl FnOnce(F) -> E + Send + 'static,
    ) -> anyhow::Result<()> {
        let (ledger, read_model) = (given.stores.ledger.clone(), given.stores.read_model.clone());
        let ports = given.ports()?;
        self.apns = Some(ports.apns.clone());
        let settings = given.settings();
        let (time, ids) = (ports.time.clone(), ports.ids.clone());
        let fan_out = FanOut::new(ledger.clone(), read_model.clone(), feed, time, ids, settings);
        self.run(|stop| async move { end(fan_out.run(stop).await).await });
        let sender = Sender::new(ledger, read_model, ports, settings);
        let stop = self.stop.clone();
        self.running.spawn(
            dedicated_thread::spawn("sender", || sender.run(stop)).context("no thread for the sender")?,
        );
        Ok(())
    }

    /// Completes when a part ends, which none should before [`Pushing::close`].
    pub async fn failed(&mut self) {
        if self.running.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Takes no new messages, waits until the pushes in flight are answered and recorded, and closes the connection to NATS.
    pub async fn close(mut self, shutdown: Shutdown) {
        self.stop.cancel();
        let ended = async {
            while let Some(ended) = self.running.join_next().await {
                if let Err(fault) = ended {
                    tracing::error!(error = %fault, "a part of pushing ended with an error");
                }
            }
        };
        if tokio::time::timeout_at(shutdown.work_deadline(), ended).await.is_err() {
            tracing::warn!("pushes were in flight for too long; they are sent again after the next start");
            self.running.abort_all();
        }
        if let Some(apns) = self.apns {
            shutdown.close("the connections to APNs", apns.close()).await;
        }
        if let Some(nats) = self.nats {
            shutdown.close("the connection to NATS", nats.close()).await;
        }
    }
}

/// The feed for a configuration, by the name of its checkpoint.
pub fn feed_of(nats: Option<&NatsOptions>) -> &'static str {
    if nats.is_some() { RELAY } else { IN_PROCESS }
}

/// Connects to NATS, if it is configured and a part of this process uses it.
async fn connection(parts: Parts, given: &Given<'_>) -> anyhow::Result<Option<Nats>> {
    let Some(NatsOptions { url, creds_file, tls }) = given.nats else { return Ok(None) };
    if !(parts.relay || parts.pusher || parts.commands) {
        return Ok(None);
    }
    let (url, creds_file, tls) = (url.clone(), creds_file.clone(), tls.clone());
    let name = given.service_name.to_owned();
    let nats = Nats::connect(&nats::NatsOptions { url, creds_file, tls, name }).await;
    nats.map(Some).context("NATS cannot be used")
}

/// The client of APNs.
fn client(
    options: &ApnsOptions,
    push_type: apns::PushType,
    max_connections: usize,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<ApnsClient> {
    let ApnsOptions { endpoint, ca_file, .. } = options;
    let default = apns::Options::default();
    let ca_pem = ca_file.as_ref().map(std::fs::read).transpose();
    let options = apns::Options {
        endpoint: endpoint.clone().unwrap_or(default.endpoint),
        ca_pem: ca_pem.context("HONOKEN_APNS_CA_FILE cannot be read")?,
        push_type,
        max_connections,
        ..default
    };
    Ok(ApnsClient::new(options, clock)?)
}

impl Given<'_> {
    fn source(&self) -> Source<Log> {
        let Stores { log, read_model, projector, .. } = self.stores;
        Source::new(log.clone(), Upcasters::current(), read_model.clone(), projector.progress())
    }

    fn ports(&self) -> anyhow::Result<Ports<ApnsClient, PushCredentials, DeadTokenCommands>> {
        let Options { push_type, connections, .. } = self.options;
        let apns = client(self.apns, push_type, connections.get() as usize, self.clock.clone())?;
        Ok(Ports {
            apns: Arc::new(apns),
            credentials: Arc::new(self.credentials.clone()),
            dead_tokens: Arc::new(DeadTokenCommands {
                dispatcher: self.stores.dispatcher.clone(),
                clock: self.clock.clone(),
                ids: self.ids.clone(),
            }),
            time: self.clock.clone(),
            ids: self.ids.clone(),
            observer: Arc::new(Counts::new(&self.stores.metrics)),
        })
    }

    fn settings(&self) -> Settings {
        let Options { batch_size, retry_attempts, retention_days, window_seconds, at_work, .. } =
            self.options;
        Settings {
            window: Duration::from_secs(window_seconds.unwrap_or(options::PUSH_WINDOW_SECONDS).into()),
            batch_size: batch_size.get(),
            retry_attempts: retry_attempts.get().into(),
            at_work: at_work.get() as usize,
            retention: Duration::from_hours(24) * retention_days.get(),
            ..Settings::default()
        }
    }
}
