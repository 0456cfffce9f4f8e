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
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

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
    pub listen: String,
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
    let listener = listen(&dev.listen).await?;
    // A file of an earlier run would send whoever waits for it to the wrong address; one of a running service is not ours to touch.
    if let Some(file) = &dev.ready_file {
        folder::remove_if_there(file).with_context(|| format!("could not replace {}", file.display()))?;
    }
    let base_url = base_url(listener.local_addr()?);
    let secrets = folder.secrets(&*dev.ids)?;
    let now = dev.clock.unix_seconds();
    let authority = authority::ensure(&folder, &*dev.ids, now)?;
    let signers = Signers::default().with(sample::pass_type(), authority.identity(now)?, now);

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

    let greeting = Greeting {
        folder: &folder,
        api_key: secrets.api_key,
        admin: dev.config.admin.unwrap_or_else(|| AdminCredentials::generated(secrets.admin_password)),
        ca_file: authority.root_file,
        base_url,
    };
    let web_service_url =
        dev.config.public_url.map_or_else(|| greeting.base_url.clone(), |url| without_slash(&url));
    let built_passes = BuiltPasses::new(signers, stores.blobs.clone(), &web_service_url);
    let app = App::new(&stores, built_passes, greeting.admin.clone(), dev.clock, dev.ids);
    // The socket listens since it was bound, so a request that comes before `serve` does waits for it.
    let serving = tokio::spawn(server::serve(listener, router(Arc::new(app)), stop));
    announce(&greeting, dev.ready_file.as_deref())?;
    tokio::select! {
        served = serving => served.context("the server ended unexpectedly")?,
        // Half a service is worse than none: whoever supervises the process starts it again.
        () = stores.failed() => anyhow::bail!("a part of the service ended unexpectedly; start it again"),
    }
    stores.close().await;
    Ok(())
}

async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("could not listen on {address}; choose another address with --listen, such as 127.0.0.1:0")
    })
}

/// Phones append `/v1/…`.
fn without_slash(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn announce(greeting: &Greeting<'_>, ready_file: Option<&Path>) -> anyhow::Result<()> {
    if let Some(file) = ready_file {
        let content = greeting.ready_file();
        folder::write_secret(file, &content)
            .with_context(|| format!("could not write {}", file.display()))?;
    }
    if let Err(fault) = greeting.print() {
        tracing::warn!(error = %fault, "nobody reads standard output");
    }
    Ok(())
}

/// Where to find the service from this machine. An address that means all of them is no place to go to.
fn base_url(listening: SocketAddr) -> String {
    if listening.ip().is_unspecified() {
        return format!("http://localhost:{}", listening.port());
    }
    format!("http://{listening}")
}
