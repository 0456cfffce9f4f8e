//! The state that handlers use: the parts of the service, and the state that this crate adds.

use std::sync::Arc;

use honoken_domain::sealed::SealingKeys;
use honoken_event_store::{Log, Metadata};
use honoken_office::Office;
use honoken_projections::{Projector, ReadModel};
use honoken_pushers::ledger::Ledger;
use honoken_service::blobs::Blobs;
use honoken_service::built_passes::BuiltPasses;
use honoken_service::bundles::Bundles;
use honoken_service::clock::Clock;
use honoken_service::commands::Commands;
use honoken_service::ids::IdSource;
use honoken_service::key_uses::KeyUses;
use honoken_service::limits;
use honoken_service::operations::context::Context;
use honoken_service::operators::Operators;
use honoken_service::permits::Permits;
use honoken_service::personalization::Personalizations;
use honoken_service::pushing::trial::Trials;
use honoken_service::service::Service;
use honoken_telemetry::log_output::AnonymousLines;
use honoken_telemetry::metrics::{Metric, Metrics, Queue};
use prometheus::IntCounter;
use url::Url;

use crate::auth::admin_credentials::AdminCredentials;
use crate::auth::signing::SigningKey;
use crate::device::turns::Turns;
use crate::doctor::{self, Doctor};
use crate::first_steps::FirstSteps;
use crate::layers::body_budget::Bodies;
use crate::layers::in_flight::InFlight;
use crate::layers::load_shedding::{self, AreaPermits};
use crate::layers::rate_limits::{self, RateLimits};
use crate::layers::refused_credentials::RefusedCredentials;

/// The configuration of the API.
#[derive(Debug, Clone)]
pub struct Options {
    /// The operator of the configuration; without one only stored operators can log in.
    pub admin: Option<AdminCredentials>,
    /// The key under which operators sign their requests; without one they need not.
    pub signing_key: Option<SigningKey>,
    /// Characters that the password of a stored operator has at least.
    pub fewest_password_characters: usize,
    /// The limits on concurrent requests.
    pub load: load_shedding::Options,
    /// The rate limits.
    pub rates: rate_limits::Options,
    /// The URL under which browsers reach the service, where one was configured.
    pub public_url: Option<Url>,
    /// Whether the metrics are answered at an address of their own, or not at all.
    pub metrics_are_elsewhere: bool,
    /// Whether the routes of operators are answered at an address of their own.
    pub admin_is_elsewhere: bool,
    /// Whether `ENVIRONMENT` means production.
    pub is_production: bool,
    /// The first steps that the page at `/` shows.
    pub first_steps: Option<FirstSteps>,
    /// How passes are inspected.
    pub doctor: doctor::Options,
    /// The share of successful requests that are logged, 0 to 1.
    pub sample_success_rate: f64,
}

/// The state that all handlers share.
#[derive(Clone)]
pub struct App {
    /// The event log; handlers need its epoch and its head.
    pub log: Arc<Log>,
    /// Carries commands to aggregates.
    pub dispatcher: Arc<Commands>,
    /// The read model.
    pub read_model: ReadModel,
    /// Knows how far the read model is.
    pub projector: Projector,
    /// Images.
    pub blobs: Blobs,
    /// `.pkpass` files.
    pub built_passes: BuiltPasses,
    /// Signs the tokens of persons who enrol, and seals their data.
    pub personalizations: Personalizations,
    /// The records of the operators' office.
    pub office: Office,
    /// The operators that are stored there.
    pub operators: Operators,
    /// Takes note of the uses of API keys.
    pub key_uses: KeyUses,
    /// Asks APNs about credentials.
    pub trials: Trials,
    /// The keys that seal what operators send.
    pub keys: Option<SealingKeys>,
    /// Memory for bundles of them.
    pub bundles: Bundles,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random values.
    pub ids: Arc<dyn IdSource>,
    /// The metrics.
    pub metrics: Metrics,
    /// The ledger of deliveries.
    pub ledger: Ledger,
    /// The feed through which changes reach it, by the name of its checkpoint.
    pub feed: &'static str,
    /// The configuration.
    pub options: Options,
    /// The number of requests in progress in each area.
    pub in_flight: InFlight,
    /// Counts panics of handlers.
    pub panicked: IntCounter,
    /// The permits that requests wait for.
    pub permits: Arc<AreaPermits>,
    /// The memory budgets of bodies.
    pub bodies: Arc<Bodies>,
    /// The use of the rate limits by each caller.
    pub rates: Arc<RateLimits>,
    /// The wrong credentials that were shown.
    pub refused: Arc<RefusedCredentials>,
    /// Orders the requests of each device.
    pub turns: Arc<Turns>,
    /// Inspects passes.
    pub doctor: Arc<Doctor>,
    /// Limits the log lines that callers without credentials cause.
    pub anonymous_lines: Arc<AnonymousLines>,
}

/// The state of the router.
pub type AppState = Arc<App>;

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

impl App {
    /// The shared state over this service.
    pub fn new(service: &Service, options: Options) -> Self {
        let stores = &service.stores;
        let metrics = stores.metrics.clone();
        Self {
            permits: Arc::new(AreaPermits::new(options.load, &metrics)),
            bodies: Arc::default(),
            rates: Arc::new(RateLimits::new(options.rates, &metrics)),
            anonymous_lines: Arc::new(AnonymousLines::new(&metrics)),
            refused: Arc::new(RefusedCredentials::new(&metrics)),
            turns: Arc::default(),
            doctor: Arc::default(),
            in_flight: InFlight::of(&metrics),
            panicked: metrics.counter(Metric::RequestsPanicked, &[]),
            ledger: stores.ledger.clone(),
            feed: service.feed,
            metrics,
            log: stores.log.clone(),
            dispatcher: stores.dispatcher.clone(),
            read_model: stores.read_model.clone(),
            projector: stores.projector.clone(),
            blobs: stores.blobs.clone(),
            built_passes: service.built_passes.clone(),
            personalizations: service.personalizations.clone(),
            office: stores.office.clone(),
            operators: Operators::new(stores.office.clone(), service.ids.clone()),
            key_uses: service.key_uses.clone(),
            trials: service.trials.clone(),
            keys: service.keys.clone(),
            bundles: Bundles::default(),
            clock: service.clock.clone(),
            ids: service.ids.clone(),
            options,
        }
    }

    /// How many requests wait in each queue.
    pub fn waiting(&self) -> impl Iterator<Item = (Queue, usize)> {
        let permits = self.permits.all().into_iter().chain([self.built_passes.permits()]);
        permits.map(Permits::waiting).chain([self.turns.waiting()])
    }

    /// What an operation of an operator needs.
    pub fn operation<'a>(&'a self, metadata: &'a Metadata) -> Context<'a> {
        Context {
            dispatcher: &self.dispatcher,
            read_model: &self.read_model,
            projector: &self.projector,
            ids: &*self.ids,
            metadata,
            visible: limits::VISIBLE,
        }
    }

    /// The metadata of a command's events: the caller, the request, and the time.
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
