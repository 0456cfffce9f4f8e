//! `honoken serve`: the service for production, in one process or in several that share a database.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use honoken_domain::sealed::SealingKeys;
use honoken_projections::Part;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::apns_keys::at_start;
use crate::app::{App, Stores};
use crate::built_passes::BuiltPasses;
use crate::config::PUSH_WINDOW_SECONDS;
use crate::folder::{self, Folder};
use crate::keyring;
use crate::metrics::Metrics;
use crate::operator_password;
use crate::place::Place;
use crate::push_credentials::PushCredentials;
use crate::pushing::{Given, Parts, Pushing};
use crate::router;
use crate::service::{self, Doors, Process};
use crate::signers::{Count, Signers};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Answers phones, integrators and operators.
    Api,
    /// Fills the read model and carries background jobs out; of several processes one does so at a time.
    Projector,
    /// Tells of changes: over NATS, or without `NATS_URL` the role `pusher` of the same process; of several processes one does so at a time.
    Relay,
    /// Wakes phones; several processes share the work.
    Pusher,
}

/// A service that is about to answer.
struct Prepared {
    doors: Doors,
    stores: Stores,
    base_url: String,
    data_dir: PathBuf,
    /// Keeps other processes out of the folder as long as the service runs.
    place: Place,
}

/// Runs until `stop`, also when that comes before the service has started: whatever a start has done by then, the next one goes on from.
///
/// # Errors
/// When the folder, the address or a store cannot be used; the sentence says what to do.
pub async fn run(process: Process, roles: Vec<Role>, stop: CancellationToken) -> anyhow::Result<()> {
    if let Some(admin) = &process.config.admin {
        operator_password::check(admin)?;
    }
    let prepared = tokio::select! {
        prepared = prepare(&process, &roles) => prepared?,
        () = stop.cancelled() => return Ok(()),
    };
    let Prepared { doors, stores, base_url, data_dir, place } = prepared;
    let ended = service::run(doors, stores, stop, || {
        let ready = format!("{}\n", json!({ "baseUrl": base_url, "dataDir": data_dir }));
        service::write_ready_file(process.ready_file.as_deref(), &ready)?;
        tracing::info!("ready at {base_url}");
        Ok(())
    })
    .await;
    drop(place);
    ended
}

/// Opens the stores and starts the parts that these roles are.
async fn prepare(process: &Process, roles: &[Role]) -> anyhow::Result<Prepared> {
    let is = |role| roles.contains(&role);
    let place =
        Place::of(&process.config, &process.data_dir, || Ok(Arc::new(Folder::open(&process.data_dir)?)))?;
    if matches!(place, Place::Files(_)) && !Role::value_variants().iter().all(|role| is(*role)) {
        anyhow::bail!(
            "SQLite files have one process at a time: let it have all roles (--roles api,projector,relay,pusher, as without the option), or set \
             DATABASE_URL to a Postgres database"
        );
    }
    if process.config.nats.is_none() && is(Role::Relay) != is(Role::Pusher) {
        anyhow::bail!(
            "without a broker the roles relay and pusher speak with each other within a process: let it have both (--roles relay,pusher), or set \
             NATS_URL"
        );
    }
    let (signs, pushes) = (is(Role::Api), is(Role::Pusher));
    let data_dir = folder::prepare(&process.data_dir)?;
    let (listener, metrics) = (process.bind().await?, process.bind_metrics().await?);
    let base_url = service::base_url(listener.local_addr()?);
    let keys = if signs || pushes { keys(process, &place, &data_dir)? } else { None };

    let part = if is(Role::Projector) { Part::Run } else { Part::Watch };
    let Process { config, clock, ids, .. } = process;
    let counted = Metrics::new(&config.identity);
    process.log_output.count_in(&counted);
    let mut stores = Stores::open(&place, &data_dir, part, &**ids, counted).await?;
    if !is(Role::Projector) || roles.len() > 1 {
        stores.fit_together().await?;
    }
    if signs || pushes {
        let configured = config.apns.key.as_ref();
        at_start::ensure(configured, keys.as_ref(), &stores.dispatcher, &**clock, &**ids).await?;
    }
    let signers = if signs || pushes {
        let signers = stores.signers(keys.clone(), process.clock.clone()).await?;
        if signs && signers.count(process.clock.unix_seconds()) == Count::default() {
            tracing::warn!(
                "no certificate is installed: passes are kept, and cannot be signed (`honoken certs install --help` says what to do; `honoken dev` \
                 installs the development certificate of its folder)"
            );
        }
        signers
    } else {
        Signers::none()
    };
    if is(Role::Projector) {
        stores.start_jobs(process.clock.clone());
    }
    let credentials = if pushes {
        stores.push_credentials(keys, signers.clone(), clock.clone()).await?
    } else {
        PushCredentials::not_sent("this process does not push")
    };
    let web_service_url = process.web_service_url(&base_url);
    let built_passes =
        BuiltPasses::new(signers, stores.blobs.clone(), &web_service_url, config.load, &stores.metrics);
    let app = App::new(&stores, built_passes, config.admin.clone(), clock.clone(), ids.clone(), config);
    let app = Arc::new(app);
    let given = Given {
        stores: &stores,
        config,
        credentials,
        window: Duration::from_secs(PUSH_WINDOW_SECONDS.into()),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let parts = Parts { relay: is(Role::Relay), pusher: pushes };
    let pushing = Pushing::start(parts, given, is(Role::Api).then(|| app.clone())).await?;
    stores.keep(pushing);
    let metrics = service::metrics(metrics, &app);
    let anonymous_lines = app.anonymous_lines.clone();
    let router = if is(Role::Api) { router::router(app) } else { router::health_alone(app) };
    let doors = Doors { main: listener, router, connections: config.connections, metrics, anonymous_lines };
    if is(Role::Api) {
        warn_about_defaults(process, &base_url);
    }
    Ok(Prepared { doors, stores, base_url, data_dir, place })
}

/// What is fine on a desk and hardly ever meant elsewhere.
fn warn_about_defaults(process: &Process, base_url: &str) {
    if process.config.public_url.is_none() {
        tracing::warn!("HONOKEN_PUBLIC_URL is not set: passes will send phones to {base_url}");
    }
    if process.config.admin.is_none() {
        tracing::warn!(
            "HONOKEN_ADMIN_USERNAME and HONOKEN_ADMIN_PASSWORD are not set: nobody can use the admin routes"
        );
    }
}

/// What opens private keys. A folder that this process has for itself gets a key of its own; several processes have to be given the same.
fn keys(process: &Process, place: &Place, data_dir: &Path) -> anyhow::Result<Option<SealingKeys>> {
    let Process { config, ids, .. } = process;
    if let Place::Files(folder) = place {
        return keyring::ensure(config, folder.path(), &**ids).map(Some);
    }
    let keys = keyring::find(config, data_dir)?;
    if keys.is_none() {
        tracing::warn!("there is no encryption key, so no certificate can be used: {}", keyring::HOW_TO_SET);
    }
    Ok(keys)
}
