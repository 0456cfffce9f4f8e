//! `honoken backup`

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use futures::future::BoxFuture;
use honoken_database::postgres;
use honoken_domain::ids::Digest;
use honoken_service::backup::making::{ImagesToKeep, Making};
use honoken_service::backup::{Backups, Images, Manifest, keeping};
use honoken_service::encryption_keys;
use honoken_service::event_store::EventStore;
use honoken_service::image_store::{ImageStore, Place as ImagePlace};
use honoken_service::operations::images;
use honoken_service::storage::Server;
use honoken_telemetry::error_chain;
use tokio::time::MissedTickBehavior;

use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::{Environment, Place, StorageOptions};

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  honoken backup /mnt/backups --data-dir /srv/honoken
  honoken backup /mnt/backups --data-dir /srv/honoken --every 6h --keep 14
  honoken backup 's3://backups/honoken?region=eu-central-1' --data-dir /srv/honoken --keep 14

A backup has the event log, the ledger of deliveries, the keys of persons, the records of operators and the images, as they are at one moment; of images
in a store of their own it has the list, or the images too (--images copy). It has no encryption keys: keep those apart. On Postgres the command prints
the line for pg_dump, and backs up the images. `honoken restore` makes a data folder out of a backup.";

/// What a backup has of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhatOfImages {
    /// The images.
    Copy,
    /// Their list.
    List,
}

/// The arguments of `backup`.
#[derive(Debug, Args)]
pub struct Options {
    /// The place for backups: a folder, or the URL of a store as in `HONOKEN_ASSETS_URL` (S3, Vercel Blob). Each gets a folder of its own in it;
    /// images are kept there once for all.
    #[arg(value_name = "TO")]
    to: String,
    /// What a backup has of the images. By default a folder of images is copied, and those in a store of their own are listed.
    #[arg(long, value_name = "WHAT")]
    images: Option<WhatOfImages>,
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
/// When a backup cannot be made; with `--every` only when the first one cannot, and others are logged.
pub async fn run(options: &Options, environment: &Environment) -> anyhow::Result<()> {
    let to = Backups::open(environment.config.place("TO", &options.to)?).await?;
    // The first one tells mistakes of the command line.
    once(options, &to, environment).await?;
    let Some(interval) = options.every else { return Ok(()) };
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if let Err(fault) = once(options, &to, environment).await {
            tracing::error!(
                error = error_chain(fault.as_ref()),
                "no backup was made; the next attempt comes in its time"
            );
        }
    }
}

async fn once(options: &Options, to: &Backups, environment: &Environment) -> anyhow::Result<()> {
    let place = options.storage.place(&environment.config)?;
    if let Place::Storage(storage) = &place {
        storage.must_have_a_log()?;
    }
    let from = images(&options.storage.images(&environment.config))?;
    let source = Source { place: &place, from: from.as_ref(), wanted: options.images };
    place.notes(environment, "makeBackup", to.shown(), source.back_up(options, to, environment)).await
}

/// The images of a place; `None` when no other process can have them.
pub(super) fn images(place: &ImagePlace) -> anyhow::Result<Option<Images>> {
    Ok(match place {
        ImagePlace::Folder(folder) => Some(Images::Folder(folder.clone())),
        ImagePlace::Memory => None,
        ImagePlace::Remote(_) => Some(Images::Store(Box::new(ImageStore::open(place)?))),
    })
}

/// What is backed up.
struct Source<'a> {
    place: &'a Place,
    from: Option<&'a Images>,
    wanted: Option<WhatOfImages>,
}

impl Source<'_> {
    async fn back_up(
        &self,
        options: &Options,
        to: &Backups,
        environment: &Environment,
    ) -> anyhow::Result<()> {
        let event_store = environment.config.event_store.as_ref();
        let (folder, server) = match self.place {
            Place::Running(process) => (Some(process.folder()), None),
            Place::Storage(storage) => (storage.folder().map(|folder| folder.path()), storage.server()),
        };
        let files = match (folder, event_store) {
            (Some(files), None) => files,
            (_, event_store) => return self.on_servers(event_store, server, to).await,
        };
        self.of_files(files, to, environment).await?;
        if let Some(keep) = options.keep {
            let gone = keeping::keep(to, keep.get()).await?;
            if gone > 0 {
                print_line(&format!("removed {gone} older backups"))?;
            }
        }
        Ok(())
    }

    async fn of_files(&self, files: &Path, to: &Backups, environment: &Environment) -> anyhow::Result<()> {
        let images = self.from.map(|from| ImagesToKeep {
            from,
            are_copied: self.are_copied(from),
            digests: self.digests(from),
        });
        let (clock, ids) = (&*environment.clock, &*environment.ids);
        let mut progress = Progress::of("images", 0);
        let made =
            Box::pin(Making { files, images, to, clock, ids }.make(|images| progress.at(images))).await;
        progress.clear();
        let (name, manifest) = made.context("no backup was made")?;
        print_line(&format!(
            "{}: {} events up to position {}, {}, encryption keys needed: {}",
            to.shown_backup(&name),
            manifest.events,
            manifest.position,
            images_of(&manifest),
            names(&manifest.encryption_keys)
        ))
    }

    /// Servers have tools of their own, which know more of them than this program. Images are no part of them.
    async fn on_servers(
        &self,
        event_store: Option<&EventStore>,
        database: Option<&Server>,
        to: &Backups,
    ) -> anyhow::Result<()> {
        if let Some(event_store) = event_store {
            print_line(&format!(
                "the event log is on {}: back it up with the tools of that server, before everything else",
                event_store.place()
            ))?;
        }
        print_line(&match database {
            Some(server) => format!(
                "the data is in a Postgres database ({}): back it up with\n  pg_dump --format=custom --file=honoken.dump \"$DATABASE_URL\"",
                postgres::place(server)
            ),
            None => "then stop the service, and copy deliveries.sqlite, person_keys.sqlite and office.sqlite of its folder".to_owned(),
        })?;
        let first = if database.is_some() { "run pg_dump" } else { "save the rest" };
        let Some(from) = self.from.filter(|from| self.are_copied(from)) else {
            return print_line("images are in a store of their own, and were not copied (--images copy)");
        };
        let mut progress = Progress::of("images", 0);
        let digests = self.digests(from).await?;
        let copied = to.images().copy_all(from, digests, |images| progress.at(images)).await;
        progress.clear();
        print_line(&format!(
            "{} images are in {} as they are now: {first} first, and then this command. `honoken blobs copy` copies the images back",
            copied?.len(),
            to.shown_backup("images")
        ))
    }

    fn are_copied(&self, from: &Images) -> bool {
        match self.wanted {
            Some(wanted) => wanted == WhatOfImages::Copy,
            None => matches!(from, Images::Folder(_)),
        }
    }

    /// Which images there are. Where a store does not say, the read model does.
    fn digests<'a>(&'a self, from: &'a Images) -> BoxFuture<'a, anyhow::Result<BTreeSet<Digest>>> {
        Box::pin(async move {
            if from.can_list() {
                return from.digests().await;
            }
            let read_model = self.place.existing_read_model().await?.context(
                "there is no read model, which would say which images there are: start the service once",
            )?;
            let known = images::known(&read_model).await;
            read_model.close().await;
            Ok(known?)
        })
    }
}

/// What a backup has of the images, in words.
fn images_of(manifest: &Manifest) -> String {
    match (manifest.images, manifest.listed_images) {
        (Some(images), _) => format!("{images} images"),
        (None, Some(listed)) => format!("the list of {listed} images (they are in a store of their own)"),
        (None, None) => "no images (they are in the memory of a process)".to_owned(),
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
