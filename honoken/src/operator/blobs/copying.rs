//! `honoken blobs copy`

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use futures::{StreamExt, stream};
use honoken_domain::ids::Digest;
use honoken_service::image_store::{self, Copied, CopyFault, ImageStore, Place};
use honoken_service::operations::images;

use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::{Environment, LogPresence, Session, StorageOptions};

/// What the help shows.
pub(super) const EXAMPLES: &str = "\
Examples:
  honoken blobs copy --from fs:/srv/honoken/blobs --to 's3://passes/images?region=eu-central-1'
  honoken blobs copy --from rediss://:PASSWORD@cache.internal:6379/0 --to fs:/srv/images --data-dir /srv/honoken

It may run beside the service, and be repeated: start the service on the new store (HONOKEN_ASSETS_URL), then copy once more what was uploaded meanwhile.
A Redis cannot list its images, so the read model says which there are (--data-dir, or DATABASE_URL).";

/// The stores to copy between.
#[derive(Debug, Args)]
pub struct Copy {
    /// The store to copy from, as in `HONOKEN_ASSETS_URL`.
    #[arg(long, value_name = "URL")]
    from: String,
    /// The store to copy to, as in `HONOKEN_ASSETS_URL`.
    #[arg(long, value_name = "URL")]
    to: String,
    #[command(flatten)]
    location: StorageOptions,
}

/// Images that are copied at a time.
const AT_A_TIME: usize = 16;

/// How often an image is tried while a store is away.
const TRIES: usize = 10;

/// Copies all images.
///
/// # Errors
/// When a store cannot be used, or an image stays behind.
pub(super) async fn run(options: &Copy, environment: &Environment) -> anyhow::Result<()> {
    let from = super::open("--from", &options.from, &environment.config).await?;
    let to = super::open("--to", &options.to, &environment.config).await?;
    if let (Place::Memory, _) | (_, Place::Memory) = (from.place(), to.place()) {
        anyhow::bail!("memory: is the memory of this command, and ends with it: name another store");
    }
    let target = to.place().to_string();
    let copying = Box::pin(copy_all(options, environment, &from, &to));
    // Where the command knows an installation, it is noted there; between two stores there need not be one.
    match options.location.place(&environment.config) {
        Ok(place) => place.notes_alone(environment, "copyImages", target, copying).await,
        Err(_) => copying.await,
    }
}

async fn copy_all(
    options: &Copy,
    environment: &Environment,
    from: &ImageStore,
    to: &ImageStore,
) -> anyhow::Result<()> {
    let digests = if from.can_list() { listed(from).await? } else { known(options, environment).await? };
    let mut progress = Progress::of("images", digests.len() as u64);
    let (mut before, mut now, mut left) = (0_u64, 0_u64, 0_u64);
    let copied = stream::iter(&digests).map(|digest| copy(from, to, digest)).buffer_unordered(AT_A_TIME);
    let mut copied = Box::pin(copied);
    while let Some(copied) = copied.next().await {
        progress.advance(1);
        match copied {
            Ok(Copied::Before) => before += 1,
            Ok(Copied::Now) => now += 1,
            Err(CopyFault::Store(fault)) => {
                progress.clear();
                return Err(fault)
                    .context("the copy was cut off: run the command again, it goes on where it stopped");
            }
            Err(fault) => {
                left += 1;
                tracing::error!("an image was not copied: {fault}");
            }
        }
    }
    progress.clear();
    let counted = format!("{now} images were copied and read again, {before} were there already");
    anyhow::ensure!(
        left == 0,
        "{counted}; {left} could not be copied: upload these again, the log output names them"
    );
    print_line(&format!("{counted}, in {}", to.place()))
}

/// Copies an image, and waits while a store is away for a moment.
async fn copy(from: &ImageStore, to: &ImageStore, digest: &Digest) -> Result<Copied, CopyFault> {
    let mut tries = 1;
    loop {
        match Box::pin(image_store::copy(from, to, digest)).await {
            Err(CopyFault::Store(_)) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            outcome => return outcome,
        }
    }
}

async fn listed(store: &ImageStore) -> anyhow::Result<BTreeSet<Digest>> {
    Ok(store.list().await?.into_iter().map(|image| image.digest).collect())
}

async fn known(options: &Copy, environment: &Environment) -> anyhow::Result<BTreeSet<Digest>> {
    let place = options.location.place(&environment.config)?;
    Session::with(&place, LogPresence::MustExist, environment, async |session| {
        Ok(images::known(&session.read_model).await?)
    })
    .await
}
