//! `honoken blobs gc`

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use honoken_domain::ids::{Digest, UnixSeconds};
use honoken_projections::WALLET;
use honoken_service::image_store::{self, Found, ImageStore};
use honoken_service::operations::former_images::FormerImages;
use honoken_service::operations::images;

use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::{Environment, LogPresence, Place, Session, StorageOptions};

/// What the help shows.
pub(super) const EXAMPLES: &str = "\
Examples:
  honoken blobs gc --dry-run --data-dir /srv/honoken
  DATABASE_URL=postgres://honoken@localhost/honoken HONOKEN_ASSETS_URL='s3://passes?region=eu-central-1' honoken blobs gc --older-than-days 90

What a pass named in the last HONOKEN_RETENTION_DAYS stays, so that such a state can be brought back. It may run beside the service: a removed image is kept at hand until every pass that was being issued with it is visible, and put back if there is one. A
Redis does not say when an image was stored: there an image goes once nothing has referred to it for so many days, from the first run on that saw it.";

/// The images to remove.
#[derive(Debug, Args)]
pub struct Gc {
    /// Print how many there are, and remove nothing.
    #[arg(long)]
    dry_run: bool,
    /// Keep images that were stored in the last so many days: an organisation may still name them. On a Redis, those of which a run saw in the last so many days for the first time that nothing refers to them.
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
/// When the store or the read model cannot be used.
pub(super) async fn run(options: &Gc, environment: &Environment) -> anyhow::Result<()> {
    let place = options.location.place(&environment.config)?;
    let store = super::reach(&options.location.images(&environment.config)).await?;
    // The files are this command's alone: nothing is issued meanwhile.
    let is_alone = match &place {
        Place::Storage(storage) => storage.folder().is_some() && storage.event_store().is_none(),
        Place::Running(_) => false,
    };
    let hold = if is_alone { Duration::ZERO } else { Duration::from_secs(options.hold_seconds) };
    Session::with(&place, LogPresence::MustExist, environment, async |session| {
        let parked = session.read_model.parked_count(WALLET).await?;
        anyhow::ensure!(
            parked == 0,
            "{parked} aggregates have parked events, which may refer to images: skip or mend them first (docs/operating.md)"
        );
        let collection = Collection { options, environment, session, store: &store, hold };
        let since = environment.config.retention.cutoff(environment.clock.unix_seconds());
        let mut references = References { session, former: FormerImages::since(since) };
        let referred_to = references.now().await?;
        let found = collection.find(&referred_to).await?;
        anyhow::ensure!(
            found.referred_to > 0 || referred_to.is_empty(),
            "{} has none of the {} images that something refers to: name the store of the service (HONOKEN_ASSETS_URL, or --data-dir)",
            store.place(),
            referred_to.len()
        );
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
        let removing = Box::pin(collection.remove(&found, &mut references));
        let removed = place.notes(environment, "removeUnusedImages", store.place().to_string(), removing).await?;
        let mut told = format!("{counted}, and were removed");
        if removed.put_back > 0 {
            write!(told, "; {} were put back, since a pass refers to them by now", removed.put_back)?;
        }
        if removed.released > 0 {
            write!(told, "; {} uploads count no more in the room of their organisations", removed.released)?;
        }
        print_line(&format!("{told}; {rest}"))
    })
    .await
}

/// What refers to images.
struct References<'a> {
    session: &'a Session,
    former: FormerImages,
}

impl References<'_> {
    /// All images that something refers to now, or a state that a pass had not long ago.
    async fn now(&mut self) -> anyhow::Result<BTreeSet<Digest>> {
        let mut referred_to = images::referred_to(&self.session.read_model).await?;
        referred_to.extend(self.former.read_on(self.session.log()).await?.iter().cloned());
        Ok(referred_to)
    }
}

/// What the removal came to.
struct Removed {
    put_back: u64,
    released: u64,
}

/// A run of the command.
struct Collection<'a> {
    options: &'a Gc,
    environment: &'a Environment,
    session: &'a Session,
    store: &'a ImageStore,
    hold: Duration,
}

impl Collection<'_> {
    async fn find(&self, referred_to: &BTreeSet<Digest>) -> anyhow::Result<Found> {
        let now = self.environment.clock.unix_seconds();
        let before = UnixSeconds(now.0 - i64::from(self.options.older_than_days) * 86_400);
        if self.store.can_list() {
            return Ok(image_store::find(self.store, referred_to, before).await?);
        }
        let mut known = images::known(&self.session.read_model).await?;
        known.append(&mut images::ever_of_the_brand(self.session.log()).await?);
        let now = (!self.options.dry_run).then_some(now);
        Ok(Box::pin(image_store::find_among(self.store, &known, referred_to, before, now)).await?)
    }

    /// Removes images, as many at a time as can be kept at hand, and gives their room back.
    async fn remove(&self, found: &Found, references: &mut References<'_>) -> anyhow::Result<Removed> {
        let mut progress = Progress::of("images", found.garbage.len() as u64);
        let (mut at_hand, mut bytes, mut put_back) = (Vec::new(), 0, 0);
        for image in &found.garbage {
            at_hand.extend(Box::pin(image_store::remove(self.store, &image.digest)).await?);
            bytes += image.bytes;
            progress.advance(1);
            if bytes >= AT_HAND {
                bytes = 0;
                put_back += self.settle(std::mem::take(&mut at_hand), references).await?;
            }
        }
        put_back += self.settle(at_hand, references).await?;
        progress.clear();
        if !self.store.can_list() {
            Box::pin(image_store::forget_removed(self.store, &found.garbage)).await?;
        }
        let garbage: BTreeSet<&Digest> = found.garbage.iter().map(|image| &image.digest).collect();
        let there = found.unreferred.iter().filter(|digest| !garbage.contains(digest)).cloned().collect();
        let referred_to = references.now().await?;
        let context = self.session.context(self.environment);
        let released = Box::pin(images::give_room_back(&context, self.store, &referred_to, &there)).await?;
        if released > 0 {
            self.session.catches_up().await?;
        }
        Ok(Removed { put_back, released })
    }

    /// Waits for the passes that were being issued, and puts back what they refer to.
    async fn settle(
        &self,
        at_hand: Vec<(Digest, Bytes)>,
        references: &mut References<'_>,
    ) -> anyhow::Result<u64> {
        if self.hold.is_zero() || at_hand.is_empty() {
            return Ok(0);
        }
        tokio::time::sleep(self.hold).await;
        self.session.catches_up().await?;
        Ok(image_store::put_back(self.store, at_hand, &references.now().await?).await?)
    }
}
