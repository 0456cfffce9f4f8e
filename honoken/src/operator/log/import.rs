//! `honoken log import`

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use honoken_event_store::transfer::ndjson::{self, Export};
use honoken_service::clock::Clock;
use honoken_service::ids::IdSource;
use honoken_service::operations::audit::{Action, Record};

use crate::config::Config;
use crate::operator::log::NOT_MOVED;
use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::StorageOptions;
use crate::operator::user;

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken log import log.ndjson --data-dir /srv/new
  zstdcat log.ndjson.zst | DATABASE_URL=postgres://honoken@localhost/new honoken log import -

The log gets the positions and the update tags of the original. If phones may have seen later events than are in the file, run
`honoken log restored` before the service starts.";

/// The arguments of `log import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The file that `log export` wrote; `-` reads standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    storage: StorageOptions,
}

/// Fills an empty event log.
///
/// # Errors
/// When the file is not a whole exported log, or the event log cannot be used or holds something else.
pub(super) async fn run(
    options: &Import,
    config: &Config,
    clock: &dyn Clock,
    ids: &dyn IdSource,
) -> anyhow::Result<()> {
    let (lines, bytes): (Box<dyn BufRead>, u64) = if options.file.as_os_str() == "-" {
        (Box::new(BufReader::new(io::stdin())), 0)
    } else {
        let about = || format!("could not read {}", options.file.display());
        let file = File::open(&options.file).with_context(about)?;
        let bytes = file.metadata().with_context(about)?.len();
        (Box::new(BufReader::new(file)), bytes)
    };
    let mut export = Export::open(lines)?;
    let storage = options.storage.new_storage(config)?;
    let mut target = storage.open_target(ids).await?;
    let record = Record { office: storage.open_office().await?, clock, ids, actor: &user::actor() };
    let action = Action { name: "importLog", target: options.file.display().to_string() };
    let mut progress = Progress::of("bytes", bytes);
    let importing = async { Ok(ndjson::import(&mut export, &mut target, |read| progress.at(read)).await?) };
    let imported = record.note(action, importing).await;
    progress.clear();
    let closed = target.close().await;
    let checksum = imported?;
    closed?;
    print_line(&format!(
        "the event log has {} events, up to position {}",
        checksum.events(),
        checksum.last()
    ))?;
    print_line(NOT_MOVED)
}
