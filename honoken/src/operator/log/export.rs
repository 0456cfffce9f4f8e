//! `honoken log export`

use std::io::{self, BufWriter};

use honoken_event_store::EventLog;
use honoken_event_store::transfer::ndjson;
use honoken_service::ids::IdSource;

use crate::config::Config;
use crate::operator::progress::Progress;
use crate::operator::session::StorageOptions;

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken log export --data-dir /srv/honoken | zstd > log.ndjson.zst
  DATABASE_URL=postgres://honoken@localhost/honoken honoken log export > log.ndjson

The lines hold authentication tokens of passes, and private keys in sealed form: keep them as you keep the database. docs/event-log.md has the
format.";

/// Writes the event log to standard output.
///
/// # Errors
/// When it cannot be read, or standard output is closed.
pub(super) async fn run(options: &StorageOptions, config: &Config, ids: &dyn IdSource) -> anyhow::Result<()> {
    let log = options.place(config)?.open_log(ids).await?;
    let head = *log.head().borrow();
    let mut progress = Progress::of("events", head.0);
    let written = ndjson::export(&log, head, BufWriter::new(io::stdout()), |at| progress.at(at.0)).await;
    progress.clear();
    log.close().await;
    let written = written?;
    tracing::info!("{written} events were written, up to position {head}");
    Ok(())
}
