//! The common part of `dev` and `serve`: the options of a process, its answers, and its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use futures::future::OptionFuture;
use honoken_api::auth::admin_credentials::AdminCredentials;
use honoken_api::doctor;
use honoken_api::layers::rate_limits;
use honoken_api::nats::CommandConsumer;
use honoken_api::server::{self, Counts, HttpListener};
use honoken_api::state::{self, App};
use honoken_api::{limits, router};
use honoken_domain::sealed::SealingKeys;
use honoken_pushers::labels::label_sets;
use honoken_service::clock::Clock;
use honoken_service::data_dir::{self, Folder};
use honoken_service::ids::IdSource;
use honoken_service::running_process::Entrance;
use honoken_service::service::{Options, Roles, Service};
use honoken_service::shutdown::Shutdown;
use honoken_telemetry::log_output::LogOutput;
use honoken_telemetry::metrics::Metrics;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::release::VERSION_AND_COMMIT;
use crate::sockets::Sockets;

/// A started service that does not answer requests yet.
pub struct Started {
    /// The running parts.
    pub service: Service,
    /// The sockets on which it will answer.
    pub sockets: Sockets,
    /// The roles of this process.
    pub roles: Roles,
    /// The folder with the files of the stores, where they are in files: commands of operators come in there.
    pub folder: Option<Arc<Folder>>,
}

/// The dependencies of a command that runs the service.
pub struct Process {
    /// The address to listen on.
    pub listen: String,
    /// The folder of images and certificates, and of the databases if no other place is named.
    pub data_dir: PathBuf,
    /// The file that is written once requests are answered.
    pub ready_file: Option<PathBuf>,
    /// The configuration from the environment.
    pub config: Config,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random values.
    pub ids: Arc<dyn IdSource>,
    /// The log output.
    pub log_output: LogOutput,
}

impl Process {
    /// Binds the addresses, and removes the ready file of an earlier run, which would lead its readers to the wrong address.
    ///
    /// # Errors
    /// When either cannot be done; the sentence says what to do.
    pub async fn bind(&self) -> anyhow::Result<Sockets> {
        let sockets = Sockets::bind(&self.listen, &self.config).await?;
        if let Some(file) = &self.ready_file {
            data_dir::remove_if_there(file)
                .with_context(|| format!("could not replace {}", file.display()))?;
        }
        Ok(sockets)
    }

    /// Refuses a configuration that is not safe in production.
    ///
    /// # Errors
    /// With the variable, and what to do.
    pub fn check(&self) -> anyhow::Result<()> {
        let is_plain = self.config.public_url.as_ref().is_some_and(|url| url.scheme() == "http");
        anyhow::ensure!(
            !(self.config.is_production() && is_plain),
            "HONOKEN_PUBLIC_URL begins with http://, and ENVIRONMENT is production: phones would send the tokens of passes in the clear, and iOS refuses \
             such passes. Set it to the https:// address under which phones reach the service, or ENVIRONMENT to another name to try it"
        );
        Ok(())
    }

    /// The metrics of this process, with the dropped lines of log output.
    pub fn metrics(&self) -> Metrics {
        let metrics = Metrics::new(&self.config.identity, &label_sets());
        self.log_output.count_in(&metrics);
        metrics
    }

    /// The options of the service.
    pub fn service_options(&self, roles: Roles, keys: Option<SealingKeys>, sockets: &Sockets) -> Options {
        let Self { config, clock, ids, .. } = self;
        // Phones append `/v1/…`.
        let public_url = config.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        Options {
            roles,
            keys,
            web_service_url: public_url.unwrap_or_else(|| sockets.base_url.clone()),
            builds_waiting: config.builds_waiting,
            pushing: config.pushing,
            apns: config.apns.clone(),
            not_sent: None,
            nats: config.nats.clone(),
            service_name: config.identity.service.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            retention: config.retention,
        }
    }

    /// The options of the API.
    pub fn api_options(
        &self,
        admin: Option<AdminCredentials>,
        fewest_password_characters: usize,
        rates: rate_limits::Options,
    ) -> state::Options {
        let config = &self.config;
        state::Options {
            admin,
            signing_key: config.admin_signing_key.clone(),
            fewest_password_characters,
            load: config.load,
            rates,
            public_url: config.public_url.clone(),
            metrics_are_elsewhere: !config.has_public_metrics(),
            admin_is_elsewhere: config.admin_listen.is_some(),
            is_production: config.is_production(),
            first_steps: None,
            doctor: doctor::Options {
                is_public: config.doctor.is_public,
                trust: config.doctor.trust.clone(),
            },
            sample_success_rate: config.logging.sample_success_rate,
        }
    }

