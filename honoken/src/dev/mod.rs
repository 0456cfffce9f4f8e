//! `honoken dev`: the whole service in one process and one folder, without configuration. The content of the folder comes from
//! `service/src/dev/`; [`greeting`] prints the first steps.

pub mod greeting;

use std::sync::Arc;

use anyhow::Context;
use honoken_api::auth::admin_credentials::AdminCredentials;
use honoken_api::layers::rate_limits;
use honoken_projections::Part;
use honoken_service::data_dir::Folder;
use honoken_service::dev::{authority, ownership, sample};
use honoken_service::encryption_keys::{self, Missing};
use honoken_service::rebuilds;
use honoken_service::service::{Roles, Service};
use honoken_service::shutdown::Shutdown;
use honoken_service::storage::Storage;
use honoken_service::stores::Stores;
use tokio_util::sync::CancellationToken;

use crate::process::{Process, Started};
use greeting::Greeting;

/// The reason that deliveries carry when no pushes are sent.
const NOT_SENT: &str =
    "not sent: `honoken dev` pushes only to the stand-in for APNs that HONOKEN_APNS_ENDPOINT names";

/// Runs until `stop`, also when that comes before the service has started: the next start continues from whatever this one has done.
///
/// # Errors
/// When the folder, the address or a store cannot be used; the sentence says what to do.
pub async fn run(process: Process, stop: CancellationToken) -> anyhow::Result<()> {
    let Process { clock, ids, config, .. } = &process;
    let folder = Arc::new(Folder::open(&process.data_dir)?);
    let storage = Storage::of(config.database.as_ref(), folder.path(), || Ok(folder.clone()))?;
    let storage = storage.with_log_in(config.event_store.as_ref());
    ownership::check(&storage).await?;
    process.check()?;
    let sockets = process.bind().await?;
    let secrets = folder.secrets(&**ids)?;
    let now = clock.unix_seconds();
    let authority = authority::ensure(&folder, &**ids, now)?;
    let credential = authority.credential(now)?;
    let key_folder = storage.folder().unwrap_or(&folder).clone();
    let stores = async {
        storage.migrate(&**ids).await?;
        ownership::claim(&storage).await?;
        let configured = config.encryption_keys.as_ref();
        let found = encryption_keys::find(configured, key_folder.path())?;
        encryption_keys::check(found.as_ref(), &storage, key_folder.path(), Missing::IsMade).await?;
        let keys = encryption_keys::ensure(configured, key_folder.path(), &**ids)?;
        let (images, metrics) = (&config.images, process.metrics());
        let times = rebuilds::times(clock.clone(), config.retention);
        let stores =
            Stores::open(&storage, folder.path(), images, (Part::Run, times), &**ids, metrics).await?;
        anyhow::Ok((stores, keys))
    };
    let (stores, keys) = tokio::select! {
        stores = stores => stores?,
        () = stop.cancelled() => return Ok(()),
    };
    let filled = async {
        stores.caught_up().await?;
        sample::ensure(&stores, &**clock, &**ids, &secrets.api_key).await?;
        sample::certificate(&stores, &**clock, &**ids, &keys, &credential).await
    };
    tokio::select! {
        filled = filled => filled?,
        () = stop.cancelled() => {
            stores.close(Shutdown::start()).await;
            return Ok(());
        }
    }

    let mut options = process.service_options(Roles::ALL, Some(keys), &sockets);
    // A developer wants to see every change at once.
    options.pushing.window_seconds.get_or_insert(0);
    if config.apns.endpoint.is_none() {
        options.not_sent = Some(NOT_SENT);
        // Nothing is sent, so it does not matter which servers are trusted; the operating system need not know any.
        options.apns.ca_file = Some(authority.root_file.clone());
    }
    let service = Service::start(stores, options).await?;
    let admin = config.admin.clone().unwrap_or_else(|| AdminCredentials::generated(secrets.admin_password));
    // A developer is not kept waiting; how many proxies there are is no limit.
    let rates = rate_limits::Options { proxies: config.rates.proxies, ..rate_limits::Options::default() };
    let greeting = Greeting {
        folder: &folder,
        api_key: secrets.api_key,
        admin: admin.clone(),
        ca_file: authority.root_file,
        base_url: sockets.base_url.clone(),
        admin_url: sockets.admin_url.clone(),
        apns: config.apns.endpoint.clone(),
    };
    let root = std::fs::read(&greeting.ca_file).context("the development root cannot be read")?;
    // As short as that of the configuration may be here.
    let mut options = process.api_options(Some(admin), 1, rates);
    // The passes of this service are the ones that a developer has inspected.
    options.doctor.trust = options.doctor.trust.and(&root)?;
    options.first_steps = Some(greeting.first_steps());
    let announce = || {
        if let Err(fault) = greeting.print() {
            tracing::warn!(error = %fault, "standard output is closed");
        }
    };
    let files = storage.folder().is_some().then_some(key_folder);
    let started = Started { service, sockets, roles: Roles::ALL, folder: files };
    process.answer(started, options, stop, &greeting.ready_file(), announce).await
}
