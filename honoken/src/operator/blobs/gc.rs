//! `honoken blobs gc`

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use honoken_domain::ids::{Digest, UnixSeconds};
use honoken_projections::WALLET;
use honoken_service::image_store::{self, ImageStore, Listed};
use honoken_service::operations::images;
use honoken_service::storage::Storage;

use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::{Environment, LogPresence, Place, Session, StorageOptions};

/// What the help shows.
pub(super) const EXAMPLES: &str = "\
Examples:
  honoken blobs gc --dry-run --data-dir /srv/honoken
  DATABASE_URL=postgres://honoken@localhost/honoken HONOKEN_ASSETS_URL='s3://passes?region=eu-central-1' honoken blobs gc --older-than-days 90

It may run beside the service: a removed image is kept at hand until every pass that was being issued with it is visible, and put back if there is one.";

/// The images to remove.
#[derive(Debug, Args)]
pub struct Gc {
    /// Print how many there are, and remove nothing.
    #[arg(long)]
    dry_run: bool,
    /// Keep images that were stored in the last so many days: an organisation may still name them.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    older_than_days: u32,
    /// Beside a running service, seconds for which removed images are kept at hand. Less than the default may remove an image that a pass is being
    /// issued with.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    hold_seconds: u64,
    #[command(flatten)]
    location: StorageOptions,
}

/// Bytes of removed images that are kept at hand at a time.
const AT_HAND: u64 = 256 * 1024 * 1024;

/// Removes what nothing refers to.
///
/// # Errors
/// When the store or the read model cannot be used, or the store cannot list its images.
pub(super) async fn run(options: &Gc, environment: &Environment) -> anyhow::Result<()> {
    let place = options.location.place(&environment.config)?;
    let store = super::reach(&options.location.images(&environment.config)).await?;
    anyhow::ensure!(
        store.can_list(),
        "{} cannot list its images: copy those that are known to another store (`honoken blobs copy`), and use that",
        store.place()
    );
    // The files are this command's alone: nothing is issued meanwhile.
    let is_alone = matches!(place, Place::Storage(Storage::Files(_)));
    let hold = if is_alone { Duration::ZERO } else { Duration::from_secs(options.hold_seconds) };
    Session::with(&place, LogPresence::MustExist, environment, async |session| {
        let parked = session.read_model.parked_count(WALLET).await?;
        anyhow::ensure!(
            parked == 0,
            "{parked} aggregates have parked events, which may refer to images: skip or mend them first (docs/operating.md)"
        );
        let before = environment.clock.unix_seconds().0 - i64::from(options.older_than_days) * 86_400;
        let referred_to = images::referred_to(&session.read_model).await?;
        let found = image_store::find(&store, &referred_to, UnixSeconds(before)).await?;
        let counted = format!(
            "{} images ({} bytes) are referred to by nothing and older than {} days",
            found.garbage.len(),
            found.bytes(),
            options.older_than_days
        );
        let rest = format!("{} are referred to, {} are newer", found.referred_to, found.new);
        if options.dry_run {
            return print_line(&format!("{counted}, and would be removed; {rest}"));
        }
        let removing = Box::pin(remove(session, &store, &found.garbage, hold));
        let put_back = place.notes(environment, "removeUnusedImages", store.place().to_string(), removing).await?;
        let again = if put_back == 0 { String::new() } else { format!("; {put_back} were put back, since a pass refers to them by now") };
        print_line(&format!("{counted}, and were removed{again}; {rest}"))
    })
    .await
}

/// Removes images, as many at a time as can be kept at hand. Gives how many were put back.
async fn remove(
    session: &Session,
    store: &ImageStore,
    garbage: &[Listed],
    hold: Duration,
) -> anyhow::Result<u64> {
    let mut progress = Progress::of("images", garbage.len() as u64);
    let (mut at_hand, mut bytes, mut put_back) = (Vec::new(), 0, 0);
    for image in garbage {
        at_hand.extend(Box::pin(image_store::remove(store, &image.digest)).await?);
        bytes += image.bytes;
        progress.advance(1);
        if bytes >= AT_HAND {
            bytes = 0;
            put_back += settle(session, store, std::mem::take(&mut at_hand), hold).await?;
        }
    }
    put_back += settle(session, store, at_hand, hold).await?;
    progress.clear();
    Ok(put_back)
}

/// Waits for the passes that were being issued, and puts back what they refer to.
async fn settle(
    session: &Session,
    store: &ImageStore,
    at_hand: Vec<(Digest, Bytes)>,
    hold: Duration,
) -> anyhow::Result<u64> {
    if hold.is_zero() || at_hand.is_empty() {
        return Ok(0);
    }
    tokio::time::sleep(hold).await;
    session.catches_up().await?;
    let referred_to = images::referred_to(&session.read_model).await?;
    Ok(image_store::put_back(store, at_hand, &referred_to).await?)
}
