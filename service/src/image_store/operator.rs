//! From a place to an operator of `opendal`, with retries and time limits.

use std::path::Path;
use std::time::Duration;

use opendal::layers::{RetryEvent, RetryLayer, TimeoutLayer};
use opendal::services::{Fs, Memory};
use opendal::{Error, Operator};

use super::place::Place;
use super::remote;
use crate::limits;

/// The folder, in that of the images, with files that are being written.
pub(super) const UNFINISHED: &str = "unfinished";

/// Opens a place, of which each attempt may take so long. Nothing is connected yet.
///
/// # Errors
/// When the place cannot be used.
pub(super) fn open(place: &Place, attempt: Duration) -> Result<Operator, Error> {
    match place {
        Place::Folder(folder) => in_folder(folder),
        Place::Memory => Operator::new(Memory::default()),
        Place::Remote(remote) => Ok(bounded(remote::open(remote)?, attempt)),
    }
}

/// Opens a place to read alone: nothing is made in a folder.
///
/// # Errors
/// When the place cannot be used.
pub(super) fn open_to_read(place: &Place, attempt: Duration) -> Result<Operator, Error> {
    match place {
        Place::Folder(folder) => Operator::new(Fs::default().root(&folder.to_string_lossy())),
        Place::Memory | Place::Remote(_) => open(place, attempt),
    }
}

fn in_folder(folder: &Path) -> Result<Operator, Error> {
    // Written to another file and renamed, so that a crash never leaves half an image under its digest.
    let unfinished = folder.join(UNFINISHED);
    Operator::new(
        Fs::default().root(&folder.to_string_lossy()).atomic_write_dir(&unfinished.to_string_lossy()),
    )
}

/// Every attempt ends in time, and what may succeed the next time is tried again.
pub(super) fn bounded(operator: Operator, attempt: Duration) -> Operator {
    let retries = RetryLayer::new()
        .with_max_times(limits::IMAGE_STORE_RETRIES)
        .with_min_delay(limits::IMAGE_STORE_PAUSE)
        .with_jitter()
        // A failure is logged once, when all attempts have failed.
        .with_notify(|_: RetryEvent<'_>| {});
    operator.layer(TimeoutLayer::new().with_timeout(attempt).with_io_timeout(attempt)).layer(retries)
}
