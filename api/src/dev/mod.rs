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

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use honoken_pkpass::SigningIdentity;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Stores};
use crate::built_passes::BuiltPasses;
use crate::clock::Clock;
use crate::config::{AdminCredentials, Config};
use crate::folder::{self, Folder};
use crate::ids::IdSource;
use crate::router::router;
use crate::server;
use crate::signers::Signers;
use greeting::Greeting;

/// What `dev` needs to know.
pub struct Dev {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Written once requests are answered.
    pub ready_file: Option<PathBuf>,
    /// The environment.
    pub config: Config,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random values.
    pub ids: Arc<dyn IdSource>,
}

/// Runs until `stop`, also when that comes before the service has started: whatever a start has done by then, the next one goes on from.
///
/// # Errors
/// When the folder, the address or a store cannot be used; the sentence says what to do.
pub async fn run(dev: Dev, stop: CancellationToken) -> anyhow::Result<()> {
    let folder = Folder::open(&dev.data_dir)?;
    let listener = TcpListener::bind(dev.listen).await.with_context(|| {
        format!(
            "could not listen on {}; choose another address with --listen, such as 127.0.0.1:0",
            dev.listen
        )
    })?;
    // A file of an earlier run would send whoever waits for it to the wrong address; one of a running service is not ours to touch.
    if let Some(file) = &dev.ready_file {
        folder::remove_if_there(file).with_context(|| format!("could not replace {}", file.display()))?;
    }
    let base_url = base_url(listener.local_addr()?);
    let web_service_url = dev
        .config
        .public_url
        .as_ref()
        .map_or_else(|| base_url.clone(), |url| url.as_str().trim_end_matches('/').to_owned());

    let secrets = folder.secrets(&*dev.ids)?;
    let authority = authority::ensure(&folder, &*dev.ids, dev.clock.unix_seconds())?;
    let identity = SigningIdentity::from_pem(
        &authority.certificate_pem,
        &authority.private_key_pem,
        &authority.intermediate_pem,
    )
    .context("the development certificate cannot be used")?;
    let now = dev.clock.unix_seconds();
    identity.check(sample::PASS_TYPE, sample::TEAM, now.0).context(
        "the development certificate cannot be used; remove the folder `certificates` to have it made anew",
    )?;

    let mut stores = Stores::open(folder.path(), &*dev.ids).await?;
    let prepared = async {
        stores.caught_up().await?;
        sample::ensure(&stores, &*dev.clock, &*dev.ids, &secrets.api_key).await
    };
    tokio::select! {
        prepared = prepared => prepared?,
        () = stop.cancelled() => {
            stores.close().await;
            return Ok(());
        }
    }
    let signers = Signers::default().with(sample::pass_type(), identity, now);
    let admin = dev
        .config
        .admin
        .unwrap_or(AdminCredentials { username: "admin".to_owned(), password: secrets.admin_password });
    let greeting = Greeting {
        base_url,
        folder: &folder,
        api_key: &secrets.api_key,
        admin: &admin,
        ca_file: authority.root_file,
    };
    let ready = greeting.ready_file();

    let app = App {
        log: stores.log.clone(),
        dispatcher: stores.dispatcher.clone(),
        read_model: stores.read_model.clone(),
        projector: stores.projector.clone(),
        built_passes: BuiltPasses::new(signers, stores.blobs.clone(), &web_service_url),
        blobs: stores.blobs.clone(),
        admin: admin.clone(),
        clock: dev.clock,
        ids: dev.ids,
    };
    // The socket listens since it was bound, so a request that comes before `serve` does waits for it.
    let serving = tokio::spawn(server::serve(listener, router(Arc::new(app)), stop));
    if let Some(file) = &dev.ready_file {
        folder::write_secret(file, &ready).with_context(|| format!("could not write {}", file.display()))?;
    }
    if let Err(fault) = greeting.print() {
        tracing::warn!(error = %fault, "nobody reads standard output");
    }
    tokio::select! {
        served = serving => served.context("the server ended unexpectedly")?,
        // Half a service is worse than none: whoever supervises the process starts it again.
        () = stores.failed() => anyhow::bail!("a part of the service ended unexpectedly; start it again"),
    }
    stores.close().await;
    Ok(())
}

/// Where to find the service from this machine. An address that means all of them is no place to go to.
fn base_url(listening: SocketAddr) -> String {
    if listening.ip().is_unspecified() {
        return format!("http://localhost:{}", listening.port());
    }
    format!("http://{listening}")
}