    /// Answers requests until `stop`, then lets those in flight finish and closes the stores, all in bounded time ([`Shutdown`]). When requests are
    /// answered, the ready file is written with the content `ready`, and then `announce` is called.
    ///
    /// # Errors
    /// When a part of the service ends before it was told to, or the ready file cannot be written.
    pub async fn answer(
        &self,
        started: Started,
        options: state::Options,
        stop: CancellationToken,
        ready: &str,
        announce: impl FnOnce(),
    ) -> anyhow::Result<()> {
        let Started { mut service, sockets, roles, folder } = started;
        let entrance = folder.and_then(|folder| Entrance::open(&folder, &service, VERSION_AND_COMMIT));
        let entering = OptionFuture::from(entrance.map(|entrance| entrance.answer(stop.clone())));
        let serving = self.serve(&mut service, options, sockets, roles, &stop);
        let mut serving = tokio::spawn(async move {
            tokio::join!(serving, entering);
        });
        write_ready_file(self.ready_file.as_deref(), ready)?;
        announce();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            served = &mut serving => {
                served.context("the server ended unexpectedly")?;
                anyhow::bail!("the server ended unexpectedly; start it again");
            }
            // Ends the process when a part fails: its supervisor starts it again, which is better than half a service.
            () = service.failed() => anyhow::bail!("a part of the service ended unexpectedly; start it again"),
        }
        let shutdown = Shutdown::start();
        let (served, ()) = tokio::join!(serving, service.end_pushing(shutdown));
        served.context("the server ended unexpectedly")?;
        service.close(shutdown).await;
        Ok(())
    }

    /// Starts to answer requests, and to take commands over NATS. The future ends soon after `stop`.
    fn serve(
        &self,
        service: &mut Service,
        options: state::Options,
        sockets: Sockets,
        roles: Roles,
        stop: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let app = Arc::new(App::new(service, options));
        if roles.api
            && let Some(pushing) = service.pushing()
            && let Some(nats) = pushing.nats().cloned()
        {
            let consumer = CommandConsumer::new(app.clone(), nats);
            pushing.run(|stop| consumer.run(stop));
        }
        let counts = Counts::of(&app.metrics);
        let lines = app.anonymous_lines.clone();
        let allowed = server::connections_allowed();
        let metrics = sockets.metrics.map(|listener| HttpListener {
            listener,
            router: router::metrics_alone(app.clone()),
            connections: limits::METRICS_CONNECTIONS,
            buffered_connections: limits::METRICS_CONNECTIONS,
            connections_per_address: None,
            counts: counts.clone(),
            anonymous_lines: lines.clone(),
            tls: None,
        });
        let tls = sockets.tls;
        let admin = sockets.admin.filter(|_| roles.api).map(|listener| HttpListener {
            listener,
            router: router::admin_alone(app.clone()),
            connections: limits::ADMIN_CONNECTIONS,
            buffered_connections: limits::ADMIN_CONNECTIONS,
            connections_per_address: None,
            counts: counts.clone(),
            anonymous_lines: lines.clone(),
            tls: tls.clone(),
        });
        let main = HttpListener {
            listener: sockets.main,
            router: if roles.api { router::router(app) } else { router::health_alone(app) },
            connections: allowed,
            buffered_connections: limits::BUFFERED_CONNECTIONS.min(allowed),
            connections_per_address: self.config.connections.per_address_of(allowed),
            counts,
            anonymous_lines: lines.clone(),
            tls: tls.clone(),
        };
        let metrics = OptionFuture::from(metrics.map(|listener| server::serve(listener, stop.clone())));
        let admin = OptionFuture::from(admin.map(|listener| server::serve(listener, stop.clone())));
        let main = server::serve(main, stop.clone());
        let until = stop.clone();
        async move {
            let reporting = lines.report_until(&until);
            let following = OptionFuture::from(tls.as_ref().map(|tls| tls.follow(&until)));
            tokio::join!(main, metrics, admin, reporting, following);
            lines.report();
        }
    }
}

/// Writes the ready file, if one was asked for.
fn write_ready_file(file: Option<&Path>, content: &str) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    data_dir::write_secret(file, content).with_context(|| format!("could not write {}", file.display()))
}
