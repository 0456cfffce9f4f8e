//! `honoken backup`

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use honoken_database::postgres;
use honoken_service::backup::keeping;
use honoken_service::backup::making::Making;
use honoken_service::clock::Clock;
use honoken_service::encryption_keys;
use honoken_service::ids::IdSource;
use honoken_service::image_store::Place as ImagePlace;
use honoken_service::storage::{Database, Storage};
use honoken_telemetry::error_chain;
use tokio::time::MissedTickBehavior;

use crate::config::Config;
use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::{Place, StorageOptions};

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  honoken backup /mnt/backups --data-dir /srv/honoken
  honoken backup /mnt/backups --data-dir /srv/honoken --every 6h --keep 14

A backup has the event log, the ledger of deliveries, the keys of persons, the records of operators and the images, as they are at one moment. It has no
encryption keys: keep those apart. On Postgres the command prints the line for pg_dump. `honoken restore` makes a data folder out of a backup.";

/// The arguments of `backup`.
#[derive(Debug, Args)]
pub struct Options {
    /// The folder for backups. Each gets a folder of its own in it; images are kept there once for all.
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Make one now and then one in each of these intervals, until a signal ends the command: `30m`, `6h`, `1d`.
    #[arg(long, value_name = "TIME", value_parser = interval)]
    every: Option<Duration>,
    /// Keep this many, and remove older ones.
    #[arg(long, value_name = "N")]
    keep: Option<NonZeroUsize>,
    #[command(flatten)]
    storage: StorageOptions,
}

/// Reads `30m`, `6h` or `1d`.
fn interval(text: &str) -> Result<Duration, String> {
    let about = || "must be a whole number of minutes, hours or days, such as 30m, 6h or 1d".to_owned();
    let unit = text.chars().last().ok_or_else(about)?;
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| about())?;
    let seconds = match unit {
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(about()),
    };
    let seconds = number.checked_mul(seconds).filter(|seconds| *seconds > 0).ok_or_else(about)?;
    Ok(Duration::from_secs(seconds))
}

/// Makes backups.
///
/// # Errors
/// When a backup cannot be made; with `--every` only when the data cannot be found, and others are logged.
pub async fn run(
    options: &Options,
    config: &Config,
    clock: &dyn Clock,
    ids: &dyn IdSource,
) -> anyhow::Result<()> {
    if let Some(Database::Postgres(_)) = &config.database {
        return on_server(&options.storage, config);
    }
    let Some(interval) = options.every else {
        return once(options, config, clock, ids).await;
    };
    // The first one tells mistakes of the command line.
    once(options, config, clock, ids).await?;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if let Err(fault) = once(options, config, clock, ids).await {
            tracing::error!(
                error = error_chain(fault.as_ref()),
                "no backup was made; the next attempt comes in its time"
            );
        }
    }
}

async fn once(
    options: &Options,
    config: &Config,
    clock: &dyn Clock,
    ids: &dyn IdSource,
) -> anyhow::Result<()> {
    let place = options.storage.place(config)?;
    let files = match &place {
        Place::Storage(Storage::Files(folder)) => folder.path(),
        Place::Running(process) => process.folder(),
        Place::Storage(Storage::Server(_)) => return on_server(&options.storage, config),
    };
    let images = images(&options.storage, config);
    let making = Making { files, images: images.as_deref(), to: &options.to, clock, ids };
    let mut progress = Progress::of("images", 0);
    let made = making.make(|images| progress.at(images)).await;
    progress.clear();
    let (backup, manifest) = made.context("no backup was made")?;
    print_line(&format!(
        "{}: {} events up to position {}, {}, encryption keys needed: {}",
        backup.display(),
        manifest.events,
        manifest.position,
        manifest.images.map_or_else(
            || "no images (they are in a store of their own)".to_owned(),
            |n| format!("{n} images")
        ),
        names(&manifest.encryption_keys)
    ))?;
    if let Some(keep) = options.keep {
        let gone = keeping::keep(&options.to, keep.get())?;
        if gone > 0 {
            print_line(&format!("removed {gone} older backups"))?;
        }
    }
    Ok(())
}

/// The folder with the images; `None` when they are in another store.
fn images(storage: &StorageOptions, config: &Config) -> Option<PathBuf> {
    match storage.images(config) {
        ImagePlace::Folder(folder) => Some(folder),
        _ => None,
    }
}

/// Where encryption keys with these numbers are, for people.
pub(super) fn names(keys: &[u32]) -> String {
    let name = |key: &u32| match *key {
        encryption_keys::OF_FOLDER => "secrets/encryption-key".to_owned(),
        number => format!("HONOKEN_ENCRYPTION_KEY_V{number}"),
    };
    match keys {
        [] => "none".to_owned(),
        keys => keys.iter().map(name).collect::<Vec<_>>().join(", "),
    }
}

/// A database server has tools of its own, which know more of it than this program.
fn on_server(storage: &StorageOptions, config: &Config) -> anyhow::Result<()> {
    let Place::Storage(Storage::Server(server)) = storage.place(config)? else { return Ok(()) };
    print_line(&format!(
        "the data is in a Postgres database ({}): back it up with\n  pg_dump --format=custom --file=honoken.dump \"$DATABASE_URL\"",
        postgres::place(&server)
    ))?;
    match images(storage, config).filter(|folder| Path::is_dir(folder)) {
        Some(folder) => print_line(&format!("and then copy the images in {}", folder.display())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_a_number_and_a_unit() {
        assert_eq!(interval("6h").unwrap(), Duration::from_hours(6));
        assert_eq!(interval("30m").unwrap(), Duration::from_mins(30));
        for wrong in ["", "6", "h", "0h", "1w", "-1h", "6 h", "1.5h", "99999999999999999999d", "6€"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
