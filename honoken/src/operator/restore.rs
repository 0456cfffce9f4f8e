//! `honoken restore`

use std::path::PathBuf;

use clap::Args;
use honoken_service::backup::restoring;
use honoken_service::ids::IdSource;
use honoken_service::storage::Database;

use crate::config::Config;
use crate::operator::backup::names;
use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::StorageOptions;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  honoken restore /mnt/backups --data-dir /srv/new                             # the newest
  honoken restore /mnt/backups/2026-11-30T09-40-00.000Z --data-dir /srv/new

The folder must not have an event log. Update tags begin anew, as after `honoken log restored`, so phones ask for every pass and get those that
differ. The read model is filled again at the next start.";

/// The arguments of `restore`.
#[derive(Debug, Args)]
pub struct Options {
    /// A backup, or the folder with backups, of which the newest is taken.
    #[arg(value_name = "FROM")]
    from: PathBuf,
    #[command(flatten)]
    storage: StorageOptions,
}

/// Makes a data folder out of a backup.
///
/// # Errors
/// When the backup was changed, the folder has an event log, or something cannot be read or written.
pub async fn run(options: &Options, config: &Config, ids: &dyn IdSource) -> anyhow::Result<()> {
    let to = match &config.database {
        Some(Database::Postgres(_)) => anyhow::bail!(
            "DATABASE_URL names a Postgres database: restore it with pg_restore, then run `honoken log restored`; to move a backup there, restore it into a \
             folder without DATABASE_URL and use `honoken log copy`"
        ),
        Some(Database::Folder(folder)) => folder.clone(),
        None => options.storage.data_dir().to_owned(),
    };
    let backup = restoring::backup_at(&options.from)?;
    let mut progress = Progress::of("images", 0);
    let restored = restoring::restore(&backup, &to, ids, |images| progress.at(images)).await;
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
    if restored.lost_images > 0 {
        print_line(&format!(
            "{} images are missing in the backup, and the log output names them",
            restored.lost_images
        ))?;
    }
    if manifest.images.is_none() {
        print_line(
            "it has no images: they were in a store of their own, which HONOKEN_ASSETS_URL has to name",
        )?;
    }
    if manifest.encryption_keys.is_empty() {
        return Ok(());
    }
    print_line(&format!(
        "before the service starts, give it the encryption keys that the backup needs: {} (a file of this name belongs into {})",
        names(&manifest.encryption_keys),
        to.display()
    ))
}
