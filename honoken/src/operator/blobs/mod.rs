//! `honoken blobs`: images from one store to another, and those that nothing refers to.

mod copying;
mod gc;

use clap::Subcommand;
use honoken_service::image_store::{ImageStore, Place};

use crate::config::Config;
use crate::import::layout;
use crate::operator::session::Environment;

/// The subcommands of `blobs`.
#[derive(Debug, Subcommand)]
pub enum BlobsCommand {
    /// Copy all images from one store to another, and read each from there. What is there already is not copied again.
    #[command(after_help = copying::EXAMPLES)]
    Copy(copying::Copy),
    /// Remove the images that no pass, no pass type and no brand refers to.
    #[command(after_help = gc::EXAMPLES)]
    Gc(gc::Gc),
    /// Send the images of an earlier service, from a folder or a store with its layout, to a running one.
    #[command(after_help = layout::EXAMPLES)]
    ImportLayout(layout::Options),
}

/// `honoken blobs`
///
/// # Errors
/// When a store cannot be used, or an image stays behind; the sentence says what to do.
pub async fn run(command: &BlobsCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        BlobsCommand::Copy(options) => copying::run(options, environment).await,
        BlobsCommand::Gc(options) => gc::run(options, environment).await,
        BlobsCommand::ImportLayout(_) => unreachable!("it ends with an exit code of its own"),
    }
}

/// Opens the store that an option names, and makes sure that it answers.
async fn open(option: &'static str, url: &str, config: &Config) -> anyhow::Result<ImageStore> {
    reach(&config.image_place(option, url)?).await
}

async fn reach(place: &Place) -> anyhow::Result<ImageStore> {
    let store = ImageStore::open(place)?;
    store.reach().await?;
    Ok(store)
}
