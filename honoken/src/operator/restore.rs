//! `honoken restore`

use clap::Args;
use honoken_service::backup::restoring::{Restored, Restoring};
use honoken_service::backup::{Backups, Images};
use honoken_service::image_store::Place as ImagePlace;
use honoken_service::storage::Database;
use honoken_service::stores::IMAGES;

use crate::operator::backup::{images, names};
use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::{Environment, StorageOptions};
use crate::operator::user;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  honoken restore /mnt/backups --data-dir /srv/new                             # the newest
  honoken restore /mnt/backups/2026-11-30T09-40-00.000Z --data-dir /srv/new
  honoken restore 's3://backups/honoken?region=eu-central-1' --data-dir /srv/new

The folder must not have an event log. Update tags begin anew, as after `honoken log restored`, so phones ask for every pass and get those that
differ. The read model is filled again at the next start.";

/// The arguments of `restore`.
#[derive(Debug, Args)]
pub struct Options {
    /// A backup, or the place with backups, of which the newest is taken: a folder, or a URL as for `honoken backup`.
    #[arg(value_name = "FROM")]
    from: String,
    #[command(flatten)]
    storage: StorageOptions,
}

/// Makes a data folder out of a backup.
///
/// # Errors
/// When the backup was changed, the folder has an event log, or something cannot be read or written.
pub async fn run(options: &Options, environment: &Environment) -> anyhow::Result<()> {
    let Environment { config, clock, ids } = environment;
    let to = match &config.database {
        Some(Database::Postgres(_)) => anyhow::bail!(
            "DATABASE_URL names a Postgres database: restore it with pg_restore, run `honoken log restored`, and copy the images back with `honoken blobs \
             copy --from fs:…/images`; to move a backup there, restore it into a folder without DATABASE_URL and use `honoken log copy`"
        ),
        Some(Database::Folder(folder)) => folder.clone(),
        None => options.storage.data_dir().to_owned(),
    };
    let (backups, name) = Backups::find(config.place("FROM", &options.from)?).await?;
    // Where the service will look for them.
    let configured = config.images.place.as_ref().map(images).transpose()?.flatten();
    let target = configured.clone().unwrap_or_else(|| Images::Folder(to.join(IMAGES)));
    let actor = user::actor();
    let restoring = Restoring {
        from: &backups,
        name: &name,
        to: &to,
        images: &target,
        clock: &**clock,
        ids: &**ids,
        actor: &actor,
    };
    let mut progress = Progress::of("images", 0);
    let restored = Box::pin(restoring.restore(|images| progress.at(images))).await;
    progress.clear();
    let restored = restored?;
    let manifest = &restored.manifest;
    print_line(&format!(
        "{} has the backup of {}: {} events up to position {}; update tags begin with {}",
        to.display(),
        manifest.made_at,
        manifest.events,
        manifest.position,
        restored.epoch
    ))?;
    print_images(&restored, configured.as_ref(), config.images.place.as_ref()).await?;
    if manifest.encryption_keys.is_empty() {
        return Ok(());
    }
    print_line(&format!(
        "before the service starts, give it the encryption keys that the backup needs: {} (a file of this name belongs into {})",
        names(&manifest.encryption_keys),
        to.display()
    ))
}

async fn print_images(
    restored: &Restored,
    configured: Option<&Images>,
    place: Option<&ImagePlace>,
) -> anyhow::Result<()> {
    if restored.lost_images > 0 {
        print_line(&format!(
            "{} images are missing in the backup, and the log output names them",
            restored.lost_images
        ))?;
    }
    if restored.manifest.images.is_some() {
        return Ok(());
    }
    match (configured, place) {
        (Some(images), Some(place)) => {
            let (listed, missing) = (restored.elsewhere.len(), images.missing(&restored.elsewhere).await?);
            print_line(&format!(
                "it has the list of its {listed} images: {missing} of them are missing in {place}"
            ))
        }
        _ => print_line(
            "it has no images: they were in a store of their own, which HONOKEN_ASSETS_URL has to name",
        ),
    }
}
