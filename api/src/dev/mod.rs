//! `honoken dev`: everything in one process and one folder, with nothing configured.
//!
//! - [`authority`]: a development CA that plays Apple's part
//! - [`drawing`]: images for those who have none yet
//! - [`sample`]: an organisation, a pass type and an event ticket to look at
//! - [`greeting`]: where to go next

pub mod authority;
pub mod drawing;
pub mod greeting;
pub mod sample;

use std::sync::Arc;
use std::time::Duration;

use honoken_projections::Part;
use tokio_util::sync::CancellationToken;

use crate::apns_keys::at_start;
use crate::app::{App, Stores};
use crate::built_passes::BuiltPasses;
use crate::config::{AdminCredentials, Config, Rates};
use crate::ending::Ending;
use crate::folder::Folder;
use crate::keyring;
use crate::metrics::Metrics;
use crate::place::Place;
use crate::push_credentials::PushCredentials;
use crate::pushing::{Given, Parts, Pushing};
use crate::router::router;
use crate::service::{self, Doors, Process};
use greeting::Greeting;

/// What deliveries say that nobody sends.
const NOT_SENT: &str =
    "not sent: `honoken dev` pushes only to the stand-in for APNs that HONOKEN_APNS_ENDPOINT names";

/// Runs until `stop`, also when that comes before the service has started: whatever a start has done by then, the next one goes on from.
///
/// # Errors
/// When the folder, the address or a store cannot be used; the sentence says what to do.
pub async fn run(process: Process, stop: CancellationToken) -> anyhow::Result<()> {
    let folder = Arc::new(Folder::open(&process.data_dir)?);
    let (listener, metrics) = (process.bind().await?, process.bind_metrics().await?);
    let base_url = service::base_url(listener.local_addr()?);
    let Process { clock, ids, config, .. } = &process;
    let secrets = folder.secrets(&**ids)?;
    let now = clock.unix_seconds();
    let authority = authority::ensure(&folder, &**ids, now)?;
    let credential = authority.credential(now)?;

    let place = Place::of(config, folder.path(), || Ok(folder.clone()))?;
    let key_folder = if let Place::Files(files) = &place { files.clone() } else { folder.clone() };
    let keys = keyring::ensure(config, key_folder.path(), &**ids)?;
    let stores = async {
        place.migrate(&**ids).await?;
        let metrics = Metrics::new(&config.identity);
        process.log_output.count_in(&metrics);
        Stores::open(&place, folder.path(), Part::Run, &**ids, metrics).await
    };
    let mut stores = tokio::select! {
        stores = stores => stores?,
        () = stop.cancelled() => return Ok(()),
    };
    let prepared = async {
        stores.caught_up().await?;
        sample::ensure(&stores, &**clock, &**ids, &secrets.api_key).await?;
        sample::certificate(&stores, &**clock, &**ids, &keys, &credential).await?;
        let configured = config.apns.key.as_ref();
        at_start::ensure(configured, Some(&keys), &stores.dispatcher, &**clock, &**ids).await
    };
    tokio::select! {
        prepared = prepared => prepared?,
        () = stop.cancelled() => {
            stores.close(Ending::begins()).await;
            return Ok(());
        }
    }

    stores.start_jobs(clock.clone());
    let admin = config.admin.clone().unwrap_or_else(|| AdminCredentials::generated(secrets.admin_password));
    let signers = stores.signers(Some(keys.clone()), clock.clone()).await?;
    let credentials = if config.apns.endpoint.is_some() {
        stores.push_credentials(Some(keys), signers.clone(), clock.clone()).await?
    } else {
        PushCredentials::not_sent(NOT_SENT)
    };
    // Nobody is kept waiting on a desk; how many proxies there are is no limit.
    let rates = Rates { proxies: config.rates.proxies, ..Rates::default() };
    let mut config = Config { rates, ..config.clone() };
    if config.apns.endpoint.is_none() {
        // Nothing is sent, so whom to trust does not matter; the operating system need not know anybody.
        config.apns.ca_file = Some(authority.root_file.clone());
    }
    let web_service_url = process.web_service_url(&base_url);
    let built_passes =
        BuiltPasses::new(signers, stores.blobs.clone(), &web_service_url, config.load, &stores.metrics);
    let app = App::new(&stores, built_passes, Some(admin.clone()), clock.clone(), ids.clone(), &config);
    let app = Arc::new(app);
    let given = Given {
        stores: &stores,
        config: &config,
        credentials,
        window: Duration::ZERO,
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let pushing = Pushing::start(Parts { relay: true, pusher: true }, given, Some(app.clone())).await?;
    stores.keep(pushing);
    let doors = Doors {
        main: listener,
        router: router(app.clone()),
        connections: config.connections,
        metrics: service::metrics(metrics, &app),
        anonymous_lines: app.anonymous_lines.clone(),
    };
    let greeting = Greeting {
        folder: &folder,
        api_key: secrets.api_key,
        admin,
        ca_file: authority.root_file,
        base_url,
        apns: config.apns.endpoint,
    };
    drop(app);
    service::run(doors, stores, stop, || {
        service::write_ready_file(process.ready_file.as_deref(), &greeting.ready_file())?;
        if let Err(fault) = greeting.print() {
            tracing::warn!(error = %fault, "nobody reads standard output");
        }
        Ok(())
    })
    .await
}
