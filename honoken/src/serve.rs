//! `honoken serve`: the service for production, in one process or in several that share a database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use honoken_domain::sealed::SealingKeys;
use honoken_event_store::Mark;
use honoken_projections::Part;
use honoken_service::data_dir::{self, Folder};
use honoken_service::encryption_keys::{self, Missing};
use honoken_service::image_store::Place;
use honoken_service::rebuilds;
use honoken_service::service::{Roles, Service};
use honoken_service::storage::Storage;
use honoken_service::stores::Stores;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::operator_password;
use crate::process::{Process, Started};

/// A part of the service that a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Answers phones, integrators and operators.
    Api,
    /// Fills the read model and carries background jobs out; only one of several processes does so at a time.
    Projector,
    /// Publishes changes: over NATS, or without `NATS_URL` to the role `pusher` of the same process; only one of several processes does so
    /// at a time.
    Relay,
    /// Sends pushes to phones; several processes share the work.
    Pusher,
}

/// Runs until `stop`, also when that comes before the service has started: the next start continues from whatever this one has done.
///
/// # Errors
/// When the folder, the address or a store cannot be used; the sentence says what to do.
pub async fn run(process: Process, roles: Vec<Role>, stop: CancellationToken) -> anyhow::Result<()> {
    if let Some(admin) = &process.config.admin {
        operator_password::check(admin)?;
    }
    let is = |role| roles.contains(&role);
    let roles = Roles {
        api: is(Role::Api),
        projector: is(Role::Projector),
        relay: is(Role::Relay),
        pusher: is(Role::Pusher),
    };
    let started = tokio::select! {
        started = start(&process, roles) => started?,
        () = stop.cancelled() => return Ok(()),
    };
    let (started, data_dir, storage) = started;
    let base_url = started.sockets.base_url.clone();
    let (admin, rates) = (process.config.admin.clone(), process.config.rates);
    let options = process.api_options(admin, operator_password::FEWEST, rates);
    let mut ready = json!({ "baseUrl": base_url, "dataDir": data_dir });
    if let Some(url) = started.sockets.admin_url.as_deref().filter(|_| roles.api) {
        ready["adminUrl"] = url.into();
    }
    let ready = format!("{ready}\n");
    let ended =
        process.answer(started, options, stop, &ready, || tracing::info!("ready at {base_url}")).await;
    // The storage kept other processes out of the folder while the service ran.
    drop(storage);
    ended
}

/// Starts the parts of these roles. Returns them with the data folder, and with the storage that keeps other processes out of it.
async fn start(process: &Process, roles: Roles) -> anyhow::Result<(Started, PathBuf, Storage)> {
    let Process { config, clock, ids, .. } = process;
    let folder = || Ok(Arc::new(Folder::open(&process.data_dir)?));
    let storage = Storage::of(config.database.as_ref(), &process.data_dir, folder)?;
    let storage = storage.with_log_in(config.event_store.as_ref());
    check(roles, &storage, config.nats.is_some())?;
    process.check()?;
    let data_dir = data_dir::prepare(&process.data_dir)?;
    let sockets = process.bind().await?;
    storage.put_mark(Mark::Serve).await?;
    let keys = if roles.need_keys() {
        keys(process, &storage, &data_dir).await?
    } else {
        // Only jobs use them, which say so where they are missing.
        encryption_keys::find(config.encryption_keys.as_ref(), &data_dir)?
    };
    let part = if roles.projector { Part::Run } else { Part::Watch };
    let (images, metrics) = (&config.images, process.metrics());
    let times = rebuilds::times(clock.clone(), config.retention);
    let stores = Stores::open(&storage, &data_dir, images, (part, times), &**ids, metrics).await?;
    let service = Service::start(stores, process.service_options(roles, keys, &sockets)).await?;
    if roles.api {
        warn_about_defaults(process, &sockets.base_url);
    }
    let folder = storage.folder().cloned();
    Ok((Started { service, sockets, roles, folder }, data_dir, storage))
}

/// Refuses roles that cannot work with this storage or without NATS.
fn check(roles: Roles, storage: &Storage, has_broker: bool) -> anyhow::Result<()> {
    if storage.folder().is_some() && roles != Roles::ALL {
        anyhow::bail!(
            "SQLite files have one process at a time: give it all roles (--roles api,projector,relay,pusher, as without the option), or set \
             DATABASE_URL to a Postgres database"
        );
    }
    if !has_broker && roles.relay != roles.pusher {
        anyhow::bail!(
            "without NATS the roles relay and pusher communicate within a process: give it both (--roles relay,pusher), or set NATS_URL"
        );
    }
    Ok(())
}

/// Warns about defaults that are fine for trying out and rarely intended elsewhere.
fn warn_about_defaults(process: &Process, base_url: &str) {
    if process.config.public_url.is_none() {
        tracing::warn!("HONOKEN_PUBLIC_URL is not set: phones will use {base_url}");
    }
    if matches!(process.config.images.place, Some(Place::Memory)) {
        tracing::warn!(
            "HONOKEN_ASSETS_URL is memory: — images are lost when this process ends, and no other process has them"
        );
    }
    if process.config.admin.is_none() {
        tracing::warn!(
            "HONOKEN_ADMIN_USERNAME and HONOKEN_ADMIN_PASSWORD are not set: only stored operators can use the admin routes"
        );
    }
}

/// The keys that open private keys. A data folder that only this process uses gets one of its own; several processes have to be given the
/// same.
async fn keys(process: &Process, storage: &Storage, data_dir: &Path) -> anyhow::Result<Option<SealingKeys>> {
    let configured = process.config.encryption_keys.as_ref();
    if let Some(folder) = storage.folder() {
        let found = encryption_keys::find(configured, folder.path())?;
        encryption_keys::check(found.as_ref(), storage, folder.path(), Missing::IsMade).await?;
        return encryption_keys::ensure(configured, folder.path(), &*process.ids).map(Some);
    }
    let keys = encryption_keys::find(configured, data_dir)?;
    encryption_keys::check(keys.as_ref(), storage, data_dir, Missing::StaysSo).await?;
    if keys.is_none() {
        tracing::warn!(
            "the encryption key is missing, so no certificate can be used: {}",
            encryption_keys::HOW_TO_SET
        );
    }
    Ok(keys)
}
